"""iptables' rules as they concern a stranger's packet (iptables(8), iptables-extensions(8))."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence

from hermes_setup.stages.firewall.evaluation import Chain, Matches, Rule, Verdict, all_if, evaluate, negated
from hermes_setup.stages.firewall.iptables_save import BASE_CHAINS, Tables
from hermes_setup.stages.firewall.packets import Packet, match_destination, match_interface, match_source_port
from hermes_setup.values import replace

_Condition = Callable[[str, str, Packet], Matches]  # of an option's first and second value

_TCP_FLAGS = frozenset(("FIN", "SYN", "RST", "PSH", "ACK", "URG"))
_VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "TARPIT": "drop", "RETURN": "return"}
# Targets after which the next rule is asked: iptables-extensions(8).
_CONTINUING_TARGETS = frozenset(
    ("LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "CT", "NOTRACK", "TCPMSS", "SET", "TRACE", "AUDIT", "CLASSIFY", "DSCP")
    + ("TOS", "TTL", "HL", "CHECKSUM", "SECMARK", "CONNSECMARK", "RATEEST", "TEE")
)
# Options that do not change which packets match: how many values follow.
_IRRELEVANT = {
    **dict.fromkeys(
        [
            "--comment",
            "--limit-burst",
            "--name",
            "--mask",
            "--seconds",
            "--hitcount",
            "--connlimit-mask",
            "--hashlimit-htable-size",
            "--hashlimit-htable-max",
            "--hashlimit-htable-expire",
            "--hashlimit-htable-gcinterval",
            "--hashlimit-burst",
            "--hashlimit-mode",
            "--hashlimit-name",
            "--hashlimit-srcmask",
            "--hashlimit-dstmask",
            "--update-counters",
            "--update-subcounters",
        ],
        1,
    ),
    **dict.fromkeys(
        ["--rsource", "--rdest", "--reap", "--rttl", "--connlimit-saddr", "--loose", "--validmark", "--accept-local"], 0
    ),
}


def verdicts(tables: Tables, packet: Packet, *, ufw: bool = False) -> Iterator[tuple[str, Verdict]]:
    """(table, its verdict on the packet), in netfilter's order; with `ufw`, its chains and its policy do not count."""
    for base in BASE_CHAINS:
        if base not in tables.rules:
            continue
        table = base[0]
        chains = {
            name: Chain(tuple(parse_rule(rule, number, tables, table, packet) for number, rule in rules))
            for (of, name), rules in tables.rules.items()
            if of == table
        }
        rules = chains[base[1]].rules
        if ufw:
            rules = tuple(
                replace(each, action="continue") if re.match("ufw6?-", each.target) else each for each in rules
            )
        policy = "accept" if ufw else tables.policies.get(base, "accept")
        yield table, evaluate(Chain(rules, policy), chains)


def parse_rule(text: str, number: int, tables: Tables, table: str, packet: Packet) -> Rule:
    """A rule of a table as it concerns the packet; `number` is its line."""
    try:
        words = shlex.split(text)
    except ValueError:
        return Rule(Matches.UNKNOWN, "unknown", position=number, text=text)
    action, target = "continue", ""
    for at, word in enumerate(words):
        if word in ("-j", "-g", "--jump", "--goto") and at + 1 < len(words):
            target = words[at + 1]
            words = words[:at]  # what follows are the target's own options
            if target in _VERDICTS:
                action = _VERDICTS[target]
            elif target in _CONTINUING_TARGETS:
                action = "continue"
            elif (table, target) in tables.rules:
                action = "goto" if word in ("-g", "--goto") else "jump"
            else:
                action = "unknown"
            break
    matches = max(_conditions(words, packet), default=Matches.ALL)
    return Rule(matches, action, target, number, text)


def _conditions(words: Sequence[str], packet: Packet) -> Iterator[Matches]:
    """How many packets each condition of a rule matches."""
    at, not_ = 0, False
    while at < len(words):
        word = words[at]
        value = words[at + 1] if at + 1 < len(words) else ""
        at += 1
        if word == "!":
            not_ = True
            continue
        if word in ("-m", "--match"):
            if value == "rpfilter":
                yield all_if("--invert" not in words)
            at += 1
            continue
        if word in _IRRELEVANT:
            at += _IRRELEVANT[word]
            continue
        matches, values = _option(word, value, words[at + 1] if at + 1 < len(words) else "", packet)
        at += values
        yield negated(matches) if not_ else matches
        not_ = False


