"""Commands as they could be typed."""

from __future__ import annotations

import re
import shlex

from hermes_setup.engine.changes import Run


def command_line(run: Run) -> str:
    """The command as it could be typed."""
    variables = [f"{key}={shlex.quote(value)}" for key, value in run.env.items()]
    return " ".join([*variables, shlex.join(run.argv)])


def program_and_verb(run: Run) -> str:
    """As "apt-get install", "certbot certonly", "systemctl reload"."""
    name = run.argv[0].rpartition("/")[2]
    verb = next((word for word in run.argv[1:] if re.fullmatch(r"[a-z][a-z-]+", word)), "")
    return f"{name} {verb}".strip()
