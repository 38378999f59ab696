"""Listening sockets and this machine's own addresses: read from /proc, since small systems have neither ss nor ip.

Sources: proc(5), `net/ipv4/tcp_ipv4.c` and `net/ipv6/tcp_ipv6.c` (the columns of /proc/net/tcp and tcp6),
`net/ipv4/fib_trie.c`, `net/ipv6/addrconf.c` (if_inet6).
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import pwd
import re
import sys

from hermes_setup.host import Listener

LISTEN = "0A"  # include/net/tcp_states.h


def listeners(proc: str = "/proc") -> tuple[Listener, ...]:
    """Every listening TCP socket, with the process that holds it where it can be seen; by port, then address."""
    found: dict[str, tuple[str, int, int]] = {}
    for table in ("tcp", "tcp6"):
        for line in _lines(f"{proc}/net/{table}")[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == LISTEN:
                address, _, port = fields[1].partition(":")
                found[fields[9]] = (_address(address), int(port, 16), int(fields[7]))
    pids = _pids_by_inode(proc, {inode: uid for inode, (_, _, uid) in found.items()}) if found else {}
    made = {
        Listener(address, port, pid, *_process(proc, pid), owner=owner) if pid else Listener(address, port, owner=owner)
        for inode, (address, port, uid) in found.items()
        for pid, owner in [(pids.get(inode, 0), _name_of(uid))]
    }
    return tuple(sorted(made, key=lambda each: (each.port, each.address, each.pid)))


def _address(text: str) -> str:
    """The address as text; the kernel prints it in 32-bit words of its own byte order."""
    words = [bytes.fromhex(text[at : at + 8]) for at in range(0, len(text), 8)]
    raw = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    address = ipaddress.ip_address(raw)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _pids_by_inode(proc: str, uids: dict[str, int]) -> dict[str, int]:
    """Inode -> the oldest process that has the socket open (nginx's master, not its workers).

    One of the user who opened it (`uids`, by inode) comes first: anybody can hand a socket on to a process of somebody
    else (unix(7), SCM_RIGHTS).
    """
    found: dict[str, int] = {}
    sure: set[str] = set()
    for pid in sorted((name for name in _entries(proc) if name.isdigit()), key=int):
        for handle in _entries(f"{proc}/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"{proc}/{pid}/fd/{handle}")
                inode = target[8:-1] if target.startswith("socket:[") else ""
                if inode in uids and inode not in sure:
                    found.setdefault(inode, int(pid))
                    if _uid(f"{proc}/{pid}") == uids[inode]:
                        found[inode] = int(pid)
                        sure.add(inode)
        if len(sure) == len(uids):
            break
    return found


def _process(proc: str, pid: int) -> tuple[str, str, str, bool]:
    """(name, unit, user, whether the unit is that user's own) of a process; "" for what can't be seen."""
    name = "".join(_lines(f"{proc}/{pid}/comm")).strip()
    name = "".join(each if each.isprintable() else "?" for each in name)  # a process gives itself any name (prctl(2))
    group = _lines(f"{proc}/{pid}/cgroup")
    container = _container(group)
    if container and container == _container(_lines(f"{proc}/self/cgroup")):
        container, group = "", []  # this program runs in that container, too, which is the machine as far as it can see
    unit, of_user = _unit(group)
    return name, container or unit, _user(f"{proc}/{pid}"), of_user and not container


def _container(cgroup: list[str]) -> str:
    """The container, as the control group's path names it: "docker-<id>" or "container-<name>"; "" where there is none.

    Sources: systemd-nspawn(1) (the payload's group), lxc.container.conf(5) (lxc.cgroup.dir and its default).
    """
    for line in cgroup:
        path = line.rpartition(":")[2]
        match = re.search(r"(?:docker|libpod|cri-containerd|crio)[-/]([0-9a-f]{12})[0-9a-f]*", path)
        if match or (match := re.search(r"[-/]([0-9a-f]{12})[0-9a-f]{52}(?=/|\.scope|$)", path)):
            return f"docker-{match.group(1)}"
        match = re.search(r"/(?:machine-|systemd-nspawn@)([^/]+)\.(?:scope|service)/payload(?=/|$)", path)
        if match or (match := re.search(r"^/lxc(?:\.payload\.|\.payload/|/)([^/]+)", path)):
            return f"container-{match.group(1)}"
    return ""


def _unit(cgroup: list[str]) -> tuple[str, bool]:
    """The systemd unit, and whether a user's own systemd runs it.

    user@1000.service is that systemd itself, never the unit meant: stopping it ends the user's whole session.
    """
    for line in cgroup:
        units = re.findall(r"/([^/]+\.service)(?=/|$)", line.rpartition(":")[2])
        if units:
            unit = str(units[-1])
            return ("", False) if unit.startswith("user@") else (unit, units[0].startswith("user@"))
    return "", False


def _user(folder: str) -> str:
    uid = _uid(folder)
    return "" if uid is None else _name_of(uid)


def _uid(folder: str) -> int | None:
    """The effective user of a process: its folder is always theirs (`fs/proc/base.c`, task_dump_owner)."""
    try:
        return os.stat(folder).st_uid
    except OSError:
        return None


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def addresses(proc: str = "/proc") -> tuple[str, ...]:
    """The addresses of the interfaces, IPv4 first, without loopback and link-local ones."""
    found: set[ipaddress.IPv4Address | ipaddress.IPv6Address] = set()
    last = ""
    for line in _lines(f"{proc}/net/fib_trie"):
        if match := re.search(r"(?:\|--|\+--) (\d+\.\d+\.\d+\.\d+)", line):
            last = match.group(1)
        elif "/32 host LOCAL" in line and last:
            found.add(ipaddress.IPv4Address(last))
    for line in _lines(f"{proc}/net/if_inet6"):
        raw = line.split()[0] if line.strip() else ""
        if len(raw) == 32:
            found.add(ipaddress.IPv6Address(bytes.fromhex(raw)))
    kept = [each for each in found if not (each.is_loopback or each.is_link_local or each.is_unspecified)]
    return tuple(str(each) for each in sorted(kept, key=lambda each: (each.version, int(each))))


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
