"""What iptables and ip6tables close, and what opens it: the running rules, and the file that brings them back at boot."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.engine.changes import Place, Run
from hermes_setup.host import File, Node
from hermes_setup.stages.firewall.iptables_rules import verdicts
from hermes_setup.stages.firewall.iptables_save import Tables, parse
from hermes_setup.stages.firewall.openings import MARK, Door, Reading
from hermes_setup.stages.firewall.packets import Newcomer
from hermes_setup.stages.firewall.rules import Verdict
from hermes_setup.values import replace


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
