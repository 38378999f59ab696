"""A program by itself, for a `Run`: the draining workers of one nginx master end, and with them every connection that they hold.

    python3 -I end_draining.py MASTER      its PID; exit status 0: none is left, 1: one is, and stdout names it

A worker that gets SIGTERM while it is "shutting down" ends at once, and its master starts no other in its place
(ngx_worker_process_cycle, ngx_reap_children). New connections have gone to the new workers since the reload, so none is lost.
It reads /proc itself and imports nothing of ours: a process is opened (pidfd_open(2)) before it is looked at, so what is
signalled is what was looked at, whoever has that number by then.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

MASTER = "nginx: master process"  # as ngx_setproctitle writes it
DRAINING = "nginx: worker process is shutting down"
GRACE = 0.5
"""Seconds in which an ordinary request that was under way at the reload gets its answer."""
PATIENCE = 5.0
"""Seconds in which a worker ends after its signal: it may be waiting for the disk."""


def main(master: int) -> int:
    """See the module."""
    if not _title(master).startswith(MASTER):
        return 0
    left = _opened(master)
    try:
        _wait(left, GRACE)
        for pid, handle in left.items():
            _terminate(pid, handle, master)
        _wait(left, PATIENCE)
        if left:
            print(f"Still running {PATIENCE:g} s after SIGTERM: {' '.join(map(str, left))}")
        return int(bool(left))
    finally:
        for handle in left.values():
            _close(handle)


def _opened(master: int) -> dict[int, int]:
    """PID -> handle of each of its draining workers. -1 where there are no handles: kernels before 5.3, a Python built for one."""
    found = {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        if not _is_draining(pid, master):
            continue
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        except (OSError, AttributeError):
            handle = -1
        if _is_draining(pid, master):  # it is still the one that has been opened
            found[pid] = handle
        else:
            _close(handle)
    return found


def _terminate(pid: int, handle: int, master: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if handle >= 0:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        elif _is_draining(pid, master):
            os.kill(pid, signal.SIGTERM)


def _wait(left: dict[int, int], seconds: float) -> None:
    """Those that have ended by then are no longer among them; as soon as none is left, it returns."""
    deadline = time.monotonic() + seconds
    while left and (now := time.monotonic()) < deadline:
        poll = select.poll()
        for handle in left.values():
            if handle >= 0:
                poll.register(handle, select.POLLIN)
        # without handles nothing announces an end: looked at every 20 ms
        poll.poll(20 if -1 in left.values() else max(1, int((deadline - now) * 1000)))
        for pid in [pid for pid, handle in left.items() if _has_ended(pid, handle)]:
            _close(left.pop(pid))


def _has_ended(pid: int, handle: int) -> bool:
    if handle < 0:
        return not _title(pid).startswith(DRAINING)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(0))


def _close(handle: int) -> None:
    if handle >= 0:
        os.close(handle)


def _is_draining(pid: int, master: int) -> bool:
    """A child of that master that says so in its title. (Field 4 of stat, after the last parenthesis of the name: proc(5).)"""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return fields[1:2] == [str(master)] and _title(pid).startswith(DRAINING)


def _title(pid: int) -> str:
    return _read(pid, "cmdline").replace("\0", " ")


def _read(pid: int, name: str) -> str:
    """What /proc has there; nothing where that process is gone."""
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
