"""Rules in the format of iptables-save(8): tables, chains, policies."""

from __future__ import annotations

import re
from collections.abc import Collection

from hermes_setup.values import dataclass

# In the order in which netfilter asks them about a packet for this machine (nat only rewrites).
BASE_CHAINS = (
    ("raw", "PREROUTING"),
    ("mangle", "PREROUTING"),
    ("mangle", "INPUT"),
    ("filter", "INPUT"),
    ("security", "INPUT"),
)


@dataclass(frozen=True)
class Tables:
    """Rules as they are printed: (table, chain) -> lines with their numbers, and the policies."""

    rules: dict[tuple[str, str], list[tuple[int, str]]]
    policies: dict[tuple[str, str], str]
    commits: dict[str, int]  # the line that ends each table


def parse(text: str) -> Tables:
    """The tables of the text."""
    tables = Tables({}, {}, {})
    table = ""
    for number, raw in enumerate(text.splitlines()):
        line = re.sub(r"^\[\d+:\d+\] ", "", raw.strip())
        if line.startswith("*"):
            table = line[1:]
        elif line == "COMMIT":
            tables.commits[table] = number
        elif line.startswith(":"):
            name, policy, *_ = [*line[1:].split(), "-"]
            tables.rules.setdefault((table, name), [])
            if policy in ("ACCEPT", "DROP"):
                tables.policies[table, name] = policy.lower()
        elif match := re.match(r"(?:-A|--append) (\S+)(.*)", line):
            tables.rules.setdefault((table, match.group(1)), []).append((number, match.group(2).strip()))
    return tables


def incompatible_tables(text: str) -> frozenset[str]:
    """The tables of which iptables-save says that nft wrote them in its own way."""
    return frozenset(re.findall(r"^# Table [`'](\w+)' (?:is|contains) incompatible", text, re.M))


def without_tables(text: str, tables: Collection[str]) -> str:
    """The text less those tables."""
    kept, inside = [], ""
    for line in text.splitlines(keepends=True):
        inside = line[1:].strip() if line.startswith("*") else inside
        if inside not in tables:
            kept.append(line)
        inside = "" if line.strip() == "COMMIT" else inside
    return "".join(kept)
