"""What nftables closes, and what opens it: the running rules, and the file that brings them back at boot."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hermes_setup.engine.changes import Place, Run
from hermes_setup.host import File, Node
from hermes_setup.stages.firewall.nftables_conf import CONF, find
from hermes_setup.stages.firewall.nftables_rules import judge_base
from hermes_setup.stages.firewall.nftables_ruleset import Table, alternatives, of_iptables, parse
from hermes_setup.stages.firewall.openings import MARK, Door, Reading
from hermes_setup.stages.firewall.packets import Newcomer
from hermes_setup.stages.firewall.rules import Verdict
from hermes_setup.values import replace

OURS = "hermes_setup"  # a chain of our own in the table that shuts the port: it can be emptied without knowing a handle
_HOOKS = ("ingress", "prerouting", "input")


def read(
    text: str,
    kept: Node,
    packets: Sequence[Newcomer],
    *,
    iptables: bool,
    refused: frozenset[tuple[str, str]] = frozenset(),
    conf: str = CONF,
) -> Reading:
    """What nftables' own tables shut; `kept` is `conf`.

    With `iptables`, the tables of iptables-nft are read elsewhere, but for those that iptables-save `refused`.
    """

    def elsewhere(table: Table) -> bool:
        theirs = iptables and of_iptables(table) and (table.family, table.name) not in refused
        return theirs or table.name == "firewalld"

    try:
        tables = parse(text)
    except (ValueError, KeyError, AttributeError, TypeError):
        return Reading(doubts=("nftables: its rules cannot be read",))
    shut: dict[tuple[str, str, str], list[tuple[Newcomer, Verdict]]] = {}
    doubts: list[str] = []
    found: dict[tuple[str, str, str], tuple[Table, dict[str, Any]]] = {}
    for table in tables:
        if elsewhere(table):
            continue
        for packet in packets:
            if table.family == ("ip" if packet.six else "ip6") or table.family not in ("inet", "ip", "ip6", "netdev"):
                continue
            for base in table.bases:
                if base.get("hook") not in _HOOKS or base.get("type") != "filter":
                    continue
                verdict = judge_base(table, base, packet)
                key = (table.family, table.name, str(base["name"]))
                if verdict.unsure or (verdict.shut and (base["hook"] != "input" or not all(map(_plain, key[1:])))):
                    doubts.append(f"nftables, table {table.family} {table.name}: {verdict.doubt or _told(verdict)}")
                elif verdict.shut:
                    shut.setdefault(key, []).append((packet, verdict))
                    found[key] = (table, base)
    doors = [door for key, closed in shut.items() for door in _doors(*found[key], closed)]
    own = [each for each in tables if not elsewhere(each)]
    again, fleeting = _kept(own, shut, kept, conf)
    return Reading((*doors, *again), tuple(dict.fromkeys(doubts)), fleeting)


def _plain(name: str) -> bool:
    """A name that nft reads without quotes."""
    return re.fullmatch(r"[A-Za-z_][\w./\\-]*", name) is not None


def _told(verdict: Verdict) -> str:
    return verdict.shuts.text if verdict.shuts else "policy drop"


def _doors(table: Table, base: Mapping[str, Any], closed: Sequence[tuple[Newcomer, Verdict]]) -> list[Door]:
    ports = sorted({packet.port for packet, _ in closed})
    rules = table.rules[str(base["name"])]
    places = [verdict.shuts.at for _, verdict in closed if verdict.shuts]
    first = min(places) if len(places) == len(closed) else min(places, default=len(rules))
    where = f"{table.family} {table.name}"
    here = f"{where} {base['name']}"
    steps = [f"add chain {where} {OURS}", f"add rule {where} {OURS} {_rule(ports)}"]
    jumps = (any("jump" in each and each["jump"]["target"] == OURS for each in rule["expr"]) for rule in rules[:first])
    if not any(jumps):
        steps.append(
            f"insert rule {here} handle {rules[first]['handle']} jump {OURS}"
            if first < len(rules)
            else f"add rule {here} jump {OURS}"
        )
    names = " and ".join(map(str, ports))
    opens = Run(
        ("nft", "; ".join(steps)),
        f"open port {names} in nftables, table {where}",
        gives=f"port {names} open (nftables {here})",
        undo_argv=("nft", f"add chain {where} {OURS}; flush chain {where} {OURS}"),  # also where it was never made
        seconds=30,
    )
    why = _told(closed[0][1])
    return [Door("nftables", port, f"table {where}: {why}", (opens,)) for port in ports]


def _rule(ports: Sequence[int]) -> str:
    wanted = str(ports[0]) if len(ports) == 1 else f"{{ {', '.join(map(str, ports))} }}"
    return f'tcp dport {wanted} accept comment "{MARK}"'


def _kept(
    tables: Sequence[Table],
    shut: Mapping[tuple[str, str, str], Sequence[tuple[Newcomer, Verdict]]],
    kept: Node,
    conf: str,
) -> tuple[tuple[Door, ...], tuple[str, ...]]:
    """The ports that would be shut at the next boot, with the file that opens them; and the tables that no file keeps.

    What was opened before is open now, so the file is asked about each chain that leads to ours, too.
    """
    was = text = kept.content.decode("utf-8", "surrogateescape") if isinstance(kept, File) else ""
    ports: set[int] = set()
    fleeting: list[str] = []
    for table in tables:
        for base in table.bases:
            name = str(base["name"])
            closed = shut.get((table.family, table.name, name), ())
            wanted = sorted({packet.port for packet, _ in closed} | _ours(table, name))
            if base.get("hook") != "input" or not wanted:
                continue
            written = find(text, table.family, table.name, name)
            if written is None:
                fleeting.append(f"nftables, table {table.family} {table.name}")
            elif missing := [port for port in wanted if not written.opens(port)]:
                text = written.with_rule(_rule(missing))
                ports |= set(missing)
    if text == was or not isinstance(kept, File):
        return (), tuple(fleeting)
    place = Place(
        conf,
        replace(kept, content=text.encode("utf-8", "surrogateescape")),
        f"keep port {' and '.join(map(str, sorted(ports)))} open after a restart (nftables)",
    )
    check = Run(("nft", "--check", "--file", conf), f"check that nft can read {conf}", seconds=30)
    return tuple(Door(conf, port, "shut at the next boot", (place, check)) for port in sorted(ports)), tuple(fleeting)


def _ours(table: Table, chain: str) -> set[int]:
    """The ports that our own chain opens for a base chain."""
    if not any(
        "jump" in each and each["jump"]["target"] == OURS for rule in table.rules[chain] for each in rule["expr"]
    ):
        return set()
    return {
        port
        for rule in table.rules.get(OURS, [])
        for each in rule["expr"]
        if "match" in each
        for port in alternatives(each["match"]["right"])
        if isinstance(port, int)
    }
