"""The deploy hook: certbot runs it after each renewal, and it has nginx load the new certificate."""

from __future__ import annotations

import re

from hermes_setup.engine.changes import Place
from hermes_setup.engine.findings import Finding, warn
from hermes_setup.host import File, Host, Node
from hermes_setup.nginx import render
from hermes_setup.stages.certificate.lineages import FOLDER

HOOK = f"{FOLDER}/renewal-hooks/deploy/hermes-setup"
SETTINGS = f"{FOLDER}/cli.ini"


def switched_off(host: Host) -> bool:
    """True when certbot's settings tell it to run no hooks."""
    settings = host.look(SETTINGS)
    option = rb"^\s*no-directory-hooks\s*(=\s*[Tt]rue\s*)?$"
    return isinstance(settings, File) and re.search(option, settings.content, re.M) is not None


def switched_off_finding() -> Finding:
    """What is said where `switched_off` is true."""
    return warn(
        "renewal.hooks-off",
        f"{SETTINGS} says no-directory-hooks, so nginx does not learn about a renewed certificate.",
        "It would keep serving the old one until that expires.",
        f"Remove that line from {SETTINGS}.",
    )


def places(current: Node) -> list[Place]:
    """What makes the hook as it should be: [] when it is."""
    wanted = File(render.template("deploy-hook.sh").encode(), 0o755)
    if current == wanted:
        return []
    same_text = isinstance(current, File) and current.content == wanted.content
    why = (
        "make it root's, and executable for certbot"
        if same_text
        else "have nginx load each renewed certificate (certbot alone does not)"
    )
    return [Place(HOOK, wanted, why)]
