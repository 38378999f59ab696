"""nftables' rules, by `nft --json list ruleset` (libnftables-json(5)): tables, and whose they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hermes_setup.values import dataclass, field

_COMPAT = frozenset(("filter", "nat", "mangle", "raw", "security"))  # what iptables-nft names its tables


@dataclass(frozen=True)
class Table:
    """A table, with its rules as the JSON has them."""

    family: str
    name: str
    bases: list[dict[str, Any]] = field(default_factory=list)
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    sets: dict[str, list[Any]] = field(default_factory=dict)


def parse(text: str) -> list[Table]:
    """The tables of a ruleset. Raises ValueError for what is not one."""
    tables: dict[tuple[str, str], Table] = {}
    told = json.loads(text)
    for entry in told["nftables"] if isinstance(told, dict) and isinstance(told.get("nftables"), list) else ():
        (kind, body), *_ = entry.items()
        if kind == "metainfo":
            continue
        key = (body.get("family", ""), body.get("name" if kind == "table" else "table", ""))
        table = tables.setdefault(key, Table(*key))
        match kind:
            case "chain":
                table.rules.setdefault(body["name"], [])
                if "hook" in body:
                    table.bases.append(body)
            case "rule":
                table.rules.setdefault(body["chain"], []).append(body)
            case "set" | "map":
                table.sets[body["name"]] = body.get("elem", [])
    return list(tables.values())


def of_iptables(table: Table) -> bool:
    """True for a table that iptables-nft keeps: chains named as iptables names them, and nothing that it never writes.

    Each of its rules has a counter, and none has a set. iptables-save 1.8.11 leaves sets out of what it prints:
    `tcp dport { 22, 25 } accept` comes out as `-p tcp -j ACCEPT` (seen), so such a table is read here.
    """
    return (
        table.family in ("ip", "ip6", "arp", "bridge")
        and table.name in _COMPAT
        and all(str(base["name"]).isupper() for base in table.bases)
        and not table.sets
        and all(_written_by_iptables(rule["expr"]) for rules in table.rules.values() for rule in rules)
    )


def _written_by_iptables(expr: Sequence[Mapping[str, Any]]) -> bool:
    sets = ("set" in each["match"]["right"] for each in expr if isinstance(each.get("match", {}).get("right"), dict))
    return any("counter" in each for each in expr) and not any("vmap" in each for each in expr) and not any(sets)


def strangers(text: str) -> frozenset[tuple[str, str]]:
    """(family, name) of the tables that are named as iptables' own are, and are not: iptables-save cannot be believed."""
    try:
        tables = parse(text)
        return frozenset((each.family, each.name) for each in tables if each.name in _COMPAT and not of_iptables(each))
    except (ValueError, KeyError, AttributeError, TypeError):
        return frozenset()


def alternatives(right: Any, table: Table | None = None) -> list[Any]:
    """The alternatives of a right-hand side: an anonymous set, a named one, a list, or one value."""
    if isinstance(right, str) and right.startswith("@"):
        return alternatives(table.sets.get(right[1:], [right]), table) if table else [right]
    if isinstance(right, dict) and "set" in right:
        return alternatives(right["set"], table)
    if isinstance(right, list):
        return [each["elem"]["val"] if isinstance(each, dict) and "elem" in each else each for each in right]
    return [right]
