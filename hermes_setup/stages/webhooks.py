"""Which of Hermes's gateway platforms listen here, and whether only nginx can reach them. The site has their locations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import DEFAULT_BACKEND, Backend
from hermes_setup.answers.webhook_platforms import PLATFORMS, Endpoint
from hermes_setup.engine.changes import Change
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.host import Host, Listener, Request
from hermes_setup.parallel import in_parallel
from hermes_setup.stages.hermes import api, dashboards, upstream
from hermes_setup.values import dataclass, replace

SECONDS = 2.0
SERVERS = ("aiohttp", "tornadoserver")  # what Hermes's adapters call themselves in the Server header (their libraries)

Occupant = Literal["platform", "dashboard", "other", ""]
"""What listens on a port: the platform itself, Hermes's dashboard, something else, or nothing."""


@dataclass(frozen=True)
class Seen:
    """What listens on the port of a platform."""

    endpoint: Endpoint
    occupant: Occupant
    exposed: tuple[Listener, ...] = ()  # sockets there that other machines can reach
    firewalled: bool = False  # a packet filter of this machine blocks strangers from them
    held_by: tuple[str, ...] = ()  # the users whose sockets are there


@dataclass(frozen=True)
class Facts:
    """What was seen of the platforms that the answers name, and of others that listen on all addresses."""

    named: tuple[Seen, ...] = ()
    others: tuple[Seen, ...] = ()
    dashboard: Backend | None = None  # where visitors are passed to, as it is set
    expected: str = (
        ""  # whose process has to be at the upstream, and so whose gateway it is; "" while that is not known
    )


class Webhooks:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Asks each platform that is named, or whose port has a listener, side by side; 3 s at most."""
        named = answers.webhooks.endpoints if answers.webhooks else ()
        dashboard = answers.backend or dashboards.set_upstream(host)
        if dashboard and not dashboard.local:
            return Facts(tuple(Seen(endpoint, "platform") for endpoint in named), dashboard=dashboard)
        found = look(host, named)
        from hermes_setup.stages.firewall.closed_ports import closed_ports  # `listening` needs none of it

        closed = closed_ports(host, sorted({each.endpoint.port for each in found if each.exposed}))
        found = [replace(each, firewalled=each.endpoint.port in closed) for each in found]
        return Facts(
            tuple(each for each in found if each.endpoint in named),
            tuple(
                each for each in found if each.endpoint not in named and each.occupant == "platform" and each.exposed
            ),
            dashboard,
            upstream.look(answers, host).expected(answers) if named else "",
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:  # noqa: ARG002 - a stage's shape
        """Each platform that is named listens, and only nginx can reach it; none has the dashboard's port."""
        found: list[Finding] = []
        for seen in facts.named:
            if _has_the_dashboards_port(seen, facts.dashboard):
                found.append(_dashboard(seen.endpoint))
            elif not seen.occupant:
                found.append(_nothing(seen.endpoint))
            elif seen.occupant == "other":
                found.append(_other(seen.endpoint))
            elif others := [name for name in seen.held_by if name not in ("root", facts.expected or name)]:
                found.append(_other_user(seen.endpoint, others[0], facts.expected))
        found += [_exposed(seen, named=True) for seen in facts.named if seen.exposed and seen.occupant == "platform"]
        found += [_exposed(seen, named=False) for seen in facts.others if not seen.firewalled]
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:  # noqa: ARG002 - a stage's shape
        """Nothing: the site has the locations, and Hermes is its owner's."""
        return ()


def look(host: Host, named: Sequence[Endpoint] = ()) -> list[Seen]:
    """What is on the port of each platform named, and of each other whose usual port has a listener. Never slower than 3 s."""
    listeners = host.listeners()
    ports = {each.port for each in listeners}
    platforms = {endpoint.platform for endpoint in named}
    others = [Endpoint(each, each.port) for each in PLATFORMS if each.port in ports and each not in platforms]
    endpoints = [*named, *others]
    if not endpoints:
        return []
    occupants = in_parallel(lambda endpoint: _occupant(host, endpoint, ports), endpoints)
    found: list[Seen] = []
    for endpoint, occupant in zip(endpoints, occupants, strict=True):
        there = [each for each in listeners if each.port == endpoint.port]
        exposed = tuple(each for each in there if _is_exposed(each))
        users = sorted({each.whose for each in there if each.whose and not each.contained})
        found.append(Seen(endpoint, occupant, exposed, held_by=tuple(users)))
    return found


