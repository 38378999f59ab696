"""What becomes of a stranger's first packet to a port: one question, put to every packet filter of the machine.

Each module reads one program's own words (text in, values out) and says which Door it shuts. A rule that is not
understood is a doubt, never a guess.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from enum import IntEnum
from fnmatch import fnmatchcase

from hermes_setup.engine.changes import Change
from hermes_setup.values import dataclass

MARK = "hermes-setup"  # the comment on each rule of ours


@dataclass(frozen=True)
class Newcomer:
    """The first packet (SYN) of a TCP connection from somewhere on the internet to `port` of this machine.

    `outside`: the interfaces with a default route, () where there is none; `addresses`: this machine's own.
    """

    port: int
    six: bool
    outside: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Door:
    """A port that some filter shuts. `opens` are the changes that open it, for `where` = "ufw", "iptables", ..."""

    where: str
    port: int
    why: str
    opens: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What one filter does. `doubts` are rules that decide and are not understood; `fleeting`: not kept over a reboot."""

    doors: tuple[Door, ...] = ()
    doubts: tuple[str, ...] = ()
    fleeting: tuple[str, ...] = ()


class Fits(IntEnum):
    """How many of all newcomers a rule is about. Of several matches of one rule, the greatest decides.

    OFTEN (within a rate limit): letting those in opens the port, turning them away does not shut it. FEW (named
    sources): neither.
    """

    ALL = 0
    OFTEN = 1
    UNKNOWN = 2
    FEW = 3
    NONE = 4


@dataclass(frozen=True)
class Step:
    """A rule, as far as it is about a newcomer. `does`: accept, drop, return, jump, goto, on (nothing), or unknown."""

    fits: Fits
    does: str
    target: str = ""
    at: int = 0  # its place in the chain, as the filter counts
    text: str = ""


@dataclass(frozen=True)
class Chain:
    """Rules in their order; `policy` of a base chain is "accept" or "drop", "return" for the others."""

    steps: tuple[Step, ...]
    policy: str = "return"


@dataclass(frozen=True)
class Verdict:
    """What can become of a newcomer; `shuts` is the base chain's own rule that ends it, None for the policy."""

    ends: frozenset[str]  # of "accept", "drop"
    shuts: Step | None = None
    doubt: str = ""

    @property
    def shut(self) -> bool:
        """True when no newcomer can get through."""
        return self.ends == {"drop"}

    @property
    def unsure(self) -> bool:
        """True when that cannot be told."""
        return len(self.ends) > 1


def judge(base: Chain, chains: Mapping[str, Chain]) -> Verdict:
    """The fate of a newcomer in a base chain, all its jumps followed."""
    ends: set[str] = set()
    shuts: Step | None = None
    doubt = ""
    for step in base.steps:
        can, odd = _ends(step, chains, ())
        doubt = doubt or odd
        if "drop" in can and shuts is None:
            shuts = step
        ends |= can - {"on", "return"}
        if "return" in can:
            ends.add(base.policy)
        if "on" not in can:
            break
    else:
        ends.add(base.policy)
    return Verdict(frozenset(ends), shuts, doubt)


def _ends(step: Step, chains: Mapping[str, Chain], above: tuple[str, ...]) -> tuple[set[str], str]:
    """What can come of one step ("on": the next one is asked), and the text of a rule that is not understood."""
    if step.fits in (Fits.NONE, Fits.FEW) or step.does == "on":
        return {"on"}, ""
    can: set[str]
    doubt = step.text if step.fits is Fits.UNKNOWN or step.does == "unknown" else ""
    match step.does:
        case "accept" | "return":
            can = {step.does}
        case "drop":
            can = {"on"} if step.fits is Fits.OFTEN else {"drop"}
        case "jump" | "goto":
            if step.target in above or step.target not in chains:
                return {"accept", "drop", "on"}, step.text
            can, inner = _through(chains[step.target], chains, (*above, step.target))
            doubt = inner or doubt
            if step.does == "goto" and "on" in can:
                can = (can - {"on"}) | {"return"}
            if step.fits is Fits.OFTEN and can != {"on"}:
                can |= {"on"}
        case _:
            can = {"accept", "drop", "on"}
    if step.fits is Fits.UNKNOWN:
        if can == {"on"}:
            doubt = ""
        can = can | {"on"}
    return can, doubt


def _through(chain: Chain, chains: Mapping[str, Chain], above: tuple[str, ...]) -> tuple[set[str], str]:
    ends: set[str] = set()
    doubt = ""
    for step in chain.steps:
        can, odd = _ends(step, chains, above)
        doubt = doubt or odd
        ends |= {"on" if end == "return" else end for end in can - {"on"}}
        if "on" not in can:
            return ends, doubt
    return ends | {"on"}, doubt


def all_or_none(true: bool) -> Fits:
    """ALL when true."""
    return Fits.ALL if true else Fits.NONE


def turned(fits: Fits) -> Fits:
    """The other newcomers: of a FEW, nearly all."""
    return {Fits.ALL: Fits.NONE, Fits.NONE: Fits.ALL, Fits.FEW: Fits.ALL, Fits.OFTEN: Fits.FEW}.get(fits, fits)


def arrives_at(names: Sequence[str], packet: Newcomer) -> Fits:
    """A newcomer comes in by one of these interfaces (`*` at the end stands for any rest)."""
    if not packet.outside:
        return Fits.NONE if all(name == "lo" for name in names) else Fits.UNKNOWN
    through = [any(fnmatchcase(each, name) for name in names) for each in packet.outside]
    return Fits.ALL if all(through) else Fits.UNKNOWN if any(through) else Fits.NONE


def sent_to(networks: Sequence[str], packet: Newcomer) -> Fits:
    """A newcomer's destination is one of these addresses or networks."""
    try:
        wanted = [ipaddress.ip_network(each, strict=False) for each in networks]
    except ValueError:
        return Fits.UNKNOWN
    if any(each.prefixlen == 0 for each in wanted):
        return Fits.ALL
    never = (each.is_multicast or each.is_loopback or str(each.network_address) == "255.255.255.255" for each in wanted)
    if wanted and all(never):
        return Fits.NONE
    ours = [ipaddress.ip_address(each) for each in packet.addresses]
    ours = [each for each in ours if (each.version == 6) is packet.six]
    ours = [each for each in ours if each.is_global] or ours  # strangers do not come to a tunnel's address
    inside = [any(each in network for network in wanted) for each in ours]
    if not inside:
        return Fits.UNKNOWN
    return Fits.ALL if all(inside) else Fits.UNKNOWN if any(inside) else Fits.NONE


def comes_from_port(ranges: Sequence[tuple[int, int]]) -> Fits:
    """A newcomer's source port is in one of these; it is any from 1024 up (RFC 6056 section 2.1)."""
    if any(low <= 1024 and high >= 65535 for low, high in ranges):
        return Fits.ALL
    return Fits.NONE if all(high < 1024 for _, high in ranges) else Fits.FEW
