"""Hermes's dashboard as a systemd service, for an installation that no one runs: what there is, and what is still to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hermes_setup.answers.backend import Backend
from hermes_setup.engine.changes import Change, Place, Run, Until
from hermes_setup.host import Absent, File, Host, Link, has_systemd
from hermes_setup.nginx.render import Renderer
from hermes_setup.stages.hermes import installations, unit
from hermes_setup.stages.hermes.installations import Installation
from hermes_setup.values import dataclass, replace

GIVES = "hermes dashboard"
SECONDS = 60.0
"""How long its first start may take: it loads some hundred modules, on a small server from a cold disk."""


@dataclass(frozen=True)
class Facts:
    """What there is to run, and what runs it. `chosen` is the one that is run; None where that cannot be known."""

    found: tuple[Installation, ...]
    chosen: Installation | None
    systemd: bool
    unit_file: File | None  # the file of that name, whoever wrote it
    elsewhere: bool  # something else is at its place: a link, or a unit of a package
    enabled: bool  # it starts at each boot
    reloaded: bool  # what systemd runs is the file as it is
    active: bool

    @property
    def ours(self) -> bool:
        """True when the unit is ours, or there is none."""
        return not self.elsewhere and (self.unit_file is None or unit.is_ours(self.unit_file))


def look(host: Host) -> Facts:
    """What is installed, and its unit. Starts `node --version`, as the user whose Hermes it is."""
    node = host.look(unit.UNIT)
    shown = host.ask(
        ("systemctl", "show", unit.NAME, "--property=ActiveState,NeedDaemonReload,FragmentPath", "--no-pager")
    ).out
    found = installations.find(host)
    if isinstance(node, File) and unit.is_ours(node):
        chosen = unit.installation_in(host, node)
    else:
        chosen = installations.the_only_one(found)
    other_path = re.search(rf"^FragmentPath=(?!{unit.UNIT}$)/", shown, re.MULTILINE)
    return Facts(
        found=found,
        chosen=installations.with_node(host, chosen) if chosen else None,
        systemd=has_systemd(host),
        unit_file=node if isinstance(node, File) else None,
        elsewhere=not isinstance(node, File | Absent) or bool(other_path),
        enabled=isinstance(host.look(unit.WANTED), Link),
        reloaded="NeedDaemonReload=no" in shown,
        active=host.given(GIVES) or "ActiveState=active" in shown,
    )


def candidate(host: Host) -> Installation | None:
    """The installation that could be made a service; None where there is none or more, no systemd, or a unit of that name.

    Whether someone runs it already is not looked at: see `dashboards`.
    """
    if not has_systemd(host) or not isinstance(host.look(unit.UNIT), Absent):
        return None
    found = installations.the_only_one(installations.find(host))
    return found if found and found.usable else None


def plan(
    facts: Facts, at: Backend, answers: Callable[[Host], bool], renderer: Renderer, *, running: bool
) -> Sequence[Change]:
    """The unit exists, is started now and at each boot, and Hermes answers, as `answers` sees it.

    `running`: Hermes answers here, no matter who runs it.
    """
    installed = facts.chosen
    if not facts.systemd or not installed or not installed.usable or not facts.ours or not at.local:
        return ()
    if running and not (
        facts.unit_file and facts.active
    ):  # someone runs it in another way: a service would be a second dashboard
        return ()
    file = File(unit.text(installed, at, renderer).encode())
    changes: list[Change] = []
    if facts.unit_file != file:
        changes.append(Place(unit.UNIT, file, f"run Hermes's dashboard as a service, as {installed.user}"))
    if not facts.enabled:
        changes.append(Place(unit.WANTED, Link(unit.UNIT), "start it at each boot"))
    read = Run(("systemctl", "daemon-reload"), "have systemd read it", undo_argv=("systemctl", "daemon-reload"))
    starts = not facts.active or facts.unit_file != file
    if changes or not facts.reloaded:
        changes.append(replace(read, undo_argv=()) if facts.active and starts else read)
    if starts:
        changes.append(_start(at, answers, again=facts.active))
        if facts.active:  # undos go from the last to the first: systemd reads the old unit, then restarts by it
            changes.append(replace(read, why="have systemd read it again"))
    return changes


def _start(at: Backend, answers: Callable[[Host], bool], *, again: bool) -> Run:
    """Starts it, and waits until Hermes answers. `again`: it runs, and its unit has changed."""
    started = Until(
        f"Hermes answers at {at}",
        lambda _host: None,
        lambda host, _before: host.ask(("systemctl", "is-active", unit.NAME)).ok and answers(host),
        SECONDS,
        f"See why: sudo journalctl -u {unit.NAME} -n 50",
    )
    verb, undo_verb = ("restart", "restart") if again else ("start", "stop")
    why = "restart Hermes, which ends what it is doing" if again else "start Hermes"
    return Run(
        ("systemctl", verb, unit.NAME),
        f"{why}, and wait until it answers",
        gives=GIVES,
        undo_argv=("systemctl", undo_verb, unit.NAME),
        until=started,
    )