def _option(word: str, value: str, second: str, packet: Packet) -> tuple[Matches, int]:
    """(how many packets an option matches, how many values it takes)."""
    if word not in _OPTIONS:
        return Matches.UNKNOWN, 0 if not value or value.startswith("-") else 1
    values, condition = _OPTIONS[word]
    return condition(value, second, packet), values


def _always(matches: Matches) -> _Condition:
    return lambda _value, _second, _packet: matches


def _value_among(*accepted: str) -> _Condition:
    return lambda value, _second, _packet: all_if(value in accepted)


def _interface(value: str, _second: str, packet: Packet) -> Matches:
    return match_interface([re.sub(r"\+$", "*", value)], packet)


def _source(value: str, _second: str, _packet: Packet) -> Matches:
    return Matches.ALL if value in ("0.0.0.0/0", "::/0") else Matches.FEW


def _destination(value: str, _second: str, packet: Packet) -> Matches:
    return match_destination(value.split(","), packet)


def _destination_port(value: str, _second: str, packet: Packet) -> Matches:
    return all_if(any(low <= packet.port <= high for low, high in _port_ranges(value)))


def _source_port(value: str, _second: str, _packet: Packet) -> Matches:
    return match_source_port(_port_ranges(value))


def _tcp_flags(mask: str, wanted: str, _packet: Packet) -> Matches:
    return all_if(_flags(mask) & {"SYN"} == _flags(wanted))


def _state(value: str, _second: str, _packet: Packet) -> Matches:
    return all_if("NEW" in value.split(","))


def _set(_name: str, directions: str, _packet: Packet) -> Matches:
    return Matches.FEW if "src" in directions else Matches.UNKNOWN


def _flags(text: str) -> frozenset[str]:
    return _TCP_FLAGS if text == "ALL" else frozenset() if text == "NONE" else frozenset(text.split(","))


def _port_ranges(text: str) -> list[tuple[int, int]]:
    found = []
    for part in text.split(","):
        low, colon, high = part.partition(":")
        numbers = [_port(low) if low else 0, (_port(high) if high else 65535) if colon else _port(low)]
        if None not in numbers:
            found.append((numbers[0] or 0, numbers[1] or 0))
    return found


def _port(text: str) -> int | None:
    return int(text) if text.isdigit() else {"http": 80, "https": 443, "ssh": 22}.get(text)


# Options, how many values follow each, and how many packets it matches.
_OPTIONS: dict[str, tuple[int, _Condition]] = {
    **dict.fromkeys(("-p", "--protocol"), (1, _value_among("tcp", "6", "all", "0"))),
    **dict.fromkeys(("-i", "--in-interface"), (1, _interface)),
    **dict.fromkeys(("-s", "--source", "--src-range", "--mac-source", "--src-cc", "--source-country"), (1, _source)),
    **dict.fromkeys(("-d", "--destination"), (1, _destination)),
    **dict.fromkeys(
        ("--dport", "--dports", "--destination-port", "--ports", "--destination-ports"), (1, _destination_port)
    ),
    **dict.fromkeys(("--sport", "--sports", "--source-port", "--source-ports"), (1, _source_port)),
    "--syn": (0, _always(Matches.ALL)),
    "--tcp-flags": (2, _tcp_flags),
    **dict.fromkeys(("--state", "--ctstate"), (1, _state)),
    "--ctdir": (1, _value_among("ORIGINAL")),
    **dict.fromkeys(("--limit", "--hashlimit", "--hashlimit-upto", "--connlimit-upto"), (1, _always(Matches.LIMITED))),
    **dict.fromkeys(("--hashlimit-above", "--connlimit-above"), (1, _always(Matches.FEW))),
    **dict.fromkeys(("--rcheck", "--update", "--remove"), (0, _always(Matches.FEW))),
    "--set": (0, _always(Matches.ALL)),
    "--match-set": (2, _set),
    "--dst-type": (1, _value_among("LOCAL", "UNICAST")),
    "--src-type": (1, _value_among("UNICAST")),
    "--pkt-type": (1, _value_among("unicast")),
    **dict.fromkeys(("--icmp-type", "--icmpv6-type"), (1, _always(Matches.NONE))),
    **dict.fromkeys(("-f", "--fragment"), (0, _always(Matches.NONE))),
    "--invert": (0, _always(Matches.ALL)),  # rpfilter's, judged with its -m
}