def listening(host: Host) -> tuple[Endpoint, ...]:
    """The platforms that proved to listen here, in the order of their table."""
    return tuple(each.endpoint for each in look(host) if each.occupant == "platform")


def _occupant(host: Host, endpoint: Endpoint, ports: set[int]) -> Occupant:
    if endpoint.port not in ports:
        return ""
    answer = host.fetch(Request("127.0.0.1", endpoint.port, "127.0.0.1", endpoint.platform.probe_path, seconds=SECONDS))
    if not answer.status:
        return "" if answer.error == "refused" else "other"
    server = answer.header("Server").lower()
    if answer.status != 404 and any(each in server for each in SERVERS):
        return "platform"
    status = api.status_in(api.ask(host, Backend("127.0.0.1", endpoint.port), seconds=SECONDS / 2))
    return "dashboard" if status else "other"


def _is_exposed(each: Listener) -> bool:
    return each.address != "::1" and not each.address.startswith(("127.", "::ffff:127."))


def _has_the_dashboards_port(seen: Seen, dashboard: Backend | None) -> bool:
    """True for the port of any dashboard that answers, of the one that is set, or of the one that is looked for."""
    if seen.occupant == "dashboard":
        return True
    if dashboard:
        return seen.endpoint.port == dashboard.port
    return seen.endpoint.port == DEFAULT_BACKEND.port and seen.occupant != "platform"


def _dashboard(endpoint: Endpoint) -> Finding:
    platform = endpoint.platform
    return block(
        "webhooks.backend",
        f"{endpoint} uses port {endpoint.port}, which is the dashboard's, not {platform.name}'s.",
        f"Requests to {platform.path} would reach the dashboard without a password.",
        f'Use the port where the gateway listens for {platform.name}: "{platform.name}:PORT". The usual one, {platform.port}, '
        "can be left out.",
    )


def _nothing(endpoint: Endpoint) -> Finding:
    return warn(
        "webhooks.none",
        f"Nothing listens on port {endpoint.port} for {endpoint.platform.name} ({endpoint.platform.title}).",
        "Its senders are let in, but get an error (502).",
        "Set it up and start the gateway: hermes gateway setup ; hermes gateway start. Or remove it: sudo hermes-setup, "
        '"Webhooks".',
    )


def _other(endpoint: Endpoint) -> Finding:
    name = endpoint.platform.name
    return warn(
        "webhooks.other",
        f"Something other than Hermes's {name} listens on port {endpoint.port}.",
        f"It doesn't know {endpoint.platform.path}, and requests from the internet would go to it.",
        f'If {name} uses another port, add it: "{name}:PORT". To see what listens here: sudo ss -ltnp sport = '
        f":{endpoint.port}",
    )


def _other_user(endpoint: Endpoint, user: str, expected: str) -> Finding:
    platform, port = endpoint.platform, endpoint.port
    return warn(
        "webhooks.other-user",
        f"A process of {user} listens on port {port}, to which {platform.path} is passed. Hermes runs as {expected}.",
        "Any user of this server can take that port while the gateway is down, and gets what senders send from then on.",
        f"If that isn't Hermes's gateway, stop it, then start the gateway again. To see it: sudo ss -ltnp sport = :{port}",
    )


def _exposed(seen: Seen, *, named: bool) -> Finding:
    platform, port = seen.endpoint.platform, seen.endpoint.port
    where = "on all addresses" if any(each.everywhere for each in seen.exposed) else f"on {seen.exposed[0].address}"
    what = f"Hermes's {platform.name} listens {where}, port {port}"
    fix = platform.bind_to_loopback or f"sudo ufw deny {port}/tcp"
    if seen.firewalled:
        return note(
            "webhooks.wide",
            f"{what}; a firewall on this server blocks that port.",
            "So its senders come through nginx, encrypted. Without the firewall they could connect to it directly.",
            f"Nothing to do. To be safe without the firewall, too: {fix}"
            if platform.bind_to_loopback
            else "Nothing to do.",
        )
    severity = warn if named else note
    return severity(
        "webhooks.wide",
        f"{what}: it can be reached from the internet without going through nginx, unencrypted.",
        "It checks who sends, but what is sent can be read on the way."
        + ("" if named else " It isn't part of this set-up yet."),
        f"Let only nginx reach it: {fix}" + ("" if named else ' ; then sudo hermes-setup, "Webhooks"'),
    )
