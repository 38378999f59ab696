"""The processes above ours, and what was set where sudo was typed (proc(5), environ)."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping

from hermes_setup.host import File, Host

DEEPEST = 64  # processes above ours; more is a loop


def before_sudo(host: Host, names: Collection[str]) -> dict[str, str]:
    """Those variables as they were where sudo was typed: sudo drops nearly all, but the processes above ours have them.

    The nearest process that has one counts. The search ends at the first that sudo did not start (sudo itself, or what
    it was started by): a shell may have changed what is above.
    """
    found: dict[str, str] = {}
    for pid in ancestor_pids(host):
        environ = environment(host, pid)
        found = {name: environ[name] for name in names if name in environ} | found
        if environ and "SUDO_USER" not in environ:
            break
    return found


def ancestor_pids(host: Host) -> Iterator[str]:
    """Our process, its parent, and so on, up to the first one."""
    pid = "self"
    for _ in range(DEEPEST):
        yield pid
        stat = host.look(f"/proc/{pid}/stat")
        # fields are counted after the name's last parenthesis: the name may contain anything
        fields = stat.content.decode(errors="replace").rpartition(")")[2].split() if isinstance(stat, File) else []
        if len(fields) < 2 or fields[1] in ("0", "1"):
            return
        pid = fields[1]


def environment(host: Host, pid: str) -> Mapping[str, str]:
    """The variables a process was started with; none where they can't be read."""
    node = host.look(f"/proc/{pid}/environ")
    entries = os.fsdecode(node.content).split("\0") if isinstance(node, File) else ()
    return {name: value for name, equals, value in (entry.partition("=") for entry in entries) if equals}
