"""The running nginx: its master, its workers, its connections, and whether a reload has finished."""

from __future__ import annotations

from hermes_setup.host import File, Host
from hermes_setup.nginx import tree
from hermes_setup.values import dataclass

ESTABLISHED = "01"  # include/net/tcp_states.h


@dataclass(frozen=True)
class Workers:
    """The running nginx: its master (0: none), its workers that still take connections, and those that don't any more.

    A draining worker serves the connections that it has, and ends when the last of them closes.
    """

    master: int
    accepting: frozenset[str]  # "pid.starttime"
    draining: frozenset[str] = frozenset()


def workers(host: Host, pid_path: str) -> Workers:
    """What runs now, by that PID file and /proc (proc(5)). A draining worker says so in its title (ngx_setproctitle)."""
    node = host.look(pid_path if not pid_path.startswith("/var/run/") else pid_path.removeprefix("/var"))
    text = node.content.decode(errors="replace").strip() if isinstance(node, File) else ""
    if not text.isdigit() or "nginx: master" not in _title(host, text):
        return Workers(0, frozenset())
    children = host.look(f"/proc/{text}/task/{text}/children")
    pids = (
        children.content.decode().split() if isinstance(children, File) and children.content else _children(host, text)
    )
    accepting, draining = set[str](), set[str]()
    for pid in pids:
        title = _title(host, pid)
        if "nginx: worker" in title:
            (draining if "shutting down" in title else accepting).add(f"{pid}.{_stat(host, pid)[1]}")
    return Workers(int(text), frozenset(accepting), frozenset(draining))


def has_connections(host: Host) -> bool:
    """True where someone is connected by TCP to a port on which nginx listens; idle connections count, too.

    Columns 2 and 4 of /proc/net/tcp and tcp6: the local address and port, and the state (net/ipv4/tcp_ipv4.c).
    """
    ports = {each.port for each in host.listeners() if each.process == "nginx"}
    for table in ("tcp", "tcp6"):
        for line in tree.text_of(host.look(f"/proc/net/{table}")).splitlines()[1:]:
            fields = line.split()
            if fields[3:4] == [ESTABLISHED] and int(fields[1].rpartition(":")[2], 16) in ports:
                return True
    return False


def _children(host: Host, parent: str) -> list[str]:
    return [pid for pid in host.names("/proc") if pid.isdigit() and _stat(host, pid)[0] == parent]


def _title(host: Host, pid: str) -> str:
    node = host.look(f"/proc/{pid}/cmdline")
    return node.content.replace(b"\0", b" ").decode(errors="replace") if isinstance(node, File) else ""


def _stat(host: Host, pid: str) -> tuple[str, str]:
    """(parent's pid, start time): fields 4 and 22 of /proc/pid/stat, counted after the last parenthesis of the name."""
    node = host.look(f"/proc/{pid}/stat")
    fields = node.content.decode(errors="replace").rpartition(")")[2].split() if isinstance(node, File) else []
    return (fields[1], fields[19]) if len(fields) > 19 else ("", "")


def reload_finished(before: object, now: Workers) -> bool:
    """True when new workers take the connections and none of the old ones still does."""
    old = before.accepting if isinstance(before, Workers) else frozenset()
    return bool(now.accepting) and not (old & now.accepting)
