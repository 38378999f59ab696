"""nftables, by `nft --json list ruleset` (libnftables-json(5)); and /etc/nftables.conf, which brings the rules back at boot."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hermes_setup.engine.changes import Place, Run
from hermes_setup.host import File, Node
from hermes_setup.stages.firewall.rules import (
    MARK,
    Chain,
    Door,
    Fits,
    Newcomer,
    Reading,
    Step,
    Verdict,
    all_or_none,
    arrives_at,
    comes_from_port,
    judge,
    sent_to,
    turned,
)
from hermes_setup.values import dataclass, field, replace

CONF = "/etc/nftables.conf"
OURS = "hermes_setup"  # a chain of our own in the table that shuts the port: it can be emptied without knowing a handle

_HOOKS = ("ingress", "prerouting", "input")
_COMPAT = frozenset(("filter", "nat", "mangle", "raw", "security"))  # what iptables-nft names its tables
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
                verdict = _verdict(table, base, packet)
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


def _verdict(table: Table, base: Mapping[str, Any], packet: Newcomer) -> Verdict:
    chains = {
        name: Chain(tuple(step for at, rule in enumerate(rules) for step in _steps(rule, at, table, packet)))
        for name, rules in table.rules.items()
    }
    steps = chains[str(base["name"])].steps
    if base["hook"] == "ingress":
        fits = arrives_at([str(each) for each in _listed(base.get("dev", ""))], packet)
        steps = tuple(replace(step, fits=max(step.fits, fits)) for step in steps) if fits is not Fits.ALL else steps
    return judge(Chain(steps, str(base.get("policy", "accept"))), chains)


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
        for port in _listed(each["match"]["right"])
        if isinstance(port, int)
    }


@dataclass(frozen=True)
class Written:
    """A chain as it is written in a file: `start` and `end` of what is between its braces."""

    text: str
    start: int
    end: int

    @property
    def body(self) -> str:
        """What is between the braces."""
        return self.text[self.start : self.end]

    def opens(self, port: int) -> bool:
        """True when a plain rule of the chain lets everybody in to that port."""
        for line in _statements(self.body):
            if match := re.match(r"tcp dport (?:\{([\d, -]+)\}|(\d+)) (?:ct state new )?(?:counter )?accept", line):
                for part in (match.group(1) or match.group(2)).split(","):
                    low, _, high = part.strip().partition("-")
                    if int(low) <= port <= int(high or low):
                        return True
        return False

    def with_rule(self, rule: str) -> str:
        """The whole text with the rule before the chain's final refusal, or at the chain's end."""
        at, indent = self.end, ""
        position = self.start
        for line in self.body.splitlines(keepends=True):
            bare = line.split("#")[0].strip().rstrip(";")
            if re.match(r"[a-z]", bare):
                indent = line[: len(line) - len(line.lstrip())]
            if re.fullmatch(
                r"(?:counter |log (?:prefix \"[^\"]*\" ?)?(?:level \w+ ?)?)*(?:drop|reject(?: with .*)?)", bare
            ):
                return f"{self.text[:position]}{indent}{rule}\n{self.text[position:]}"
            position += len(line)
        head = self.text[:at].rstrip(" \t")
        tail = self.text[len(head) : at]
        return f"{head}{'' if head.endswith(chr(10)) else chr(10)}{indent}{rule}\n{tail}{self.text[at:]}"


def find(text: str, family: str, table: str, chain: str) -> Written | None:
    """The base chain in a file of nft's; None when it is not there, or there more than once, or written in another way."""
    bare = re.sub(r"#[^\n]*|\"[^\"\n]*\"", lambda match: "~" * len(match.group()), text)
    of = rf"(?:{family}\s+)?" if family == "ip" else rf"{family}\s+"
    found: list[Written] = []
    for outer in re.finditer(rf"\btable\s+{of}{re.escape(table)}\s*\{{", bare):
        end = _closing(bare, outer.end())
        for inner in re.finditer(rf"\bchain\s+{re.escape(chain)}\s*\{{", bare[outer.end() : end]):
            start = outer.end() + inner.end()
            found.append(Written(text, start, _closing(bare, start)))
    return found[0] if len(found) == 1 and "hook input" in found[0].body else None


def _closing(text: str, start: int) -> int:
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return len(text)


def _statements(body: str) -> Iterator[str]:
    for line in body.splitlines():
        yield from (" ".join(part.split()) for part in line.split("#")[0].split(";"))


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
    for each in _listed(body["data"], table):
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
    values = _listed(right, table)
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
    for each in _listed(right, table):
        if not (isinstance(each, dict) and len(each.get("concat", ())) == len(parts)):
            return Fits.UNKNOWN
        whole = max(_is(part, value, table, packet) for part, value in zip(parts, each["concat"], strict=True))
        best = min(best, whole)
    return best


def _listed(right: Any, table: Table | None = None) -> list[Any]:
    """The alternatives of a right-hand side: an anonymous set, a named one, a list, or one value."""
    if isinstance(right, str) and right.startswith("@"):
        return _listed(table.sets.get(right[1:], [right]), table) if table else [right]
    if isinstance(right, dict) and "set" in right:
        return _listed(right["set"], table)
    if isinstance(right, list):
        return [each["elem"]["val"] if isinstance(each, dict) and "elem" in each else each for each in right]
    return [right]


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
