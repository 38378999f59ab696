"""An internet of its own: one network namespace with a bridge, the public resolvers, Let's Encrypt, and machines."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import itertools
import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from . import spaces, web
from .acme import Acme
from .dns import ADDRESSES, AUTHORITY, Dns
from .machine import Machine
from .packages import Packages, introduce

M = TypeVar("M", bound=Machine)

GATEWAY = ("198.51.100.1", "2001:db8::1")
PLACES = (GATEWAY, *((f"198.51.100.{n}", f"2001:db8::{n}") for n in (2, 3, 4, 9)), AUTHORITY)


class World:
    """A world with nobody in it but its DNS; close() ends it and every machine in it."""

    def __init__(self) -> None:
        self.net = spaces.new_net()
        self._close_first: list[Callable[[], None]] = []
        self._numbers = itertools.count(1)
        self._hosts = itertools.count(10)
        self._lines: dict[Machine, str] = {}  # the outer end of each one's cable
        spaces.sysctl(self.net, "net/ipv4/ip_forward", "1")
        spaces.sysctl(self.net, "net/ipv6/conf/all/forwarding", "1")
        resolvers = [a for a in ADDRESSES if a not in AUTHORITY]
        spaces.ip(
            self.net,
            [
                "link set lo up",
                "link add br0 type bridge",
                "link set br0 up",
                *(f"addr add {v4}/24 dev br0" for v4, _ in PLACES),
                *(f"addr add {v6}/64 dev br0 nodad" for _, v6 in PLACES),
                *(f"addr add {a}/32 dev lo" for a in resolvers if ":" not in a),
                *(f"addr add {a}/128 dev lo nodad" for a in resolvers if ":" in a),
                # Anything else on the internet: refused at once, rather than lost.
                "route add unreachable default",
                "route add unreachable ::/0",
            ],
        )
        # Frames that pass the bridge are no business of NAT's, where the kernel has that switched on.
        for family in ("iptables", "ip6tables", "arptables"):
            with contextlib.suppress(FileNotFoundError):
                spaces.sysctl(self.net, f"net/bridge/bridge-nf-call-{family}", "0")
        self.dns = Dns(self.net)

    @property
    def machines(self) -> tuple[Machine, ...]:
        """All that were joined to it."""
        return tuple(self._lines)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def before_close(self, act: Callable[[], None]) -> None:
        """`act` is called when the world closes; last one first."""
        self._close_first.append(act)

    def close(self) -> None:
        """Nothing of it is left. May be called again."""
        if self.net < 0:
            return
        while self._close_first:
            self._close_first.pop()()
        self.dns.close()
        os.close(self.net)
        self.net = -1

    @functools.cached_property
    def acme(self) -> Acme:
        """Let's Encrypt, its staging, and one more CA; started when first asked for."""
        acme = Acme(self.net, self.dns)
        self.before_close(acme.close)
        return acme

    @functools.cached_property
    def _packages(self) -> Packages:
        packages = Packages(self.net, self.dns)
        self.before_close(packages.close)
        return packages

    def give_packages(self, machine: Machine) -> Packages:
        """In this world the real package registries answer apt-get and pip, and the machine is fit to use them."""
        introduce(machine)
        return self._packages

    def machine(self, *names: str, **options: Any) -> Machine:
        """make(Machine, ...)."""
        return self.make(Machine, *names, **options)

    def make(
        self,
        kind: type[M],
        *names: str,
        v4: str | None = "auto",
        v6: str | None = "auto",
        name: str = "vps",
        resolver: str = "1.1.1.1",
        memory: str = "2g",
        extra: Sequence[str] = (),
    ) -> M:
        """A new machine of that kind, joined to the world; `names`, `memory`, `extra` as for Machine. It closes with it."""
        machine = kind(*names, name=name, memory=memory, extra=extra)
        self.before_close(machine.close)
        number = next(self._hosts)
        self.join(
            machine,
            v4=f"198.51.100.{number}" if v4 == "auto" else v4,
            v6=f"2001:db8::{number}" if v6 == "auto" else v6,
            resolver=resolver,
        )
        return machine

    def join(self, machine: Machine, *, v4: str | None, v6: str | None, resolver: str = "1.1.1.1") -> None:
        """The machine has an eth0 here with these addresses (None: none of that family) and asks `resolver`.

        A private `v4` (10.0.0.0/8) is a machine behind NAT: see behind_nat().
        """
        veth = f"v{next(self._numbers)}"
        private = v4 is not None and ipaddress.ip_address(v4).is_private and v4.startswith("10.")
        self._lines[machine] = veth
        spaces.ip(
            self.net,
            [
                f"link add {veth} type veth peer name eth0 netns {machine.pid}",
                f"link set {veth} master br0 up",
                *(["addr replace 10.0.0.1/8 dev br0"] if private else []),
            ],
        )
        lines = ["link set eth0 up"]
        if v4:
            gateway, width = ("10.0.0.1", 8) if private else (GATEWAY[0], 24)
            lines += [f"addr add {v4}/{width} dev eth0", f"route add default via {gateway}"]
        if v6:
            lines += [f"addr add {v6}/64 dev eth0 nodad", f"route add ::/0 via {GATEWAY[1]} dev eth0"]
        spaces.ip(machine.net, lines)
        machine.addresses = tuple(a for a in (v4, v6) if a)
        machine.resolve = self.resolve
        if not v4 and ":" not in resolver:
            resolver = "2606:4700:4700::1111"
        machine.write("/etc/resolv.conf", f"nameserver {resolver}\noptions timeout:2 attempts:2\n")

    def cut(self, machine: Machine) -> None:
        """Nothing that the machine sends arrives any more, nor anything that is sent to it; nobody is told."""
        spaces.ip(self.net, [f"link set {self._lines[machine]} nomaster"])

    def mend(self, machine: Machine) -> None:
        """The machine is joined again."""
        spaces.ip(self.net, [f"link set {self._lines[machine]} master br0"])

    def behind_nat(self, machine: Machine, public: str) -> None:
        """The machine, joined with a private v4, is reached and seen at `public`, as in some clouds."""
        private = next(a for a in machine.addresses if a.startswith("10."))
        spaces.ip(self.net, [f"addr add {public}/32 dev lo"])
        rules = (
            "table ip nat {\n"
            f" chain in {{ type nat hook prerouting priority -100; ip daddr {public} dnat to {private}; }}\n"
            f" chain self {{ type nat hook output priority -100; ip daddr {public} dnat to {private}; }}\n"
            " chain out { type nat hook postrouting priority 100;"
            f" ip saddr {private} ip daddr != 10.0.0.0/8 snat to {public};"
            f" ip saddr {private} ip daddr {private} masquerade; }}\n"
            "}\n"
        )
        subprocess.run(spaces.net_command(self.net, ["nft", "-f", "-"]), input=rules.encode(), check=True)
        self.dns.seen_as(v4=public)

    def resolve(self, host: str) -> str:
        """The address for a name in this world; addresses stand for themselves, localhost for 127.0.0.1."""
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            pass
        if host == "localhost" or host.endswith(".localhost"):
            return "127.0.0.1"
        found = self.dns.addresses(host)
        if not found:
            raise LookupError(f"this world knows no address of {host}")
        return found[0]

    def fetch(self, url: str, **options: object) -> web.Reply:
        """web.fetch() as a stranger on this internet."""
        return web.fetch(self.net, url, **{"resolve": self.resolve, **options})  # type: ignore[arg-type]  # keywords of fetch

    def websocket(self, url: str, **options: object) -> web.WebSocket:
        """web.websocket() likewise."""
        return web.websocket(self.net, url, **{"resolve": self.resolve, **options})  # type: ignore[arg-type]  # as above

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command that runs argv out here, with the test's own files: for subprocess or pexpect."""
        return spaces.net_command(self.net, argv)
