"""What becomes of a stranger's first packet to a port: one question, put to every packet filter of the machine.

Each module reads one program's own words (text in, values out) and says which Door it shuts. A rule that is not
understood is a doubt, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from hermes_setup.values import dataclass


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
