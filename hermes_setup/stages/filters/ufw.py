"""ufw, by its own status. Formats: ufw 0.36, `ufw status verbose` (profiles as ports) and `ufw status numbered`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hermes_setup.changes import Run
from hermes_setup.stages.filters import Chain, Door, Fits, Newcomer, Reading, Step, Verdict, arrives_at, judge, sent_to

_ROW = re.compile(r"(.+?)\s+(ALLOW|DENY|REJECT|LIMIT)(?: (IN|OUT|FWD))?\s+(.+)")
_DOES = {"ALLOW": "accept", "LIMIT": "accept", "DENY": "drop", "REJECT": "drop"}


@dataclass(frozen=True)
class Row:
    """A rule for packets to this machine, as ufw shows it."""

    to: str  # "80/tcp", "80,443/tcp (Nginx Full)", "Anywhere", "198.51.100.10 8081/tcp", "8000:9000/tcp on eth0"
    does: str
    source: str
    six: bool

    def __str__(self) -> str:
        return f"{self.to} {self.does.upper()} IN {self.source}"


@dataclass(frozen=True)
class Status:
    """ufw as it is: `default` is what happens to incoming packets without a rule."""

    active: bool
    default: str
    rows: tuple[Row, ...]


def parse(verbose: str) -> Status:
    """What `ufw status verbose` says."""
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
    to, does, _, source = match.groups()
    return Row(re.sub(r"\s*\(v6\)", "", to), does.lower(), source.strip(), "(v6)" in line)


def read(verbose: str, numbered: str, packets: Sequence[Newcomer], *, ipv6: bool) -> Reading:
    """What ufw shuts. `ipv6`: whether it lets IPv6 exist at all (IPV6=yes in /etc/default/ufw)."""
    status = parse(verbose)
    if not status.active:
        return Reading()
    doors: list[Door] = []
    doubts: list[str] = []
    for packet in sorted(packets, key=lambda each: not each.six):  # IPv6's rules are last: their numbers stay good
        if packet.six and not ipv6:
            continue
        verdict = judge_rows(status, packet)
        if verdict.unsure:
            doubts.append(f"ufw: {verdict.doubt}")
        elif verdict.shut:
            door = _door(verdict, status, numbered, packet)
            if door is None:
                doubts.append(f"ufw: {verdict.shuts.text if verdict.shuts else ''}")
            else:
                doors.append(door)
    return Reading(tuple(doors), tuple(dict.fromkeys(doubts)))


def judge_rows(status: Status, packet: Newcomer) -> Verdict:
    """What becomes of a newcomer; the first rule that is about it decides."""
    steps = tuple(
        Step(_fits(row, packet), _DOES[row.does.upper()], at=at, text=str(row))
        for at, row in enumerate(status.rows)
        if row.six is packet.six
    )
    return judge(Chain(steps, "accept" if status.default == "allow" else "drop"), {})


def _fits(row: Row, packet: Newcomer) -> Fits:
    """`to` is [ADDRESS] [PORTS] [(PROFILE)] [on INTERFACE], where ADDRESS may be Anywhere."""
    where, _, interface = re.sub(r" \([^()]*\)", "", row.to).partition(" on ")
    found = [arrives_at([interface.replace("+", "*")], packet)] if interface else []
    for word in where.split():
        if re.fullmatch(r"[0-9a-fA-F:.]*[.:][0-9a-fA-F:.]*(/\d+)?", word) and not re.fullmatch(r"\d+:\d+", word):
            found.append(sent_to([word], packet))
        elif word != "Anywhere":
            found.append(_ports(word, packet.port))
    if re.sub(r"\s*\(v6\)", "", row.source) != "Anywhere":
        found.append(Fits.FEW)
    return max(found, default=Fits.ALL)


def _ports(text: str, port: int) -> Fits:
    """22/tcp, 53, 80,443/tcp, 60000:61000/udp; a word is a profile or a protocol that ufw did not translate."""
    ports, _, protocol = text.partition("/")
    if not re.fullmatch(r"[0-9:,]+", ports):
        return Fits.NONE if protocol not in ("", "tcp") else Fits.UNKNOWN
    if protocol not in ("", "tcp"):
        return Fits.NONE
    for part in ports.split(","):
        low, _, high = part.partition(":")
        if int(low) <= port <= int(high or low):
            return Fits.ALL
    return Fits.NONE


def _door(verdict: Verdict, status: Status, numbered: str, packet: Newcomer) -> Door | None:
    """None when ufw could not put a rule before the one that shuts it: it cannot be found, or ufw has ours already, behind."""
    port = packet.port
    before: tuple[str, ...] = ()
    rule: tuple[str, ...] = ("allow", f"{port}/tcp")  # both families
    undo: tuple[str, ...] = ("--force", "delete", *rule)
    why = "its default"
    if verdict.shuts:
        why = f"rule: {verdict.shuts.text}"
        exact = re.match(rf"{port}/tcp (DENY|REJECT) IN Anywhere", verdict.shuts.text)
        if exact:  # ufw turns a rule that differs in nothing else
            undo = (exact.group(1).lower(), f"{port}/tcp")
        elif Row(f"{port}/tcp", "allow", "Anywhere", packet.six) in _plain_rows(status):
            return None
        elif number := _number(verdict.shuts.text, numbered, six=packet.six):
            rule = ("allow", "proto", "tcp", "to", "::/0" if packet.six else "0.0.0.0/0", "port", str(port))
            before, undo = ("insert", str(number)), ("--force", "delete", *rule)
        else:
            return None
    opens = Run(
        ("ufw", *before, *rule),
        f"open port {port} in ufw{f' for IPv{6 if packet.six else 4}' if before else ''}",
        gives=f"port {port} open (ufw)",
        undo_argv=("ufw", *undo),
        seconds=60,
        hint="Another program may hold the firewall's lock: run hermes-setup again.",
    )
    return Door("ufw", port, why, (opens,))


def _plain_rows(status: Status) -> list[Row]:
    return [replace(row, source=row.source.replace(" (v6)", "")) for row in status.rows]


def _number(text: str, numbered: str, *, six: bool) -> int:
    for line in numbered.splitlines():
        match = re.match(r"\[\s*(\d+)\]\s+(.*)", line.strip())
        row = _row(match.group(2)) if match else None
        if match and row and row.six is six and (str(row) == text or _same(str(row), text)):
            return int(match.group(1))
    return 0


def _same(numbered: str, verbose: str) -> bool:
    """True for "WWW Full on eth0 DENY IN Anywhere" as "80,443/tcp (WWW Full) on eth0 DENY IN Anywhere" which are one rule."""
    return numbered == re.sub(r"^\S+ \(([^()]+)(?: \(v6\))?\)", r"\1", verbose)
