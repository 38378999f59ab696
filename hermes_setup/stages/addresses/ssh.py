"""Where the ssh session comes from in which this program was started, under sudo and su too.

sshd tells it to the shell as SSH_CONNECTION (ssh(1)); sudo drops that, but the processes above ours still have it
(proc(5), environ). It may be old: a tmux outlives its session, and mosh needs none. So it counts as sure only while
that very connection is open (the columns of /proc/net/tcp are those of net/ipv4/tcp_ipv4.c).
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterator

from hermes_setup.ancestors import ancestor_pids, environment
from hermes_setup.host import File, Host
from hermes_setup.values import dataclass

ESTABLISHED = "01"  # include/net/tcp_states.h


@dataclass(frozen=True)
class SshSession:
    """The other end of the ssh session, in short form; IPv4 also where sshd saw it as ::ffff:203.0.113.5."""

    address: str
    sure: bool = True

    @property
    def network(self) -> str:
        """What to allow so that this session's user gets in: the address; of IPv6 the /64 around it.

        Devices change the lower half of their IPv6 address every day (RFC 8981), and browsers use the newest.
        """
        if ":" not in self.address:
            return self.address
        return str(ipaddress.ip_network((self.address, 64), strict=False))


@dataclass(frozen=True)
class _Endpoint:
    address: str
    port: int


def find(host: Host) -> SshSession | None:
    """The session, None where there is none: a console, cron, a container; or where it is not clear which one it is."""
    named = next((pair for pid in ancestor_pids(host) if (pair := _connection_in_environment(host, pid))), None)
    if named is None:
        return None
    there, here = named
    open_now = tuple(_connections(host))
    if named in open_now:
        return _session(there.address, sure=True)
    others = {remote.address for remote, local in open_now if local.port == here.port}
    others = {address for address in others if _session(address, sure=False)}
    if len(others) > 1:
        return None
    return _session(next(iter(others), there.address), sure=False)


def _session(address: str, *, sure: bool) -> SshSession | None:
    """None for what no browser elsewhere can come from."""
    seen = ipaddress.ip_address(address)
    return None if seen.is_loopback or seen.is_link_local or seen.is_unspecified else SshSession(address, sure)


def _connection_in_environment(host: Host, pid: str) -> tuple[_Endpoint, _Endpoint] | None:
    """(there, here) of the connection that sshd named to a process."""
    words = environment(host, pid).get("SSH_CONNECTION", "").split()
    if len(words) != 4:
        return None
    there, here = _endpoint(words[0], words[1]), _endpoint(words[2], words[3])
    return (there, here) if there and here else None


def _endpoint(address: str, port: str) -> _Endpoint | None:
    try:
        return _Endpoint(_short(ipaddress.ip_address(address.partition("%")[0])), int(port))
    except ValueError:
        return None


def _short(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _connections(host: Host) -> Iterator[tuple[_Endpoint, _Endpoint]]:
    """(there, here) of every TCP connection that is open."""
    for table in ("tcp", "tcp6"):
        node = host.look(f"/proc/net/{table}")
        for line in node.content.decode(errors="replace").splitlines()[1:] if isinstance(node, File) else ():
            fields = line.split()
            if len(fields) > 3 and fields[3] == ESTABLISHED:
                yield _from_proc(fields[2]), _from_proc(fields[1])


def _from_proc(text: str) -> _Endpoint:
    """As the kernel prints it: 32-bit words in its own byte order."""
    words, _, port = text.partition(":")
    each = [bytes.fromhex(words[at : at + 8]) for at in range(0, len(words), 8)]
    raw = b"".join(word[::-1] if sys.byteorder == "little" else word for word in each)
    return _Endpoint(_short(ipaddress.ip_address(raw)), int(port, 16))
