"""The running nginx: its master, its workers, and whether a reload has finished."""

from __future__ import annotations

from hermes_setup.host import File, Host
from hermes_setup.nginx import tree
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Workers:
    """The running nginx: its master (0: none), and its workers that still take connections."""

    master: int
    accepting: frozenset[str]  # "pid.starttime"


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
    alive = set()
    for pid in pids:
        title = _title(host, pid)
        if "nginx: worker" in title and "shutting down" not in title:
            alive.add(f"{pid}.{_stat(host, pid)[1]}")
    return Workers(int(text), frozenset(alive))


def draining_workers(host: Host) -> int:
    """How many old workers this machine's nginx has that it calls "shutting down": someone is still connected to them, most often a chat.

    They take no new connections, and end when the last of theirs closes.
    """
    master = workers(host, tree.read(host).pid).master
    return sum("shutting down" in _title(host, pid) for pid in _children(host, str(master))) if master else 0


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
