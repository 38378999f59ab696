"""What ufw closes, by its status, and what opens it. Formats: ufw 0.36, `ufw status verbose` (profiles as ports), `numbered`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hermes_setup.engine.changes import Run
from hermes_setup.stages.firewall.evaluation import Chain, Matches, Rule, Verdict, evaluate
from hermes_setup.stages.firewall.packets import Packet, match_destination, match_interface
from hermes_setup.stages.firewall.report import Opening, Report
from hermes_setup.values import dataclass

_ROW = re.compile(r"(.+?)\s+(ALLOW|DENY|REJECT|LIMIT)(?: (IN|OUT|FWD))?\s+(.+)")
_ACTIONS = {"ALLOW": "accept", "LIMIT": "accept", "DENY": "drop", "REJECT": "drop"}


@dataclass(frozen=True)
class Row:
    """A rule for packets to this machine, as ufw prints it."""

    to: str  # "80/tcp", "80,443/tcp (Nginx Full)", "Anywhere", "198.51.100.10 8081/tcp", "8000:9000/tcp on eth0"
    action: str
    source: str
    ipv6: bool

    def __str__(self) -> str:
        return f"{self.to} {self.action.upper()} IN {self.source}"


@dataclass(frozen=True)
class Status:
    """What `ufw status verbose` says; `default` is the policy for incoming packets."""

    active: bool
    default: str
    rows: tuple[Row, ...]


def parse(verbose: str) -> Status:
    """The status in the output of `ufw status verbose`."""
    default = re.search(r"^Default: (\w+) \(incoming\)", verbose, re.M)
    return Status(
        re.search(r"^Status: active", verbose, re.M) is not None,
        default.group(1) if default else "",
        tuple(row for line in verbose.splitlines() if (row := _row(line))),
    )


def _row(line: str) -> Row | None:
    match = _ROW.fullmatch(re.sub(r"\s+# .*$|\s*\((?:out|log|log-all)\)\s*$", "", line.strip()))
    if not match or match.group(3) in ("OUT", "FWD"):
        return None
    to, action, _, source = match.groups()
    return Row(re.sub(r"\s*\(v6\)", "", to), action.lower(), source.strip(), "(v6)" in line)


def report(verbose: str, numbered: str, packets: Sequence[Packet], *, ipv6: bool) -> Report:
    """What ufw does. `ipv6`: whether it handles IPv6 at all (IPV6=yes in /etc/default/ufw)."""
    status = parse(verbose)
    if not status.active:
        return Report()
    openings: list[tuple[int, Opening]] = []
    unclear: list[str] = []
    for packet in packets:
        if packet.ipv6 and not ipv6:
            continue
        verdict = evaluate_rows(status, packet)
        if verdict.unsure:
            unclear.append(f"ufw: {verdict.unclear}")
        elif verdict.closed:
            if found := _opening(verdict, status, numbered, packet):
                openings.append(found)
            else:
                unclear.append(f"ufw: {verdict.closed_by.text if verdict.closed_by else ''}")
    openings.sort(key=lambda found: -found[0])  # the last place first: the numbers of those before it stay good
    return Report(tuple(opening for _, opening in openings), tuple(dict.fromkeys(unclear)))


def evaluate_rows(status: Status, packet: Packet) -> Verdict:
    """ufw's verdict on the packet: the first row that matches it decides."""
    rules = tuple(
        Rule(_row_matches(row, packet), _ACTIONS[row.action.upper()], position=at, text=str(row))
        for at, row in enumerate(status.rows)
        if row.ipv6 is packet.ipv6
    )
    return evaluate(Chain(rules, "accept" if status.default == "allow" else "drop"), {})


