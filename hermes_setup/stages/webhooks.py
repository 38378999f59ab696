"""Which gateway platforms listen here, and whether they do so for nginx alone. Their locations are part of the site."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import DEFAULT_BACKEND, Backend
from hermes_setup.answers.platforms import PLATFORMS, Endpoint
from hermes_setup.engine.changes import Change
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.host import Host, Listener, Request
from hermes_setup.parallel import in_parallel
from hermes_setup.stages.hermes import api
from hermes_setup.values import dataclass

SECONDS = 2.0
SERVERS = ("aiohttp", "tornadoserver")  # what Hermes's adapters call themselves in the Server header (their libraries)


@dataclass(frozen=True)
class Seen:
    """What is at a platform's port: it ("hermes"), Hermes's pages ("dashboard"), something else ("other"), or nobody ("")."""

    hook: Endpoint
    who: str
    wide: tuple[Listener, ...] = ()  # sockets that others than this machine can reach
    shut: bool = False  # a packet filter of this machine lets no stranger in to them


@dataclass(frozen=True)
class Facts:
    """What was seen of the platforms that the answers name, and of others that listen on all addresses."""

    asked: tuple[Seen, ...] = ()
    others: tuple[Seen, ...] = ()


class Webhooks:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Asks each platform that is wanted, or whose port has a listener, side by side; 3 s at most."""
        named = answers.webhooks.endpoints if answers.webhooks else ()
        remote = answers.backend is not None and not answers.backend.local
        if remote:
            return Facts(tuple(Seen(hook, "hermes") for hook in named))
        found = look(host, named)
        from hermes_setup.stages.firewall.facts import closed_ports  # the wizard's look at who listens needs none of it

        wide = sorted({each.hook.port for each in found if each.wide})
        shut = closed_ports(host, wide)
        found = [Seen(each.hook, each.who, each.wide, each.hook.port in shut) for each in found]
        return Facts(
            tuple(each for each in found if each.hook in named),
            tuple(each for each in found if each.hook not in named and each.who == "hermes" and each.wide),
        )

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """Each platform that is let in listens, and listens to nginx alone; none has the dashboard's port."""
        found: list[Finding] = []
        for seen in facts.asked:
            hook = seen.hook
            if _of_the_dashboard(seen, answers):
                found.append(
                    block(
                        "webhooks.backend",
                        f"{hook} names port {hook.port}, and that is the dashboard's, not {hook.platform.name}'s.",
                        f"Whoever sends to {hook.platform.path} would reach the dashboard there, without a password.",
                        f"Name the port on which the gateway has {hook.platform.name}: "
                        f'"{hook.platform.name}:PORT"; usual is {hook.platform.port}, which need not be named.',
                    )
                )
            elif not seen.who:
                found.append(
                    warn(
                        "webhooks.none",
                        f"Nothing listens on port {hook.port} for {hook.platform.name} ({hook.platform.title}).",
                        "Its senders are let in, and told that nobody is there (502).",
                        "Set it up and start the gateway: hermes gateway setup ; hermes gateway start. Or take it out: sudo "
                        'hermes-setup, "Webhooks".',
                    )
                )
            elif seen.who == "other":
                found.append(
                    warn(
                        "webhooks.other",
                        f"Port {hook.port} belongs to something else than Hermes's {hook.platform.name}.",
                        f"It does not know {hook.platform.path}; requests from the internet would go to it.",
                        f'If {hook.platform.name} has another port, name it: "{hook.platform.name}:PORT". Who is it: '
                        f"sudo ss -ltnp sport = :{hook.port}",
                    )
                )
        found += [_wide(seen, asked=True) for seen in facts.asked if seen.wide and seen.who == "hermes"]
        found += [_wide(seen, asked=False) for seen in facts.others if not seen.shut]
        return found

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:  # noqa: ARG002 - a stage's shape
        """Nothing: the site holds the locations, and Hermes is its owner's."""
        return ()


def _of_the_dashboard(seen: Seen, answers: Answers) -> bool:
    """True for the port of any dashboard that answers, of the one that is named, or of the one that is looked for."""
    if seen.who == "dashboard":
        return True
    if answers.backend:
        return seen.hook.port == answers.backend.port
    return seen.hook.port == DEFAULT_BACKEND.port and seen.who != "hermes"


def _wide(seen: Seen, *, asked: bool) -> Finding:
    platform, port = seen.hook.platform, seen.hook.port
    where = "on all addresses" if any(each.everywhere for each in seen.wide) else f"on {seen.wide[0].address}"
    what = f"{platform.name} of Hermes listens {where}, port {port}"
    block = f"sudo ufw deny {port}/tcp" if not platform.pin else platform.pin
    if seen.shut:
        return note(
            "webhooks.wide",
            f"{what}; a firewall of this server shuts that port.",
            "So its senders come through nginx, encrypted. Without the firewall they could come straight.",
            f"Nothing. To be safe without it, too: {block}" if platform.pin else "Nothing.",
        )
    told = warn if asked else note
    return told(
        "webhooks.wide",
        f"{what}: it can be reached from the internet around nginx, without encryption.",
        "It checks who sends, but not who listens on the way."
        + ("" if asked else " It is not part of this set-up yet."),
        f"Let only nginx reach it: {block}" + ("" if asked else ' ; and sudo hermes-setup, "Webhooks"'),
    )


def look(host: Host, named: Sequence[Endpoint] = ()) -> list[Seen]:
    """What is at the port of each platform named, and of each other whose usual port has a listener. Never slower than 3 s."""
    listeners = host.listeners()
    ports = {each.port for each in listeners}
    known = {hook.platform for hook in named}
    hooks = [*named, *(Endpoint(each, each.port) for each in PLATFORMS if each.port in ports and each not in known)]
    if not hooks:
        return []
    who = in_parallel(lambda hook: _who(host, hook, listeners), hooks)
    return [
        Seen(hook, each, tuple(one for one in listeners if one.port == hook.port and not _loopback(one.address)))
        for hook, each in zip(hooks, who, strict=True)
    ]


def listening(host: Host) -> tuple[Endpoint, ...]:
    """The platforms that proved to listen here, in the order of their table."""
    return tuple(each.hook for each in look(host) if each.who == "hermes")


def _who(host: Host, hook: Endpoint, listeners: Sequence[Listener]) -> str:
    if all(each.port != hook.port for each in listeners):
        return ""
    asked = Request("127.0.0.1", hook.port, "127.0.0.1", hook.platform.probe, seconds=SECONDS)
    said = host.fetch(asked)
    if not said.status:
        return "" if said.error == "refused" else "other"
    server = said.header("Server").lower()
    if said.status != 404 and any(each in server for each in SERVERS):
        return "hermes"
    status = api.status_in(api.ask(host, Backend("127.0.0.1", hook.port), seconds=SECONDS / 2))
    return "dashboard" if status else "other"


def _loopback(address: str) -> bool:
    return address == "::1" or address.startswith(("127.", "::ffff:127."))
