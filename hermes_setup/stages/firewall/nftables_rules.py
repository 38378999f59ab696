"""nftables' rules as they concern a stranger's packet (libnftables-json(5), nft(8))."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hermes_setup.stages.firewall.evaluation import Chain, Matches, Rule, Verdict, all_if, evaluate, negated
from hermes_setup.stages.firewall.nftables_ruleset import Table, alternatives
from hermes_setup.stages.firewall.packets import Packet, match_destination, match_interface, match_source_port
from hermes_setup.values import replace

# Statements that decide nothing.
_IRRELEVANT = frozenset(
    (
        "counter",
        "log",
        "mangle",
        "notrack",
        "comment",
        "last",
        "ct helper",
        "ct timeout",
        "ct expectation",
        "flow",
        "dup",
    )
)
_ACTIONS = {"accept": "accept", "drop": "drop", "reject": "drop", "return": "return", "jump": "jump", "goto": "goto"}
_PORTS = {"http": 80, "https": 443, "ssh": 22}
_TCP = ("tcp", 6, "6")


def evaluate_base_chain(table: Table, base: Mapping[str, Any], packet: Packet) -> Verdict:
    """The verdict of a base chain of the table on the packet."""
    chains = {
        name: Chain(tuple(each for at, rule in enumerate(rules) for each in _rules(rule, at, table, packet)))
        for name, rules in table.rules.items()
    }
    rules = chains[str(base["name"])].rules
    if base["hook"] == "ingress":
        devices = match_interface([str(each) for each in alternatives(base.get("dev", ""))], packet)
        rules = tuple(replace(each, matches=max(each.matches, devices)) for each in rules)
    return evaluate(Chain(rules, str(base.get("policy", "accept"))), chains)


def _rules(rule: Mapping[str, Any], position: int, table: Table, packet: Packet) -> Iterator[Rule]:
    """One rule for each verdict of a rule: its own, and each entry of a verdict map."""
    so_far = Rule(Matches.ALL, "continue", position=position, text=json.dumps(rule.get("expr", []))[:200])
    for statement in rule.get("expr", []):
        (kind, body), *_ = statement.items()
        if kind == "continue":
            return
        if (condition := _condition(kind, body, table, packet)) is not None:
            so_far = replace(so_far, matches=max(so_far.matches, condition))
        elif kind in _ACTIONS:
            yield replace(so_far, action=_ACTIONS[kind], target=_target(body))
        elif kind == "vmap":
            yield from _verdict_map(body, so_far, table, packet)
        elif kind == "xt" and body is None:  # older versions print a condition and a verdict alike
            yield replace(so_far, matches=Matches.UNKNOWN, action="unknown")
        elif kind == "xt":
            so_far = replace(so_far, matches=max(so_far.matches, Matches.UNKNOWN))
            if isinstance(body, dict) and body.get("type") == "target":
                yield replace(so_far, action="unknown")
        else:  # queue, synproxy, tproxy, and what later versions bring
            yield replace(so_far, action="unknown")


def _condition(kind: str, body: Any, table: Table, packet: Packet) -> Matches | None:
    """How many packets a statement lets go on to the next one of its rule; None for one that is a verdict, or may be."""
    match kind:
        case "match":
            return _match(body, table, packet)
        case "limit" | "ct count":
            return Matches.FEW if body.get("inv") else Matches.LIMITED
        case "set" | "meter":
            inner = body.get("stmt", [])
            each_limit = inner if isinstance(inner, list) else [inner]
            limits = [
                Matches.FEW
                if any(isinstance(value, dict) and value.get("inv") for value in each.values())
                else Matches.LIMITED
                for each in each_limit
            ]
            return max(limits, default=Matches.ALL)
        case "quota":
            return Matches.UNKNOWN
        case "xt" if isinstance(body, dict) and body.get("name") in ("LOG", "NFLOG", "comment"):
            return Matches.ALL
        case _:
            return Matches.ALL if kind in _IRRELEVANT else None


def _target(body: Any) -> str:
    """The chain of a jump or goto."""
    return str(body["target"]) if isinstance(body, dict) and "target" in body else ""


def _verdict_map(body: Mapping[str, Any], so_far: Rule, table: Table, packet: Packet) -> Iterator[Rule]:
    """One rule for each entry of a verdict map; `so_far` is the rule up to there."""
    for each in alternatives(body["data"], table):
        if not (isinstance(each, list) and len(each) == 2 and isinstance(each[1], dict)):
            yield replace(so_far, matches=max(so_far.matches, Matches.UNKNOWN), action="unknown")
            continue
        key, verdict = each
        key = key["elem"]["val"] if isinstance(key, dict) and "elem" in key else key
        matches = max(so_far.matches, _is_among(body["key"], key, table, packet))
        (kind, target), *_ = verdict.items()
        yield replace(so_far, matches=matches, action=_ACTIONS.get(kind, kind), target=_target(target))


def _match(body: Mapping[str, Any], table: Table, packet: Packet) -> Matches:
    matches = _is_among(body["left"], body["right"], table, packet)
    if body["op"] == "!=":
        return Matches.NONE if _has_no_such_header(body["left"], packet) else negated(matches)
    if body["op"] in ("==", "in"):
        return matches
    return _compared(body, packet)


def _compared(body: Mapping[str, Any], packet: Packet) -> Matches:
    """<, >, <=, >= on the port; anything else is not understood."""
    left, right = body["left"], body["right"]
    if not (isinstance(left, dict) and left.get("payload", {}).get("field") == "dport" and isinstance(right, int)):
        return Matches.UNKNOWN
    port = packet.port
    comparisons = {"<": port < right, ">": port > right, "<=": port <= right, ">=": port >= right}
    return all_if(comparisons[body["op"]]) if body["op"] in comparisons else Matches.UNKNOWN


def _has_no_such_header(left: Any, packet: Packet) -> bool:
    """True when the packet has no such header, so that no match on it holds, whatever its operator."""
    protocol = left.get("payload", {}).get("protocol", "") if isinstance(left, dict) else ""
    if protocol in ("ip", "ip6"):
        return (protocol == "ip6") is not packet.ipv6
    return protocol in ("udp", "udplite", "icmp", "icmpv6", "sctp", "dccp", "esp", "ah", "arp", "igmp", "gre", "comp")


def _is_among(left: Any, right: Any, table: Table, packet: Packet) -> Matches:
    """How many packets have a `left` that is (among) `right`."""
    if not isinstance(left, dict):
        return Matches.UNKNOWN
    if _has_no_such_header(left, packet):
        return Matches.NONE
    (kind, body), *_ = left.items()
    if kind == "concat":
        return _concat(body, right, table, packet)
    values = alternatives(right, table)
    if kind == "&":
        of, mask = body
        if of == {"payload": {"protocol": "tcp", "field": "flags"}}:
            flags = set(_bits(mask))
            return all_if(flags & {"syn"} == set(_bits(right)))
        return Matches.UNKNOWN
    if kind == "payload":
        return _payload(str(body.get("protocol", "")), str(body.get("field", "")), values, packet)
    if kind == "meta":
        return _meta(str(body.get("key", "")), values, packet)
    if kind == "ct":
        return _conntrack(str(body.get("key", "")), values)
    if kind == "fib":
        return _route_lookup(body, values)
    return Matches.UNKNOWN


def _payload(protocol: str, name: str, values: Sequence[Any], packet: Packet) -> Matches:
    if protocol in ("tcp", "th"):
        if name == "dport":
            return all_if(any(low <= packet.port <= high for low, high in _port_ranges(values)))
        if name == "sport":
            return match_source_port(_port_ranges(values))
        if name == "flags":
            return all_if("syn" in values)
        return Matches.UNKNOWN
    if protocol in ("ip", "ip6"):
        if name in ("protocol", "nexthdr"):
            return all_if(any(each in values for each in _TCP))
        if name == "saddr":
            return Matches.FEW
        if name == "daddr":
            networks = [_network(each) for each in values]
            return match_destination([each for each in networks if each], packet) if all(networks) else Matches.UNKNOWN
        if name == "version":
            return all_if((6 if packet.ipv6 else 4) in values)
        return Matches.UNKNOWN
    return Matches.FEW if protocol == "ether" and name == "saddr" else Matches.UNKNOWN


def _meta(key: str, values: Sequence[Any], packet: Packet) -> Matches:
    match key:
        case "iif" | "iifname":
            return match_interface([str(each) for each in values], packet)
        case "iiftype":
            return Matches.NONE if all(each in ("loopback", 772) for each in values) else Matches.UNKNOWN
        case "l4proto":
            return all_if(any(each in values for each in _TCP))
        case "nfproto":
            return all_if(("ipv6" if packet.ipv6 else "ipv4") in values or (10 if packet.ipv6 else 2) in values)
        case "protocol":
            return all_if(("ip6" if packet.ipv6 else "ip") in values)
        case "pkttype":
            return all_if(bool({"host", "unicast"} & set(map(str, values))))
        case _:
            return Matches.UNKNOWN


def _conntrack(key: str, values: Sequence[Any]) -> Matches:
    if key == "state":
        return all_if("new" in values)
    if key == "direction":
        return all_if("original" in values)
    return Matches.NONE if key in ("status", "helper", "expiration") else Matches.UNKNOWN


def _route_lookup(body: Mapping[str, Any], values: Sequence[Any]) -> Matches:
    """What the kernel's routing table says (fib)."""
    flags, result = body.get("flags", []), body.get("result")
    if result == "type" and "daddr" in flags:
        return all_if(bool({"local", "unicast"} & {each for each in values if isinstance(each, str)}))
    if "saddr" in flags and result in ("oif", "oifname", "check"):
        return all_if(any(each is True for each in values))  # the way to the sender is the way that the packet came
    return Matches.UNKNOWN


def _concat(parts: Sequence[Any], right: Any, table: Table, packet: Packet) -> Matches:
    best = Matches.NONE
    for each in alternatives(right, table):
        if not (isinstance(each, dict) and len(each.get("concat", ())) == len(parts)):
            return Matches.UNKNOWN
        whole = max(_is_among(part, value, table, packet) for part, value in zip(parts, each["concat"], strict=True))
        best = min(best, whole)
    return best


def _bits(value: Any) -> list[str]:
    if isinstance(value, dict) and "|" in value:
        return [bit for each in value["|"] for bit in _bits(each)]
    return [str(bit) for bit in value] if isinstance(value, list) else [str(value)]


def _port_ranges(values: Sequence[Any]) -> list[tuple[int, int]]:
    found = []
    for each in values:
        low, high = each["range"] if isinstance(each, dict) and "range" in each else (each, each)
        low, high = _PORTS.get(low, low), _PORTS.get(high, high)
        if isinstance(low, int) and isinstance(high, int):
            found.append((low, high))
    return found


def _network(value: Any) -> str:
    if isinstance(value, dict) and "prefix" in value:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    return value if isinstance(value, str) else ""
