"""The copy's network: the machine's addresses, firewall and taken ports, connected to nothing but an internet of its own."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.host import Listener
from hermes_setup.system.local import Local
from hermes_setup.system.processes import PATH, program
from hermes_setup.system.rehearsal import held_ports, internet
from hermes_setup.system.rehearsal.files import BUNDLE, OWN, RESOLV_CONF, read, replace, run_all, write
from hermes_setup.system.rehearsal.rehearsal import Machine, Scenario, python

# A process that is called cron and does nothing: what starts renewals on the real machine is looked for by that name.
CRON = "import signal; open('/proc/self/comm', 'w').write('cron'); signal.pause()"
_TOOLS = (("iproute2", "ip"), ("openssl", "openssl"))


class Network:
    """See the module. `net` is the path of the machine's own network namespace."""

    def __init__(self, copy: Local, net: str) -> None:
        self._copy = copy
        self._net = net
        self._pebble = ""
        self.held: dict[tuple[str, int], Listener] = {}
        """Address and port -> the machine's program that listens there, whose port is taken in the copy, too."""

    def fetch_authority(self) -> str:
        """Pebble, a certificate authority for tests, is here; else why not."""
        self._pebble = shutil.which("pebble", path=PATH) or ""
        if self._pebble:
            return ""
        if not shutil.which("apt-get", path=PATH):
            return "this server has no apt-get to fetch it with"
        os.makedirs(f"{OWN}/pebble")
        os.chdir(f"{OWN}/pebble")  # where apt-get puts it
        try:
            for update in (False, True):
                with contextlib.suppress(CommandFailed):
                    if update:
                        self._copy.run(("apt-get", "update", "-q"), seconds=300)
                    self._copy.run(("apt-get", "download", "-q", "pebble"), seconds=120)
                    self._copy.run(("dpkg-deb", "-x", *glob.glob("*.deb"), "."))
                    self._pebble = f"{OWN}/pebble/usr/bin/pebble"
                    return ""
        finally:
            os.chdir("/")
        if "Package: pebble" in self._copy.ask(("apt-cache", "show", "pebble")).out:
            return "its package could not be downloaded"
        return "this distribution has no package of it"

    def connect(self, scenario: Scenario, machine: Machine) -> tuple[bool, str]:
        """The copy has the machine's addresses, firewall and taken ports, and an internet around it.

        Whether a stand-in plays Hermes in it, and why the firewall could not be copied ("": it could).
        """
        if missing := [name for name, program in _TOOLS if not shutil.which(program, path=PATH)]:
            self._copy.run(("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing))
        for number, pem in enumerate(self._start_internet(scenario, machine.interface)):
            self._trust(pem, f"hermes-setup-rehearsal-{number}")
        # Pebble has no account of Let's Encrypt's: certbot makes a new one.
        for name in internet.LETSENCRYPT:
            shutil.rmtree(f"/etc/letsencrypt/accounts/{name}", ignore_errors=True)
        replace(RESOLV_CONF, without_local_resolvers(read(RESOLV_CONF)))
        for name in machine.other_interfaces:  # rules of the firewall may name them
            any(self._copy.ask(("ip", "link", "add", name, "type", kind)).ok for kind in ("dummy", "bridge"))
        refused = self._copy_firewall()
        plays_hermes = self._take_ports(scenario, machine.listeners)
        if machine.has_cron:
            subprocess.Popen([sys.executable, "-I", "-c", CRON])
        if machine.has_nginx:
            with contextlib.suppress(CommandFailed):  # where it can't start any more, the stage of the site says why
                self._copy.run(("nginx",), seconds=30)
        return plays_hermes, refused

    def is_intact(self) -> bool:
        """The internet of the copy, and the authority in it, still run."""
        return self._internet.poll() is None

    def _start_internet(self, scenario: Scenario, interface: str) -> Sequence[str]:
        """The interface is connected to an internet; the certificates (PEM) to trust there."""
        folder = f"{OWN}/internet"
        os.mkdir(folder, 0o700)
        url = urlsplit(scenario.directory)
        settings = internet.Settings(
            domain=scenario.domain,
            addresses=scenario.addresses,
            public=scenario.public,
            names=tuple(dict.fromkeys((*internet.LETSENCRYPT, url.hostname or internet.LETSENCRYPT[0]))),
            port=url.port or 443,
            directory=url.path,
            pebble=self._pebble,
            folder=folder,
        )
        self._internet = subprocess.Popen(  # it runs until its stdin is closed: as long as this process
            ["unshare", "--net", "--", *python("internet")],
            executable=program("unshare"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._read_line()
        four, six = [a for a in scenario.addresses if ":" not in a], [a for a in scenario.addresses if ":" in a]
        run_all(
            self._copy,
            "ip link set lo up",
            f"ip link add {interface} type veth peer name {internet.INTERFACE} netns {self._internet.pid}",
            *(f"ip addr add {a}/32 dev {interface}" for a in four),
            *(f"ip addr add {a}/128 dev {interface} nodad" for a in six),
            f"ip link set {interface} up",
            f"ip route add default via {internet.GATEWAYS[0]} dev {interface} onlink",
            *([f"ip -6 route add default via {internet.GATEWAYS[1]} dev {interface}"] if six else []),
        )
        assert self._internet.stdin  # noqa: S101 - a pipe, see above
        self._internet.stdin.write(settings.line())
        self._internet.stdin.flush()
        trusted: list[str] = json.loads(self._read_line())
        return trusted

    def _read_line(self) -> str:
        """The next line that the internet prints. Raises HermesSetupError, with its last error, when there is none."""
        assert self._internet.stdout  # noqa: S101 - pipes, see above
        assert self._internet.stderr  # noqa: S101
        if line := self._internet.stdout.readline():
            return line
        last = self._internet.stderr.read().strip().splitlines()[-1:]
        raise HermesSetupError(
            f"The copy's own internet did not start: {' '.join(last) or 'it was killed'}.", hint="Run it again."
        )

    def _trust(self, pem: str, name: str) -> None:
        """Every program of the copy trusts that certificate, also after an update of the list."""
        path = f"/usr/local/share/ca-certificates/{name}.crt"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path, pem.encode())
        os.makedirs(os.path.dirname(BUNDLE), exist_ok=True)
        replace(BUNDLE, read(BUNDLE) + pem.encode())
        subject_hash = self._copy.run(("openssl", "x509", "-noout", "-hash", "-in", path)).out.strip()
        with contextlib.suppress(FileExistsError):
            os.symlink(path, f"/etc/ssl/certs/{subject_hash}.0")

    def _copy_firewall(self) -> str:
        """The machine's packet filter is in the copy's network; else why its rules were refused."""
        tools = [
            (("nft", "list", "ruleset"), ("nft", "-f", "-")),
            (("iptables-save",), ("iptables-restore",)),
            (("ip6tables-save",), ("ip6tables-restore",)),
        ]
        refused = ""
        for save, restore in tools:
            rules = self._copy.ask(("nsenter", f"--net={self._net}", *save)).out
            if not rules.strip():
                continue
            try:
                self._copy.run(restore, stdin=rules.encode())
            except CommandFailed as error:
                refused = refused or " ".join(error.output.split()[:30])
            else:
                if save[0] == "nft":  # which lists the others' rules, too
                    return ""
        return refused

    def _take_ports(self, scenario: Scenario, listeners: Sequence[Listener]) -> bool:
        """Every port is taken as on the machine; True when a stand-in plays Hermes where there is none."""
        taken = {(each.address, each.port) for each in listeners}
        found = [each for each in listeners if (each.address, each.port) in scenario.dashboards]
        # A proxy in front of it, or a process that could not be seen, listens elsewhere: the address is what counts.
        hidden = [Listener(*at) for at in scenario.dashboards if at not in taken]
        there_is_one = scenario.dashboards or any(each.port == scenario.stand_in[1] for each in listeners)
        played = [] if there_is_one else [Listener(*scenario.stand_in)]
        for each in [*listeners, *hidden, *played]:
            both = each.address == "::" and ("0.0.0.0", each.port) not in taken  # noqa: S104 - compared, not bound
            kind = held_ports.Dashboard if each in (*found, *hidden, *played) else held_ports.Other
            if held_ports.listen(each, kind, both=both) and each in listeners:
                self.held[each.address, each.port] = each
        return bool(played)


def without_local_resolvers(text: bytes) -> bytes:
    """The machine's resolv.conf for its copy, where every address answers except its own (127.0.0.53, most often)."""
    lines = [line for line in text.splitlines() if not re.match(rb"\s*nameserver\s+(127\.|::1|0\.0\.0\.0|fe80)", line)]
    if not any(line.split()[:1] == [b"nameserver"] for line in lines):
        lines.append(b"nameserver 1.1.1.1")
    return b"\n".join(lines) + b"\n"
