"""What is in the way of Hermes as a service, or of the chat in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hermes_setup.answers.backend import Backend
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.stages.hermes.installations import SHARED, Installation
from hermes_setup.stages.hermes.service import Facts
from hermes_setup.stages.hermes.unit import NAME, UNIT

NODE = 20
"""The chat needs Node.js of that major version, or a later one."""


def check(facts: Facts, at: Backend, *, running: bool) -> Sequence[Finding]:
    """What is in the way of the service, or of the chat in it. `running`: Hermes answers here, no matter who runs it."""
    if obstacle := _about_this_server(facts, at, running=running) or _about_the_program(facts):
        return [obstacle]
    return [*_as_root(facts.chosen), *_node_js(facts.chosen)] if facts.chosen else []


def unwanted() -> Finding:
    """A service of ours that the answers do not ask for."""
    return note(
        "service.left",
        f"{NAME} exists from an earlier run, but the answers no longer ask for it.",
        "A service that may be in use is not stopped for you.",
        f"To remove it: sudo systemctl disable --now {NAME} ; sudo rm {UNIT} . To keep it: service = true",
    )


def _about_this_server(facts: Facts, at: Backend, *, running: bool) -> Finding | None:
    """Why this program makes no service here; None where nothing is in the way."""
    if not at.local:
        return block(
            "service.remote",
            f"The answers ask for Hermes as a service on this server, but name another machine for it: {at}.",
            "A service on this server can't listen there.",
            f'Remove one of the two from the answers: service = true, or backend = "{at}".',
        )
    if running and not (facts.unit_file and facts.ours and facts.active):
        return note(
            "service.running",
            "Hermes is running already, so no service is set up for it.",
            "A second one would be a second dashboard.",
            "Nothing to do if it also starts at boot. Otherwise stop it, and run this again.",
        )
    if not facts.systemd:
        return warn(
            "service.no-systemd",
            "systemd does not run here, so Hermes can't be a service.",
            "The answers ask for one: service = true.",
            "Start Hermes from whatever starts this machine.",
        )
    if not facts.ours:
        return note(
            "service.foreign",
            f"There is already a {NAME} that this program did not write, so it stays as it is.",
            "It may do what you want, or be broken.",
            f"Look at it: systemctl status {NAME} ; start it: sudo systemctl enable --now {NAME}",
        )
    return None


def _about_the_program(facts: Facts) -> Finding | None:
    """Why no installed program can be run as a service; None where one can."""
    if facts.chosen is None and facts.unit_file is not None:
        return block(
            "service.lost",
            f"The Hermes that {NAME} runs, or its user, no longer exists.",
            "No other installation takes its place automatically: it could be anyone's.",
            f"Install it again. Or remove the service, and run this again: sudo systemctl disable --now {NAME} ; sudo rm {UNIT}",
        )
    if facts.chosen is None and not facts.found:
        return warn(
            "service.not-installed",
            "Hermes was not found on this server, so it can't be a service.",
            "Places searched: ~/.local/bin/hermes and ~/.hermes/hermes-agent/venv/bin/hermes of each user, "
            f"{', '.join(SHARED)}.",
            "Install Hermes, then run this again.",
        )
    if facts.chosen is None:
        names = ", ".join(f"{each.program} (of {each.user or 'several users'})" for each in facts.found)
        return block(
            "service.several",
            f"It isn't clear whose Hermes should run as a service: {names}.",
            "Everyone who signs in sees the one that runs, so none is chosen for you.",
            "Remove those you don't want (or the ~/.hermes of users who don't need it). Or write the unit yourself: "
            f"sudo systemctl edit --full --force {NAME}",
        )
    if not facts.chosen.usable:
        return warn(
            "service.odd-path",
            f"A systemd unit can't name {facts.chosen.program}: the path has unusual characters.",
            "So this Hermes can't be a service.",
            "Install it somewhere else, for example below /opt; or start it yourself.",
        )
    return None


def _as_root(installed: Installation) -> list[Finding]:
    if installed.user != "root":
        return []
    return [
        warn(
            "service.root",
            f"Hermes runs as root: {installed.program} belongs to root, and no user has a ~/.hermes.",
            "Anyone who signs in to the dashboard can then do anything on this server.",
            "Better: create a user for it (sudo adduser hermes), and install Hermes as that user.",
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
            f"{installed.user}'s Hermes finds {have}; its chat needs Node.js {NODE} or later.",
            "The dashboard works without it, but its chat stays empty or closes at once.",
            f"Install Node.js {NODE} or later for {installed.user} (Debian 13: sudo apt-get install nodejs; "
            f"others: https://nodejs.org/en/download), then: sudo systemctl restart {NAME}",
        )
    ]
