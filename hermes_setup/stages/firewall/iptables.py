"""What iptables and ip6tables close, and what opens it: the running rules, and the file that brings them back at boot."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.engine.changes import Place, Run
from hermes_setup.host import File, Node
from hermes_setup.phrases import ports_named
from hermes_setup.stages.firewall.evaluation import Verdict
from hermes_setup.stages.firewall.iptables_rules import verdicts
from hermes_setup.stages.firewall.iptables_save import Tables, parse
from hermes_setup.stages.firewall.packets import Packet
from hermes_setup.stages.firewall.report import COMMENT, Opening, Report
from hermes_setup.values import replace


def report(
    command: str, text: str, saved: tuple[str, Node] | None, packets: Sequence[Packet], *, ufw: bool = False
) -> Report:
    """What `command` ("iptables", "ip6tables") does; `saved`: path and node of the file that is loaded at boot."""
    tables = parse(text)
    openings: list[tuple[int, Opening]] = []
    unclear: list[str] = []
    for packet in packets:
        for table, verdict in verdicts(tables, packet, ufw=ufw):
            if verdict.unsure or (verdict.closed and table != "filter"):
                rule = verdict.unclear or (verdict.closed_by.text if verdict.closed_by else "policy DROP")
                unclear.append(f"{command} -t {table}: {rule}")
            elif verdict.closed:
                openings.append(_opening(command, tables, verdict, packet))
    openings.sort(key=lambda found: -found[0])  # the last place first: the numbers of those before it stay good
    after_boot = _saved_openings(command, saved, packets) if saved else ()
    ours = any(COMMENT in rule for rules in tables.rules.values() for _, rule in rules)
    unsaved = (command,) if (openings or ours) and not saved else ()
    return Report((*(opening for _, opening in openings), *after_boot), tuple(dict.fromkeys(unclear)), unsaved)


def accept_rule(port: int) -> tuple[str, ...]:
    """The rule that opens a port, as iptables-save prints it."""
    return ("-p", "tcp", "-m", "tcp", "--dport", str(port), "-m", "comment", "--comment", COMMENT, "-j", "ACCEPT")


def _opening(command: str, tables: Tables, verdict: Verdict, packet: Packet) -> tuple[int, Opening]:
    """The number at which the rule is inserted (0: appended), and what opens the port."""
    lines = [number for number, _ in tables.rules["filter", "INPUT"]]
    number = lines.index(verdict.closed_by.position) + 1 if verdict.closed_by else 0
    if verdict.closed_by:
        why = f"rule: {verdict.closed_by.text}"
        where: tuple[str, ...] = ("-I", "INPUT", str(number))
    else:
        why, where = "policy DROP", ("-A", "INPUT")
    change = Run(
        (command, "-w", "5", *where, *accept_rule(packet.port)),
        f"open port {packet.port} in {command}",
        gives=f"port {packet.port} open ({command})",
        undo_argv=(command, "-w", "5", "-D", "INPUT", *accept_rule(packet.port)),
        seconds=30,
    )
    return number, Opening(command, packet.port, why, (change,))


def _saved_openings(command: str, saved: tuple[str, Node], packets: Sequence[Packet]) -> tuple[Opening, ...]:
    """What keeps the ports open after a restart: the file, with a rule before the one that would close each of them."""
    path, node = saved
    if not isinstance(node, File):
        return ()
    text = node.content.decode("utf-8", "surrogateescape")
    closed: list[int] = []
    for packet in packets:
        tables = parse(text)
        verdict = dict(verdicts(tables, packet)).get("filter")
        if verdict and verdict.closed and "filter" in tables.commits:
            lines = text.splitlines(keepends=True)
            lines.insert(
                verdict.closed_by.position if verdict.closed_by else tables.commits["filter"],
                f"-A INPUT {' '.join(accept_rule(packet.port))}\n",
            )
            text = "".join(lines)
            closed.append(packet.port)
    if not closed:
        return ()
    place = Place(
        path,
        replace(node, content=text.encode("utf-8", "surrogateescape")),
        f"keep {ports_named(closed)} open after a restart ({command})",
    )
    check = Run((f"{command}-restore", "--test", path), f"check that {command} can read {path}", seconds=30)
    return tuple(Opening(path, port, "closed after a restart", (place, check)) for port in closed)
