"""nftables' tables as `nft --json list ruleset` prints them (libnftables-json(5)), and which of them are iptables' own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hermes_setup.values import dataclass, field

_IPTABLES_NAMES = frozenset(("filter", "nat", "mangle", "raw", "security"))  # what iptables-nft names its tables


@dataclass(frozen=True)
class Table:
    """A table, with its base chains, the rules of each chain and the elements of each set as the JSON has them."""

    family: str
    name: str
    base_chains: list[dict[str, Any]] = field(default_factory=list)
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    sets: dict[str, list[Any]] = field(default_factory=dict)


def parse(text: str) -> list[Table]:
    """The tables of a ruleset. Raises ValueError for what is not one."""
    tables: dict[tuple[str, str], Table] = {}
    ruleset = json.loads(text)
    entries = ruleset.get("nftables") if isinstance(ruleset, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        (kind, body), *_ = entry.items()
        if kind == "metainfo":
            continue
        key = (body.get("family", ""), body.get("name" if kind == "table" else "table", ""))
        table = tables.setdefault(key, Table(*key))
        match kind:
            case "chain":
                table.rules.setdefault(body["name"], [])
                if "hook" in body:
                    table.base_chains.append(body)
            case "rule":
                table.rules.setdefault(body["chain"], []).append(body)
            case "set" | "map":
                table.sets[body["name"]] = body.get("elem", [])
    return list(tables.values())


def written_by_iptables(table: Table) -> bool:
    """True for a table of iptables-nft: chains named as iptables names them, and nothing that it never writes.

    Each of its rules has a counter, and none has a set. iptables-save 1.8.11 leaves sets out of what it prints:
    `tcp dport { 22, 25 } accept` comes out as `-p tcp -j ACCEPT` (seen), so such a table is read from nft.
    """
    return (
        table.family in ("ip", "ip6", "arp", "bridge")
        and table.name in _IPTABLES_NAMES
        and all(str(base["name"]).isupper() for base in table.base_chains)
        and not table.sets
        and all(_rule_of_iptables(rule["expr"]) for rules in table.rules.values() for rule in rules)
    )


def _rule_of_iptables(expr: Sequence[Mapping[str, Any]]) -> bool:
    sets = ("set" in each["match"]["right"] for each in expr if isinstance(each.get("match", {}).get("right"), dict))
    return any("counter" in each for each in expr) and not any("vmap" in each for each in expr) and not any(sets)


def misprinted_by_iptables_save(text: str) -> frozenset[tuple[str, str]]:
    """(family, name) of nft's own tables that are named like those of iptables: iptables-save leaves out part of them."""
    try:
        tables = [table for table in parse(text) if table.name in _IPTABLES_NAMES]
        return frozenset((table.family, table.name) for table in tables if not written_by_iptables(table))
    except (ValueError, KeyError, AttributeError, TypeError):
        return frozenset()


def alternatives(right: Any, table: Table | None = None) -> list[Any]:
    """The values of a right-hand side: of an anonymous set, a named one of the table, a list, or the one value."""
    if isinstance(right, str) and right.startswith("@"):
        return alternatives(table.sets.get(right[1:], [right]), table) if table else [right]
    if isinstance(right, dict) and "set" in right:
        return alternatives(right["set"], table)
    if isinstance(right, list):
        return [each["elem"]["val"] if isinstance(each, dict) and "elem" in each else each for each in right]
    return [right]