def _row_matches(row: Row, packet: Packet) -> Matches:
    """`to` is [ADDRESS] [PORTS] [(PROFILE)] [on INTERFACE], where ADDRESS may be Anywhere."""
    where, _, interface = re.sub(r" \([^()]*\)", "", row.to).partition(" on ")
    found = [match_interface([interface.replace("+", "*")], packet)] if interface else []
    for word in where.split():
        if re.fullmatch(r"[0-9a-fA-F:.]*[.:][0-9a-fA-F:.]*(/\d+)?", word) and not re.fullmatch(r"\d+:\d+", word):
            found.append(match_destination([word], packet))
        elif word != "Anywhere":
            found.append(_port_matches(word, packet.port))
    if re.sub(r"\s*\(v6\)", "", row.source) != "Anywhere":
        found.append(Matches.FEW)
    return max(found, default=Matches.ALL)


def _port_matches(text: str, port: int) -> Matches:
    """22/tcp, 53, 80,443/tcp, 60000:61000/udp; a word is a profile or a protocol that ufw did not translate."""
    ports, _, protocol = text.partition("/")
    if not re.fullmatch(r"[0-9:,]+", ports):
        return Matches.NONE if protocol not in ("", "tcp") else Matches.UNKNOWN
    if protocol not in ("", "tcp"):
        return Matches.NONE
    for part in ports.split(","):
        low, _, high = part.partition(":")
        if int(low) <= port <= int(high or low):
            return Matches.ALL
    return Matches.NONE


def _opening(verdict: Verdict, status: Status, numbered: str, packet: Packet) -> tuple[int, Opening] | None:
    """The number before which the rule is inserted (0: appended), and what opens the port.

    None when ufw cannot put a rule before the one that closes it: that one is not found, or ufw has ours already, after it.
    """
    port = packet.port
    number = 0
    mine, others = (_action_of_plain_rule(status, port, ipv6=ipv6) for ipv6 in (packet.ipv6, not packet.ipv6))
    one = ("proto", "tcp", "to", "::/0" if packet.ipv6 else "0.0.0.0/0", "port", str(port))
    # "80/tcp" is a rule for both families: good where taking it back leaves the other one as it was.
    rule: tuple[str, ...] = (f"{port}/tcp",) if mine == others else one
    undo: tuple[str, ...] = (mine, *rule) if mine else ("--force", "delete", "allow", *rule)
    why = "default policy"
    if verdict.closed_by:
        why = f"rule: {verdict.closed_by.text}"
        if not re.match(
            rf"{port}/tcp (DENY|REJECT) IN Anywhere", verdict.closed_by.text
        ):  # else ufw changes that very rule
            number = _rule_number(verdict.closed_by.text, numbered, ipv6=packet.ipv6)
            if mine or not number:
                return None
            rule, undo = one, ("--force", "delete", "allow", *one)
    change = Run(
        ("ufw", *(("insert", str(number)) if number else ()), "allow", *rule),
        f"open port {port} in ufw{f' for IPv{6 if packet.ipv6 else 4}' if rule == one else ''}",
        gives=f"port {port} open (ufw)",
        undo_argv=("ufw", *undo),
        seconds=60,
        hint="Another program may hold ufw's lock. Run hermes-setup again.",
    )
    return number, Opening("ufw", port, why, (change,))


def _action_of_plain_rule(status: Status, port: int, *, ipv6: bool) -> str:
    """The action ("allow", "limit", ...) of ufw's rule for that port and family from anywhere, "" where there is none."""
    for row in status.rows:
        if row.ipv6 is ipv6 and row.to == f"{port}/tcp" and row.source.replace(" (v6)", "") == "Anywhere":
            return row.action
    return ""


def _rule_number(text: str, numbered: str, *, ipv6: bool) -> int:
    for line in numbered.splitlines():
        match = re.match(r"\[\s*(\d+)\]\s+(.*)", line.strip())
        row = _row(match.group(2)) if match else None
        if match and row and row.ipv6 is ipv6 and (str(row) == text or _same_rule(str(row), text)):
            return int(match.group(1))
    return 0


def _same_rule(numbered: str, verbose: str) -> bool:
    """True for "WWW Full on eth0 DENY IN Anywhere" as "80,443/tcp (WWW Full) on eth0 DENY IN Anywhere" which are one rule."""
    return numbered == re.sub(r"^\S+ \(([^()]+)(?: \(v6\))?\)", r"\1", verbose)
