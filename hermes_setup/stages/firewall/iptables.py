"""iptables and ip6tables, by what iptables-save(8) prints: the running rules, and the file that brings them back at boot."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Sequence

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
from hermes_setup.values import dataclass, replace

# The order in which netfilter asks them about a packet for this machine (nat only rewrites).
BASES = (
    ("raw", "PREROUTING"),
    ("mangle", "PREROUTING"),
    ("mangle", "INPUT"),
    ("filter", "INPUT"),
    ("security", "INPUT"),
)
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


@dataclass(frozen=True)
class Tables:
    """Rules as they are printed: (table, chain) -> lines with their numbers, and the policies."""

    rules: dict[tuple[str, str], list[tuple[int, str]]]
    policies: dict[tuple[str, str], str]
    commits: dict[str, int]

    @property
    def filters(self) -> bool:
        """True when anything in it can decide about packets for this machine."""
        return any(self.rules.get(base) or self.policies.get(base) == "drop" for base in BASES)


def parse(text: str) -> Tables:
    """The tables in the format of iptables-save(8)."""
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


def refused(text: str) -> frozenset[str]:
    """The tables of which iptables-save says that nft wrote them in its own way."""
    return frozenset(re.findall(r"^# Table [`'](\w+)' (?:is|contains) incompatible", text, re.M))


def without(text: str, tables: Collection[str]) -> str:
    """The text less those tables."""
    kept, inside = [], ""
    for line in text.splitlines(keepends=True):
        inside = line[1:].strip() if line.startswith("*") else inside
        if inside not in tables:
            kept.append(line)
        inside = "" if line.strip() == "COMMIT" else inside
    return "".join(kept)


def verdicts(tables: Tables, packet: Newcomer, *, ufw: bool = False) -> Iterator[tuple[str, Verdict]]:
    """(table, what becomes of the newcomer there); with `ufw`, its chains and its policy are left out of account."""
    for base in BASES:
        if base not in tables.rules:
            continue
        table = base[0]
        chains = {
            name: Chain(tuple(_step(rule, number, tables, table, packet) for number, rule in rules))
            for (of, name), rules in tables.rules.items()
            if of == table
        }
        steps = chains[base[1]].steps
        if ufw:
            steps = tuple(replace(step, does="on") if re.match("ufw6?-", step.target) else step for step in steps)
        policy = "accept" if ufw else tables.policies.get(base, "accept")
        yield table, judge(Chain(steps, policy), chains)


def read(
    command: str, text: str, kept: tuple[str, Node] | None, packets: Sequence[Newcomer], *, ufw: bool = False
) -> Reading:
    """What `command` ("iptables", "ip6tables") shuts. `kept`: path and node of the file that is loaded at boot."""
    tables = parse(text)
    doors: list[tuple[int, Door]] = []
    doubts: list[str] = []
    for packet in packets:
        for table, verdict in verdicts(tables, packet, ufw=ufw):
            if verdict.unsure or (verdict.shut and table != "filter"):
                told = verdict.doubt or (verdict.shuts.text if verdict.shuts else "policy DROP")
                doubts.append(f"{command} -t {table}: {told}")
            elif verdict.shut:
                doors.append(_door(command, tables, verdict, packet))
    doors.sort(key=lambda found: -found[0])  # the last place first: the numbers of those before it stay good
    again = _kept(command, kept, packets) if kept else ()
    ours = any(MARK in rule for rules in tables.rules.values() for _, rule in rules)
    fleeting = (command,) if (doors or ours) and not kept else ()
    return Reading((*(door for _, door in doors), *again), tuple(dict.fromkeys(doubts)), fleeting)


def led_away(text: str, packet: Newcomer) -> tuple[str, ...]:
    """The rules of nat that send every newcomer elsewhere, whoever listens here (Docker publishes ports like that)."""
    tables = parse(text)
    found = []
    for (table, chain), rules in tables.rules.items():
        if table == "nat" and chain in ("PREROUTING", "DOCKER"):
            steps = [(_step(rule, number, tables, table, packet), rule) for number, rule in rules]
            found += [
                rule
                for step, rule in steps
                if step.fits is Fits.ALL and step.target in ("DNAT", "REDIRECT") and "--dport" in rule
            ]
    return tuple(found)


def rule(port: int) -> tuple[str, ...]:
    """The rule that opens a port, as iptables-save prints it."""
    return ("-p", "tcp", "-m", "tcp", "--dport", str(port), "-m", "comment", "--comment", MARK, "-j", "ACCEPT")


def _door(command: str, tables: Tables, verdict: Verdict, packet: Newcomer) -> tuple[int, Door]:
    """The number at which its rule is inserted (0: appended), and the door."""
    lines = [number for number, _ in tables.rules["filter", "INPUT"]]
    number = lines.index(verdict.shuts.at) + 1 if verdict.shuts else 0
    if verdict.shuts:
        why = f"rule: {verdict.shuts.text}"
        where: tuple[str, ...] = ("-I", "INPUT", str(number))
    else:
        why, where = "policy DROP", ("-A", "INPUT")
    opens = Run(
        (command, "-w", "5", *where, *rule(packet.port)),
        f"open port {packet.port} in {command}",
        gives=f"port {packet.port} open ({command})",
        undo_argv=(command, "-w", "5", "-D", "INPUT", *rule(packet.port)),
        seconds=30,
    )
    return number, Door(command, packet.port, why, (opens,))


def _kept(command: str, kept: tuple[str, Node], packets: Sequence[Newcomer]) -> tuple[Door, ...]:
    """The file, with a rule in front of the one that would shut the port at the next boot."""
    path, node = kept
    if not isinstance(node, File):
        return ()
    text = node.content.decode("utf-8", "surrogateescape")
    shut: list[int] = []
    for packet in packets:
        tables = parse(text)
        verdict = dict(verdicts(tables, packet)).get("filter")
        if verdict and verdict.shut and "filter" in tables.commits:
            lines = text.splitlines(keepends=True)
            lines.insert(
                verdict.shuts.at if verdict.shuts else tables.commits["filter"],
                f"-A INPUT {' '.join(rule(packet.port))}\n",
            )
            text = "".join(lines)
            shut.append(packet.port)
    if not shut:
        return ()
    ports = " and ".join(map(str, shut))
    place = Place(
        path,
        replace(node, content=text.encode("utf-8", "surrogateescape")),
        f"keep port {ports} open after a restart ({command})",
    )
    check = Run((f"{command}-restore", "--test", path), f"check that {command} can read {path}", seconds=30)
    return tuple(Door(path, port, "shut at the next boot", (place, check)) for port in shut)


def _step(text: str, number: int, tables: Tables, table: str, packet: Newcomer) -> Step:
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
