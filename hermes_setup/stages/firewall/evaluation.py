"""Rules are evaluated as the kernel does it, but for the packets of all strangers at once.

So a rule does not just match or not: it matches all of those packets, some, none, or nobody can say (`Matches`). And a
chain does not have one end but a set of possible ones: {"accept"} means that the port is open, {"drop"} that it is closed, both
that it cannot be known. Then the rule to blame is named, and nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from hermes_setup.values import dataclass


class Matches(IntEnum):
    """How many of the strangers' packets a rule matches. Of several conditions of one rule, the greatest value decides.

    LIMITED (up to a rate): accepting those opens the port, dropping them does not close it. FEW (from named
    sources): neither.
    """

    ALL = 0
    LIMITED = 1
    UNKNOWN = 2
    FEW = 3
    NONE = 4


@dataclass(frozen=True)
class Rule:
    """A rule as it concerns one packet. `action`: accept, drop, return, jump, goto, continue (the next rule), or unknown."""

    matches: Matches
    action: str
    target: str = ""  # the chain that a jump or goto leads to
    position: int = 0  # in its chain, as the filter counts
    text: str = ""


@dataclass(frozen=True)
class Chain:
    """Rules in their order; `policy` of a base chain is "accept" or "drop", "return" for the others."""

    rules: tuple[Rule, ...]
    policy: str = "return"


@dataclass(frozen=True)
class Verdict:
    """What can become of a packet. `closed_by` is the base chain's own rule that can drop it, None for the policy."""

    outcomes: frozenset[str]  # of "accept", "drop"
    closed_by: Rule | None = None
    unclear: str = ""  # the first rule that is not understood

    @property
    def closed(self) -> bool:
        """True when no stranger's packet can get through."""
        return self.outcomes == {"drop"}

    @property
    def unsure(self) -> bool:
        """True when that cannot be known."""
        return len(self.outcomes) > 1


def evaluate(base: Chain, chains: Mapping[str, Chain]) -> Verdict:
    """The verdict of a base chain, all its jumps followed."""
    outcomes: set[str] = set()
    closed_by: Rule | None = None
    unclear = ""
    for rule in base.rules:
        possible, odd = _rule_outcomes(rule, chains, ())
        unclear = unclear or odd
        if "drop" in possible and closed_by is None:
            closed_by = rule
        outcomes |= possible - {"continue", "return"}
        if "return" in possible:
            outcomes.add(base.policy)
        if "continue" not in possible:
            break
    else:
        outcomes.add(base.policy)
    return Verdict(frozenset(outcomes), closed_by, unclear)


def all_if(true: bool) -> Matches:
    """ALL when true, else NONE."""
    return Matches.ALL if true else Matches.NONE


def negated(matches: Matches) -> Matches:
    """All packets but those: where FEW match, nearly all do not."""
    opposite = {
        Matches.ALL: Matches.NONE,
        Matches.NONE: Matches.ALL,
        Matches.FEW: Matches.ALL,
        Matches.LIMITED: Matches.FEW,
    }
    return opposite.get(matches, matches)


def _rule_outcomes(rule: Rule, chains: Mapping[str, Chain], callers: tuple[str, ...]) -> tuple[set[str], str]:
    """What can come of one rule, and the text of a rule that is not understood. `callers`: the chains jumped through."""
    if rule.matches in (Matches.NONE, Matches.FEW) or rule.action == "continue":
        return {"continue"}, ""
    possible: set[str]
    unclear = rule.text if rule.matches is Matches.UNKNOWN or rule.action == "unknown" else ""
    match rule.action:
        case "accept" | "return":
            possible = {rule.action}
        case "drop":
            possible = {"continue"} if rule.matches is Matches.LIMITED else {"drop"}
        case "jump" | "goto":
            if rule.target in callers or rule.target not in chains:
                return {"accept", "drop", "continue"}, rule.text
            possible, inner = _chain_outcomes(chains[rule.target], chains, (*callers, rule.target))
            unclear = inner or unclear
            if rule.action == "goto" and "continue" in possible:
                possible = (possible - {"continue"}) | {"return"}
            if rule.matches is Matches.LIMITED and possible != {"continue"}:
                possible |= {"continue"}
        case _:
            possible = {"accept", "drop", "continue"}
    if rule.matches is Matches.UNKNOWN:
        if possible == {"continue"}:
            unclear = ""
        possible = possible | {"continue"}
    return possible, unclear


def _chain_outcomes(chain: Chain, chains: Mapping[str, Chain], callers: tuple[str, ...]) -> tuple[set[str], str]:
    """What can come of a chain that was jumped to ("continue": back to the one that jumped)."""
    outcomes: set[str] = set()
    unclear = ""
    for rule in chain.rules:
        possible, odd = _rule_outcomes(rule, chains, callers)
        unclear = unclear or odd
        outcomes |= {"continue" if each == "return" else each for each in possible - {"continue"}}
        if "continue" not in possible:
            return outcomes, unclear
    return outcomes | {"continue"}, unclear
