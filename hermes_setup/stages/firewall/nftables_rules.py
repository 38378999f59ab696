"""nftables' rules, as far as they are about a stranger's packet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hermes_setup.stages.firewall.nftables_ruleset import Table, alternatives
from hermes_setup.stages.firewall.packets import Newcomer, arrives_at, comes_from_port, sent_to
from hermes_setup.stages.firewall.rules import Chain, Fits, Step, Verdict, all_or_none, judge, turned
from hermes_setup.values import replace

_CONTINUE = frozenset(
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
_PORTS = {"http": 80, "https": 443, "ssh": 22}
_TCP = ("tcp", 6, "6")


def judge_base(table: Table, base: Mapping[str, Any], packet: Newcomer) -> Verdict:
    """What becomes of the packet in a base chain of the table."""
    chains = {
        name: Chain(tuple(step for at, rule in enumerate(rules) for step in _steps(rule, at, table, packet)))
        for name, rules in table.rules.items()
    }
    steps = chains[str(base["name"])].steps
    if base["hook"] == "ingress":
        fits = arrives_at([str(each) for each in alternatives(base.get("dev", ""))], packet)
        steps = tuple(replace(step, fits=max(step.fits, fits)) for step in steps) if fits is not Fits.ALL else steps
    return judge(Chain(steps, str(base.get("policy", "accept"))), chains)


def _steps(rule: Mapping[str, Any], at: int, table: Table, packet: Newcomer) -> Iterator[Step]:
    """A rule as steps: one for its verdict, one for each entry of a verdict map."""
    fits = Fits.ALL
    text = json.dumps(rule.get("expr", []))[:200]
    for part in rule.get("expr", []):
        (kind, body), *_ = part.items()
        match kind:
            case "match":
                fits = max(fits, _match(body, table, packet))
            case "accept" | "return":
                yield Step(fits, kind, at=at, text=text)
            case "drop" | "reject":
                yield Step(fits, "drop", at=at, text=text)
            case "jump" | "goto":
                yield Step(fits, kind, str(body["target"]), at, text)
            case "continue":
                return
            case "limit":
                fits = max(fits, Fits.FEW if body.get("inv") else Fits.OFTEN)
            case "ct count":
                fits = max(fits, Fits.FEW if body.get("inv") else Fits.OFTEN)
            case "set" | "meter":
                inner = body.get("stmt", [])
                for each in inner if isinstance(inner, list) else [inner]:
                    over = any(isinstance(value, dict) and value.get("inv") for value in each.values())
                    fits = max(fits, Fits.FEW if over else Fits.OFTEN)
            case "vmap":
                yield from _map(body, fits, at, table, packet, text)
            case "xt" if isinstance(body, dict) and body.get("name") in ("LOG", "NFLOG", "comment"):
                pass
            case "xt" if body is None:  # older versions do not tell a match from a verdict
                yield Step(Fits.UNKNOWN, "unknown", at=at, text=text)
            case "xt":
                target = isinstance(body, dict) and body.get("type") == "target"
                fits = max(fits, Fits.UNKNOWN)
                if target:
                    yield Step(fits, "unknown", at=at, text=text)
            case _ if kind in _CONTINUE:
                pass
            case "quota":
                fits = max(fits, Fits.UNKNOWN)
            case _:  # queue, synproxy, tproxy, and what later versions bring
                yield Step(fits, "unknown", at=at, text=text)


def _map(body: Mapping[str, Any], fits: Fits, at: int, table: Table, packet: Newcomer, text: str) -> Iterator[Step]:
    for each in alternatives(body["data"], table):
        if not (isinstance(each, list) and len(each) == 2 and isinstance(each[1], dict)):
            yield Step(max(fits, Fits.UNKNOWN), "unknown", at=at, text=text)
            continue
        key, verdict = each
        key = key["elem"]["val"] if isinstance(key, dict) and "elem" in key else key
        both = max(fits, _is(body["key"], key, table, packet))
        (kind, target), *_ = verdict.items()
        if kind in ("jump", "goto"):
            yield Step(both, kind, str(target["target"]), at, text)
        else:
            yield Step(both, {"reject": "drop", "continue": "on"}.get(kind, kind), at=at, text=text)


def _match(body: Mapping[str, Any], table: Table, packet: Newcomer) -> Fits:
    fits = _is(body["left"], body["right"], table, packet)
    absent = _absent(body["left"], packet)
    if body["op"] == "!=":
        return Fits.NONE if absent else turned(fits)
    if body["op"] in ("==", "in"):
        return fits
    return _compared(body, packet)


def _compared(body: Mapping[str, Any], packet: Newcomer) -> Fits:
    """<, >, <=, >= on the port; anything else is not understood."""
    left, right = body["left"], body["right"]
    if not (isinstance(left, dict) and left.get("payload", {}).get("field") == "dport" and isinstance(right, int)):
        return Fits.UNKNOWN
    port = packet.port
    told = {"<": port < right, ">": port > right, "<=": port <= right, ">=": port >= right}
    return all_or_none(told[body["op"]]) if body["op"] in told else Fits.UNKNOWN


def _absent(left: Any, packet: Newcomer) -> bool:
    """True when a newcomer has no such header, so that no match on it holds, whatever its operator."""
    protocol = left.get("payload", {}).get("protocol", "") if isinstance(left, dict) else ""
    if protocol in ("ip", "ip6"):
        return (protocol == "ip6") is not packet.six
    return protocol in ("udp", "udplite", "icmp", "icmpv6", "sctp", "dccp", "esp", "ah", "arp", "igmp", "gre", "comp")


def _is(left: Any, right: Any, table: Table, packet: Newcomer) -> Fits:
    """Whether `left` of a newcomer is (among) `right`."""
    if not isinstance(left, dict):
        return Fits.UNKNOWN
    if _absent(left, packet):
        return Fits.NONE
    (kind, body), *_ = left.items()
    if kind == "concat":
        return _concat(body, right, table, packet)
    values = alternatives(right, table)
    if kind == "&":
        of, mask = body
        if of == {"payload": {"protocol": "tcp", "field": "flags"}}:
            flags = set(_bits(mask))
            return all_or_none(flags & {"syn"} == set(_bits(right)))
        return Fits.UNKNOWN
    if kind == "payload":
        return _payload(str(body.get("protocol", "")), str(body.get("field", "")), values, packet)
    if kind == "meta":
        return _meta(str(body.get("key", "")), values, packet)
    if kind == "ct":
        key = body.get("key", "")
        if key == "state":
            return all_or_none("new" in values)
        if key == "direction":
            return all_or_none("original" in values)
        return Fits.NONE if key in ("status", "helper", "expiration") else Fits.UNKNOWN
    if kind == "fib":
        if body.get("result") == "type" and "daddr" in body.get("flags", []):
            return all_or_none(bool({"local", "unicast"} & {each for each in values if isinstance(each, str)}))
        if "saddr" in body.get("flags", []) and body.get("result") in ("oif", "oifname", "check"):
            return all_or_none(right is True)  # the sender can be answered by the way it came
    return Fits.UNKNOWN


def _payload(protocol: str, name: str, values: Sequence[Any], packet: Newcomer) -> Fits:
    if protocol in ("tcp", "th"):
        if name == "dport":
            return all_or_none(any(low <= packet.port <= high for low, high in _ranges(values)))
        if name == "sport":
            return comes_from_port(_ranges(values))
        if name == "flags":
            return all_or_none("syn" in values)
        return Fits.UNKNOWN
    if protocol in ("ip", "ip6"):
        if name in ("protocol", "nexthdr"):
            return all_or_none(any(each in values for each in _TCP))
        if name == "saddr":
            return Fits.FEW
        if name == "daddr":
            networks = [_network(each) for each in values]
            return sent_to([each for each in networks if each], packet) if all(networks) else Fits.UNKNOWN
        if name == "version":
            return all_or_none((6 if packet.six else 4) in values)
        return Fits.UNKNOWN
    return Fits.FEW if protocol == "ether" and name == "saddr" else Fits.UNKNOWN


def _meta(key: str, values: Sequence[Any], packet: Newcomer) -> Fits:
    match key:
        case "iif" | "iifname":
            return arrives_at([str(each) for each in values], packet)
        case "iiftype":
            return Fits.NONE if all(each in ("loopback", 772) for each in values) else Fits.UNKNOWN
        case "l4proto":
            return all_or_none(any(each in values for each in _TCP))
        case "nfproto":
            return all_or_none(("ipv6" if packet.six else "ipv4") in values or (10 if packet.six else 2) in values)
        case "protocol":
            return all_or_none(("ip6" if packet.six else "ip") in values)
        case "pkttype":
            return all_or_none(bool({"host", "unicast"} & set(map(str, values))))
        case _:
            return Fits.UNKNOWN


def _concat(parts: Sequence[Any], right: Any, table: Table, packet: Newcomer) -> Fits:
    best = Fits.NONE
    for each in alternatives(right, table):
        if not (isinstance(each, dict) and len(each.get("concat", ())) == len(parts)):
            return Fits.UNKNOWN
        whole = max(_is(part, value, table, packet) for part, value in zip(parts, each["concat"], strict=True))
        best = min(best, whole)
    return best


def _bits(value: Any) -> list[str]:
    if isinstance(value, dict) and "|" in value:
        return [bit for each in value["|"] for bit in _bits(each)]
    return [str(bit) for bit in value] if isinstance(value, list) else [str(value)]


def _ranges(values: Sequence[Any]) -> list[tuple[int, int]]:
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
