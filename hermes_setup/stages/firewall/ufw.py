"""ufw, by its own status. Formats: ufw 0.36, `ufw status verbose` (profiles as ports) and `ufw status numbered`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hermes_setup.engine.changes import Run
from hermes_setup.stages.firewall.openings import Door, Reading
from hermes_setup.stages.firewall.packets import Newcomer, arrives_at, sent_to
from hermes_setup.stages.firewall.rules import Chain, Fits, Step, Verdict, judge
from hermes_setup.values import dataclass

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
    doors: list[tuple[int, Door]] = []
    doubts: list[str] = []
    for packet in packets:
        if packet.six and not ipv6:
            continue
        verdict = judge_rows(status, packet)
        if verdict.unsure:
            doubts.append(f"ufw: {verdict.doubt}")
        elif verdict.shut:
            if found := _door(verdict, status, numbered, packet):
                doors.append(found)
            else:
                doubts.append(f"ufw: {verdict.shuts.text if verdict.shuts else ''}")
    doors.sort(key=lambda found: -found[0])  # the last place first: the numbers of those before it stay good
    return Reading(tuple(door for _, door in doors), tuple(dict.fromkeys(doubts)))


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


def _door(verdict: Verdict, status: Status, numbered: str, packet: Newcomer) -> tuple[int, Door] | None:
    """The number before which its rule is inserted (0: appended), and the door.

    None when ufw could not put a rule before the one that shuts it: it cannot be found, or ufw has ours already, behind.
    """
    port = packet.port
    number = 0
    mine, others = (_plain(status, port, six=six) for six in (packet.six, not packet.six))
    one = ("proto", "tcp", "to", "::/0" if packet.six else "0.0.0.0/0", "port", str(port))
    # "80/tcp" is a rule for both families: good where taking it back leaves the other one as it was.
    rule: tuple[str, ...] = (f"{port}/tcp",) if mine == others else one
    undo: tuple[str, ...] = (mine, *rule) if mine else ("--force", "delete", "allow", *rule)
    why = "its default"
    if verdict.shuts:
        why = f"rule: {verdict.shuts.text}"
        if not re.match(rf"{port}/tcp (DENY|REJECT) IN Anywhere", verdict.shuts.text):  # else ufw turns that very rule
            number = _number(verdict.shuts.text, numbered, six=packet.six)
            if mine or not number:
                return None
            rule, undo = one, ("--force", "delete", "allow", *one)
    opens = Run(
        ("ufw", *(("insert", str(number)) if number else ()), "allow", *rule),
        f"open port {port} in ufw{f' for IPv{6 if packet.six else 4}' if rule == one else ''}",
        gives=f"port {port} open (ufw)",
        undo_argv=("ufw", *undo),
        seconds=60,
        hint="Another program may hold the firewall's lock: run hermes-setup again.",
    )
    return number, Door("ufw", port, why, (opens,))


def _plain(status: Status, port: int, *, six: bool) -> str:
    """What ufw's rule for that port, that family and everybody does ("allow", "limit", ...), "" where there is none."""
    for row in status.rows:
        if row.six is six and row.to == f"{port}/tcp" and row.source.replace(" (v6)", "") == "Anywhere":
            return row.does
    return ""


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
