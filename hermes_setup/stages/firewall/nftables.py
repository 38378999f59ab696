"""What nftables closes, and what opens it: the running rules, and the file that brings them back at boot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from hermes_setup.engine.changes import Place, Run
from hermes_setup.host import File, Node
from hermes_setup.phrases import ports_named
from hermes_setup.stages.firewall.evaluation import Verdict
from hermes_setup.stages.firewall.nftables_conf import CONF, find_chain
from hermes_setup.stages.firewall.nftables_rules import evaluate_base_chain
from hermes_setup.stages.firewall.nftables_ruleset import Table, alternatives, parse, written_by_iptables
from hermes_setup.stages.firewall.packets import Packet
from hermes_setup.stages.firewall.report import COMMENT, Opening, Report
from hermes_setup.values import dataclass, field, replace

OUR_CHAIN = "hermes_setup"  # in the table that closes the port: it can be emptied without knowing a handle

_HOOKS = ("ingress", "prerouting", "input")  # of netfilter: those that a packet for this machine passes


@dataclass(frozen=True)
class _ClosedChain:
    """A base chain, as the JSON has it, that drops packets; and why it drops each."""

    table: Table
    base: dict[str, Any]
    dropped: list[tuple[Packet, Verdict]] = field(default_factory=list)

    @property
    def ports(self) -> list[int]:
        return sorted({packet.port for packet, _ in self.dropped})


def report(
    text: str,
    saved: Node,
    packets: Sequence[Packet],
    *,
    iptables: bool,
    incompatible: frozenset[tuple[str, str]] = frozenset(),
) -> Report:
    """What nftables' own tables do; `saved` is /etc/nftables.conf.

    With `iptables`, the tables of iptables-nft are left to iptables-save, except those that it calls `incompatible`.
    """

    def own(table: Table) -> bool:
        shown_by_iptables = iptables and written_by_iptables(table) and (table.family, table.name) not in incompatible
        return not shown_by_iptables and table.name != "firewalld"

    try:
        tables = [table for table in parse(text) if own(table)]
    except (ValueError, KeyError, AttributeError, TypeError):
        return Report(unclear=("nftables: its rules can't be read",))
    closed: dict[tuple[str, str, str], _ClosedChain] = {}
    unclear: list[str] = []
    for table, packet, base in _base_chains(tables, packets):
        verdict = evaluate_base_chain(table, base, packet)
        key = (table.family, table.name, str(base["name"]))
        ours_to_open = base["hook"] == "input" and all(map(_needs_no_quotes, key[1:]))
        if verdict.unsure or (verdict.closed and not ours_to_open):
            unclear.append(f"nftables, table {table.family} {table.name}: {verdict.unclear or _why_closed(verdict)}")
        elif verdict.closed:
            closed.setdefault(key, _ClosedChain(table, base)).dropped.append((packet, verdict))
    openings = [opening for each in closed.values() for opening in _openings(each)]
    after_boot, unsaved = _saved_openings(tables, closed, saved)
    return Report((*openings, *after_boot), tuple(dict.fromkeys(unclear)), unsaved)


def _base_chains(tables: Sequence[Table], packets: Sequence[Packet]) -> Iterator[tuple[Table, Packet, dict[str, Any]]]:
    """Each base chain that can drop each packet."""
    for table in tables:
        for packet in packets:
            if table.family in ("inet", "netdev", "ip6" if packet.ipv6 else "ip"):
                for base in table.base_chains:
                    if base.get("hook") in _HOOKS and base.get("type") == "filter":
                        yield table, packet, base


def _needs_no_quotes(name: str) -> bool:
    """True for a name that nft can read."""
    return re.fullmatch(r"[A-Za-z_][\w./\\-]*", name) is not None


def _why_closed(verdict: Verdict) -> str:
    return verdict.closed_by.text if verdict.closed_by else "policy drop"


def _openings(closed: _ClosedChain) -> list[Opening]:
    """A chain of ours that accepts the ports, and a jump to it before the first rule that drops one of them."""
    table, ports = closed.table, closed.ports
    rules = table.rules[str(closed.base["name"])]
    places = [verdict.closed_by.position for _, verdict in closed.dropped if verdict.closed_by]
    first = min(places, default=len(rules))
    where = f"{table.family} {table.name}"
    chain = f"{where} {closed.base['name']}"
    commands = [f"add chain {where} {OUR_CHAIN}", f"add rule {where} {OUR_CHAIN} {_accept_rule(ports)}"]
    if not any(_jumps_to_our_chain(rule) for rule in rules[:first]):
        commands.append(
            f"insert rule {chain} handle {rules[first]['handle']} jump {OUR_CHAIN}"
            if first < len(rules)
            else f"add rule {chain} jump {OUR_CHAIN}"
        )
    names = " and ".join(map(str, ports))
    change = Run(
        ("nft", "; ".join(commands)),
        f"open {ports_named(ports)} in nftables, table {where}",
        gives=f"port {names} open (nftables {chain})",
        # "add" first, so that it also works where the chain was never made
        undo_argv=("nft", f"add chain {where} {OUR_CHAIN}; flush chain {where} {OUR_CHAIN}"),
        seconds=30,
    )
    why = _why_closed(closed.dropped[0][1])
    return [Opening("nftables", port, f"table {where}: {why}", (change,)) for port in ports]


def _accept_rule(ports: Sequence[int]) -> str:
    wanted = str(ports[0]) if len(ports) == 1 else f"{{ {', '.join(map(str, ports))} }}"
    return f'tcp dport {wanted} accept comment "{COMMENT}"'


def _saved_openings(
    tables: Sequence[Table], closed: dict[tuple[str, str, str], _ClosedChain], saved: Node
) -> tuple[tuple[Opening, ...], tuple[str, ...]]:
    """What keeps the ports open after a restart, by /etc/nftables.conf; and the tables that are not in that file.

    A port that an earlier run opened is open now, so each chain that jumps to ours is looked up in the file, too.
    """
    old = text = saved.content.decode("utf-8", "surrogateescape") if isinstance(saved, File) else ""
    added: set[int] = set()
    unsaved: list[str] = []
    for table in tables:
        for base in table.base_chains:
            name = str(base["name"])
            now_closed = closed.get((table.family, table.name, name))
            wanted = sorted({*(now_closed.ports if now_closed else ()), *_ports_of_our_chain(table, name)})
            if base.get("hook") != "input" or not wanted:
                continue
            chain = find_chain(text, table.family, table.name, name)
            if chain is None:
                unsaved.append(f"nftables, table {table.family} {table.name}")
            elif missing := [port for port in wanted if not chain.opens(port)]:
                text = chain.with_rule(_accept_rule(missing))
                added |= set(missing)
    if text == old or not isinstance(saved, File):
        return (), tuple(unsaved)
    ports = sorted(added)
    place = Place(
        CONF,
        replace(saved, content=text.encode("utf-8", "surrogateescape")),
        f"keep {ports_named(ports)} open after a restart (nftables)",
    )
    check = Run(("nft", "--check", "--file", CONF), f"check that nft can read {CONF}", seconds=30)
    return tuple(Opening(CONF, port, "closed after a restart", (place, check)) for port in ports), tuple(unsaved)


def _jumps_to_our_chain(rule: dict[str, Any]) -> bool:
    return any("jump" in each and each["jump"]["target"] == OUR_CHAIN for each in rule["expr"])


def _ports_of_our_chain(table: Table, base_chain: str) -> set[int]:
    """The ports that our own chain opens for a base chain."""
    if not any(_jumps_to_our_chain(rule) for rule in table.rules[base_chain]):
        return set()
    return {
        port
        for rule in table.rules.get(OUR_CHAIN, [])
        for each in rule["expr"]
        if "match" in each
        for port in alternatives(each["match"]["right"])
        if isinstance(port, int)
    }
