"""iptables' rules, as far as they are about a stranger's packet (iptables(8), iptables-extensions(8))."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from hermes_setup.stages.firewall.iptables_save import BASES, Tables
from hermes_setup.stages.firewall.packets import Newcomer, arrives_at, comes_from_port, sent_to
from hermes_setup.stages.firewall.rules import Chain, Fits, Step, Verdict, all_or_none, judge, turned
from hermes_setup.values import replace

_FLAGS = frozenset(("FIN", "SYN", "RST", "PSH", "ACK", "URG"))
# Targets after which the next rule is asked: iptables-extensions(8).
_ON = frozenset(
    ("LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "CT", "NOTRACK", "TCPMSS", "SET", "TRACE", "AUDIT", "CLASSIFY", "DSCP")
    + ("TOS", "TTL", "HL", "CHECKSUM", "SECMARK", "CONNSECMARK", "RATEEST", "TEE")
)
_ENDS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "TARPIT": "drop", "RETURN": "return"}
_PLAIN = {  # options without a say in whom a rule is about: how many values follow
    **dict.fromkeys(
        ("--comment", "--limit-burst", "--name", "--mask", "--seconds", "--hitcount", "--connlimit-mask"), 1
    ),
    **dict.fromkeys(("--rsource", "--rdest", "--reap", "--rttl", "--connlimit-saddr", "--loose", "--validmark"), 0),
    **dict.fromkeys(("--accept-local", "--hashlimit-htable-size", "--hashlimit-htable-max"), 0),
    **dict.fromkeys(("--hashlimit-htable-size", "--hashlimit-htable-max", "--hashlimit-htable-expire"), 1),
    **dict.fromkeys(("--hashlimit-htable-gcinterval", "--hashlimit-burst", "--hashlimit-mode", "--hashlimit-name"), 1),
    **dict.fromkeys(("--hashlimit-srcmask", "--hashlimit-dstmask", "--update-counters", "--update-subcounters"), 1),
}


def verdicts(tables: Tables, packet: Newcomer, *, ufw: bool = False) -> Iterator[tuple[str, Verdict]]:
    """(table, what becomes of the newcomer there); with `ufw`, its chains and its policy are left out of account."""
    for base in BASES:
        if base not in tables.rules:
            continue
        table = base[0]
        chains = {
            name: Chain(tuple(step_of(rule, number, tables, table, packet) for number, rule in rules))
            for (of, name), rules in tables.rules.items()
            if of == table
        }
        steps = chains[base[1]].steps
        if ufw:
            steps = tuple(replace(step, does="on") if re.match("ufw6?-", step.target) else step for step in steps)
        policy = "accept" if ufw else tables.policies.get(base, "accept")
        yield table, judge(Chain(steps, policy), chains)


def step_of(text: str, number: int, tables: Tables, table: str, packet: Newcomer) -> Step:
    """A rule of a table as far as it is about the packet; `number` is its line."""
    try:
        words = shlex.split(text)
    except ValueError:
        return Step(Fits.UNKNOWN, "unknown", at=number, text=text)
    does, target = "on", ""
    for at, word in enumerate(words):
        if word in ("-j", "-g", "--jump", "--goto") and at + 1 < len(words):
            target = words[at + 1]
            words = words[:at]  # what follows are the target's own options
            if target in _ENDS:
                does = _ENDS[target]
            elif target in _ON:
                does = "on"
            elif (table, target) in tables.rules:
                does = "goto" if word in ("-g", "--goto") else "jump"
            else:
                does = "unknown"
            break
    fits = max((found for found in _matches(words, packet)), default=Fits.ALL)
    return Step(fits, does, target, number, text)


def _matches(words: Sequence[str], packet: Newcomer) -> Iterator[Fits]:
    at, negated = 0, False
    while at < len(words):
        word = words[at]
        value = words[at + 1] if at + 1 < len(words) else ""
        at += 1
        if word == "!":
            negated = True
            continue
        if word in ("-m", "--match"):
            if value == "rpfilter":
                yield all_or_none("--invert" not in words)
            at += 1
            continue
        if word in _PLAIN:
            at += _PLAIN[word]
            continue
        fits, took = _match(word, value, words[at + 1] if at + 1 < len(words) else "", packet)
        at += took
        yield turned(fits) if negated else fits
        negated = False


def _match(word: str, value: str, second: str, packet: Newcomer) -> tuple[Fits, int]:
    """(whom it is about, how many values it takes)."""
    match word:
        case "-p" | "--protocol":
            return all_or_none(value in ("tcp", "6", "all", "0")), 1
        case "-i" | "--in-interface":
            return arrives_at([re.sub(r"\+$", "*", value)], packet), 1
        case "-s" | "--source" | "--src-range" | "--mac-source" | "--src-cc" | "--source-country":
            return (Fits.ALL if value in ("0.0.0.0/0", "::/0") else Fits.FEW), 1
        case "-d" | "--destination":
            return sent_to(value.split(","), packet), 1
        case "--dport" | "--dports" | "--destination-port" | "--ports" | "--destination-ports":
            return all_or_none(any(low <= packet.port <= high for low, high in _ranges(value))), 1
        case "--sport" | "--sports" | "--source-port" | "--source-ports":
            return comes_from_port(_ranges(value)), 1
        case "--syn":
            return Fits.ALL, 0
        case "--tcp-flags":
            mask, set_ = _flags(value), _flags(second)
            return all_or_none(mask & {"SYN"} == set_), 2
        case "--state" | "--ctstate":
            return all_or_none("NEW" in value.split(",")), 1
        case "--ctdir":
            return all_or_none(value == "ORIGINAL"), 1
        case "--limit" | "--hashlimit" | "--hashlimit-upto" | "--connlimit-upto":
            return Fits.OFTEN, 1
        case "--hashlimit-above" | "--connlimit-above":
            return Fits.FEW, 1
        case "--rcheck" | "--update" | "--remove":
            return Fits.FEW, 0
        case "--set":
            return Fits.ALL, 0
        case "--match-set":
            return (Fits.FEW if "src" in second else Fits.UNKNOWN), 2
        case "--dst-type":
            return all_or_none(value in ("LOCAL", "UNICAST")), 1
        case "--src-type":
            return all_or_none(value == "UNICAST"), 1
        case "--pkt-type":
            return all_or_none(value == "unicast"), 1
        case "--icmp-type" | "--icmpv6-type":
            return Fits.NONE, 1
        case "-f" | "--fragment":
            return Fits.NONE, 0
        case "--invert":
            return Fits.ALL, 0  # rpfilter's, judged with its -m
        case _:
            return Fits.UNKNOWN, 0 if not value or value.startswith("-") else 1


def _flags(text: str) -> frozenset[str]:
    return _FLAGS if text == "ALL" else frozenset() if text == "NONE" else frozenset(text.split(","))


def _ranges(text: str) -> list[tuple[int, int]]:
    found = []
    for part in text.split(","):
        low, colon, high = part.partition(":")
        numbers = [_port(low) if low else 0, (_port(high) if high else 65535) if colon else _port(low)]
        if None not in numbers:
            found.append((numbers[0] or 0, numbers[1] or 0))
    return found


def _port(text: str) -> int | None:
    return int(text) if text.isdigit() else {"http": 80, "https": 443, "ssh": 22}.get(text)
