"""What is in the way of Hermes as a service, or of the chat in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hermes_setup.answers.fields import Backend
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.stages.hermes.installations import SHARED, Installation
from hermes_setup.stages.hermes.service import Facts
from hermes_setup.stages.hermes.unit import NAME, UNIT

NODE = 20
"""The chat needs Node.js of that major version, or a later one."""


def check(facts: Facts, at: Backend, *, running: bool) -> Sequence[Finding]:
    """What is in the way of the service, or of the chat in it. `running`: Hermes answers here, whoever runs it."""
    if obstacle := _about_this_server(facts, at, running=running) or _about_the_program(facts):
        return [obstacle]
    return [*_as_root(facts.chosen), *_node_js(facts.chosen)] if facts.chosen else []


def unwanted() -> Finding:
    """A service of ours that the answers do not ask for."""
    return note(
        "service.left",
        f"{NAME} is there from an earlier run, and the answers do not ask for it any more.",
        "A service that may be in use is not stopped for you.",
        f"To end it: sudo systemctl disable --now {NAME} ; sudo rm {UNIT} . To keep it: service = true",
    )


def _about_this_server(facts: Facts, at: Backend, *, running: bool) -> Finding | None:
    """Why this program makes no service here; None where nothing is in the way."""
    if not at.local:
        return block(
            "service.remote",
            f"Hermes is to run as a service here, and the answers name another machine for it: {at}.",
            "A service of this server cannot listen there.",
            f'Take one of the two out of the answers: service = true, or backend = "{at}".',
        )
    if running and not (facts.unit_file and facts.ours and facts.active):
        return note(
            "service.running",
            "Hermes runs already, so no service is made for it.",
            "Two of them would be two dashboards.",
            "Nothing to do if it starts at boot, too. Else stop it, and run this again.",
        )
    if not facts.systemd:
        return warn(
            "service.no-systemd",
            "There is no systemd here, so Hermes cannot be made a service.",
            "service = true in the answers asks for it.",
            "Start Hermes from where you start this machine.",
        )
    if not facts.ours:
        return note(
            "service.foreign",
            f"There is a {NAME} already that this program did not write, so it is left as it is.",
            "It may do what is wanted, or be broken.",
            f"Look at it: systemctl status {NAME} ; start it: sudo systemctl enable --now {NAME}",
        )
    return None


def _about_the_program(facts: Facts) -> Finding | None:
    """Why no installed program can be run as a service; None where one can."""
    if facts.chosen is None and facts.unit_file is not None:
        return block(
            "service.lost",
            f"{NAME} runs a Hermes, or as a user, that is not there any more.",
            "No other program takes its place by itself: that might be anybody's.",
            f"Install it again. Or let the service go, and run this again: sudo systemctl disable --now {NAME} ; sudo rm {UNIT}",
        )
    if facts.chosen is None and not facts.found:
        return warn(
            "service.not-installed",
            "No Hermes is found on this server, so no service can be made of it.",
            "Looked for: ~/.local/bin/hermes and ~/.hermes/hermes-agent/venv/bin/hermes of each user, "
            f"{', '.join(SHARED)}.",
            "Install Hermes, then run this again.",
        )
    if facts.chosen is None:
        names = ", ".join(f"{each.program} (of {each.user or 'nobody in particular'})" for each in facts.found)
        return block(
            "service.several",
            f"Whose Hermes is to run as a service cannot be known: {names}.",
            "The one that runs decides what everybody sees who signs in, so none is chosen for you.",
            "Take away those that are not meant (or the ~/.hermes of those who do not use it). Or write the unit yourself: "
            f"sudo systemctl edit --full --force {NAME}",
        )
    if not facts.chosen.usable:
        return warn(
            "service.odd-path",
            f"A unit of systemd cannot name {facts.chosen.program}: there are odd characters in it.",
            "So no service is made of this Hermes.",
            "Install it elsewhere, below /opt for one; or start it yourself.",
        )
    return None


def _as_root(installed: Installation) -> list[Finding]:
    if installed.user != "root":
        return []
    return [
        warn(
            "service.root",
            f"Hermes runs as root: {installed.program} is root's, and no user has a ~/.hermes.",
            "Whoever signs in to the dashboard can then do everything on this server.",
            "Better: a user of its own for it (sudo adduser hermes), and Hermes installed there.",
        )
    ]


def _node_js(installed: Installation) -> list[Finding]:
    major = re.match(r"\d+", installed.node)
    if major and int(major[0]) >= NODE:
        return []
    have = f"Node.js {installed.node}" if installed.node else "no Node.js"
    return [
        warn(
            "service.node",
            f"Hermes of {installed.user} finds {have}; its chat needs {NODE} or later.",
            "The dashboard works without; the chat in it stays empty or ends at once.",
            f"Put Node.js {NODE} or later where {installed.user} finds it (Debian 13: sudo apt-get install nodejs; "
            f"elsewhere: https://nodejs.org/en/download), then: sudo systemctl restart {NAME}",
        )
    ]
