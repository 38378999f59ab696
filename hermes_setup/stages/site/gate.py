"""The gate before Hermes, as the site has it: who is asked for a password, and which addresses are refused before that."""

from __future__ import annotations

from hermes_setup.answers.allowed_addresses import permits
from hermes_setup.answers.answers import Answers
from hermes_setup.nginx import quoting
from hermes_setup.stages.site.facts import Facts
from hermes_setup.stages.users.cookies import GATE_FILE
from hermes_setup.stages.users.htpasswd import USERS_FILE


def values(answers: Answers, facts: Facts) -> dict[str, object]:
    """What the site's template is given about the gate."""
    return {
        "gate_file": GATE_FILE,
        "users_file": USERS_FILE,
        "origin": quoting.map_key(f"https://{answers.domain}"),
        "allow": answers.allow,
        "here": "" if not answers.allow or permits(answers.allow, "127.0.0.1") else "127.0.0.1",
        "real_ip": facts.real_ip,
    }
