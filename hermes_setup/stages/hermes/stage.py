"""Hermes answers, it is clear which one is meant, and only this server can reach it."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.engine.changes import Change
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.host import Host
from hermes_setup.nginx import tree
from hermes_setup.nginx.render import Renderer
from hermes_setup.stages.hermes import (
    api,
    dashboards,
    exposure,
    service,
    service_checks,
    unit,
    unit_program,
    unix_users,
)
from hermes_setup.stages.hermes.dashboards import Dashboard, Found, described
from hermes_setup.stages.hermes.unit_program import UnitProgram
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Facts:
    """Where Hermes listens, and what could run it."""

    found: Found = Found()
    service: service.Facts | None = None  # None: not asked for
    unwanted_service: bool = False  # a unit of ours, which the answers do not ask for
    stopped_unit: str = ""  # a unit that would run Hermes where it is looked for, and does not now
    logins: tuple[str, ...] = ()  # who can log in to this server, root left out
    programs: tuple[UnitProgram, ...] = ()  # what the unit starts, or would


class Hermes:
    """See the module."""

    def __init__(self, renderer: Renderer | None = None) -> None:
        self._renderer = renderer or Renderer()

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Asks every listener that could be Hermes, side by side; 3 s at most."""
        found = dashboards.find(host, answers.backend)
        looked_for_here = found.running is None and found.looked_for.local
        port = found.named.port if found.named else None
        wanted = service.look(host) if answers.service else None
        return Facts(
            found=found,
            service=wanted,
            unwanted_service=not answers.service and unit.ours_exists(host),
            stopped_unit=unit.that_runs_a_dashboard(host, port) if looked_for_here else "",
            logins=unix_users.with_login(host),
            programs=unit_program.look(host, wanted.chosen if wanted else None),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """Hermes answers, it is clear which one is meant, and it is not open to the internet."""
        found = [*exposure.check(facts.found), *unit_program.check(facts.programs)]
        running, answer = facts.found.running, facts.found.answer
        if not facts.found.named and (several := _several(facts.found)):
            found.append(several)
        elif running is None and answer and answer.status:
            found.append(_not_hermes(facts.found))
        elif running is None and not self.plan(answers, facts):
            found.append(_none(facts))
        if running is None and facts.found.elsewhere:
            found.append(_elsewhere(facts.found))
        if facts.service:
            found += service_checks.check(facts.service, facts.found.looked_for, running=facts.found.in_the_way)
        if facts.unwanted_service:
            found.append(service_checks.unwanted())
        if running:
            found += _about(running, facts.logins if answers.local_users is None else ())
        if facts.found.named and not facts.found.named.local:
            found.append(
                note(
                    "backend.remote",
                    f"Hermes is at {facts.found.named}, on another machine or a public address.",
                    "The connection to it is not encrypted, and that machine must let only this one in.",
                    "Do this only on a private network.",
                )
            )
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:  # noqa: ARG002 - a stage's shape
        """Nothing: Hermes is its owner's. Unless the answers want it as a service."""
        if not facts.service:
            return ()
        at = facts.found.looked_for
        return service.plan(
            facts.service,
            at,
            lambda host: api.status_in(api.ask(host, at)) is not None,
            self._renderer,
            running=facts.found.in_the_way,
        )


def _several(found: Found) -> Finding | None:
    """None for a single dashboard on loopback. One process on 127.0.0.1 and on ::1 is one dashboard."""
    first: dict[object, Dashboard] = {}
    for each in found.dashboards:
        if each.at.local:
            first.setdefault(each.key, each)
    local = [*first.values()]
    if len(local) < 2:
        return None
    names = " and ".join(f"{each.at}{described(each.listener, each.status.version)}" for each in local)
    return block(
        "backend.two",
        f"There are {len(local)} Hermes dashboards: {names}.",
        "Only you know which one you want.",
        f'Name it in the answers: backend = "{local[0].at}"; or stop the other one.',
    )


def _not_hermes(found: Found) -> Finding:
    answer = found.answer
    return block(
        "backend.not-hermes",
        f"Something other than Hermes's dashboard answers at {found.looked_for}{described(found.holder) if found.holder else ''}.",
        "The site would show it to the internet. (hermes serve has no pages; run hermes dashboard instead.)",
        f'Stop it, or put Hermes\'s real address in the answers: backend = "127.0.0.1:PORT". To start Hermes: {api.START}',
        f"{answer.status} {answer.header('Server')}" if answer else "",
    )


def _none(facts: Facts) -> Finding:
    at, answer, name = facts.found.looked_for, facts.found.answer, facts.stopped_unit
    command = f"hermes dashboard --host {at.address} --port {at.port} --no-open"
    return warn(
        "backend.none",
        f"Hermes does not answer at {at} ({(answer.error if answer else '') or 'nothing listens there'}).",
        "The site is set up anyway, and shows a friendly page until Hermes runs.",
        f"Start it when you like: sudo systemctl start {name} ; if it does not start, see why: sudo "
        f"systemctl status {name} ; sudo journalctl -u {name} -n 50"
        if name
        else f"Start it when you like: {command}"
        if at.local
        else "Start it on that machine.",
    )


def _elsewhere(found: Found) -> Finding:
    names = " and ".join(f"{each.at}{described(each.listener, each.status.version)}" for each in found.elsewhere)
    return warn(
        "backend.elsewhere",
        f"Visitors are passed to {found.looked_for}, but a dashboard runs at {names}.",
        "It stays like that until you say otherwise: any user of this server could have started that one.",
        f'If it is the one you want: sudo hermes-setup, "Hermes"; or in the answers: backend = "{found.elsewhere[0].at}"',
    )


def _about(running: Dashboard, logins: Sequence[str]) -> list[Finding]:
    """What you should know about the dashboard that the site shows: its login, who else can reach it, its version."""
    found: list[Finding] = []
    if running.status.login and running.at.local:
        found.append(
            note(
                "backend.login",
                "Hermes asks for its own login, too.",
                "It comes after this site's password, so you sign in twice.",
                "Nothing to do.",
            )
        )
    others = [name for name in logins if name != running.listener.whose]
    if running.at.local and not running.status.login and len(others) > (not running.listener.whose):
        found.append(
            note(
                "backend.local-users",
                f"Anyone who can log in to this server can reach Hermes at {running.at} without a password: {', '.join(others)}.",
                "nginx asks for the password. On the server itself, Hermes can be reached without nginx, and it can do what its user can.",
                "Give logins on this server only to people you trust with Hermes; or keep them out: local_users = [] in the answers.",
            )
        )
    if running.status.version and (0,) < tree.parse_version(running.status.version) < (0, 15):
        found.append(
            warn(
                "backend.old",
                f"Hermes {running.status.version} is old.",
                "Versions up to 0.14 know less about proxies; this was tested with 0.19.",
                "Update it: hermes update",
            )
        )
    return found
