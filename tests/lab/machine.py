"""One throwaway server: layers of a real Debian, a disk in memory over them, namespaces of its own, no systemd."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pexpect

from . import snapshot, web
from .layers import layers

HERE = Path(__file__).resolve().parent
DISKS = Path("/run/lab")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
    "TERM": "xterm-256color",
}
LEFT_OUT = ("/tmp", "/root/.cache", "/var/log", "/var/cache")

_numbers = itertools.count(1)
_stores: dict[tuple[str, str], bytes] = {}
"""By system and the names of what was added, which tell their content: what update-ca-certificates made there."""


@dataclass(frozen=True)
class Ran:
    """A command that ended. `code` is negative for a signal, as subprocess has it."""

    argv: Sequence[str]
    code: int
    out: str
    err: str


class CommandFailed(AssertionError):
    """A command that was to succeed did not; the message holds all that it said."""


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket. `pid` is as seen inside the machine, `process` its name; 0 and "" where nobody has it."""

    address: str
    port: int
    process: str
    pid: int


@dataclass(frozen=True)
class Process:
    """A process as the machine sees it."""

    pid: int
    user: int
    argv: tuple[str, ...]


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


class Daemon:
    """A command that runs in the background of a machine until it ends or stop() is called."""

    def __init__(self, argv: Sequence[str], popen: subprocess.Popen[bytes], log: Path) -> None:
        self.argv = argv
        self.popen = popen
        self._log = log

    @property
    def output(self) -> str:
        """All it has written so far, stdout and stderr together."""
        return self._log.read_text("utf-8", "replace")

    @property
    def code(self) -> int | None:
        """None while it runs."""
        return self.popen.poll()

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 10) -> int:
        """It has ended, by this signal to its first process, or after `timeout` seconds by SIGKILL to all of its group."""
        while self.popen.poll() is None and not (children := _children(self.popen.pid)):
            time.sleep(0.01)  # it has not entered the machine yet
        if self.popen.poll() is None:
            os.kill(children[0], number)
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self.popen.pid, signal.SIGKILL)
        return self.popen.wait()


class Machine:
    """A running machine; close() (or the end of a `with`) leaves nothing of it."""

    def __init__(self, *names: str, name: str = "vps", memory: str = "2g", extra: Sequence[str] = ()) -> None:
        """`names`: a key of layers.STACKS (none: "debian13-ready"), and "hermes" to have /opt/hermes too.

        `memory` is the room on its disk (a tmpfs: its files count as memory); `extra`: tmpfs options.
        """
        self.name = name
        self.system = next((each for each in names if each != "hermes"), "debian13-ready")
        self.lower = layers(self.system, hermes="hermes" in names)
        self.resolve: Callable[[str], str] = lambda host: "127.0.0.1"
        self.addresses: tuple[str, ...] = ()
        self._close_first: list[Callable[[], None]] = []
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._logs = itertools.count(1)
        self._disk = DISKS / f"{os.getpid()}-{next(_numbers)}"
        self._disk.mkdir(parents=True)
        options = ",".join((f"size={memory}", "mode=755", *extra))
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "lab", str(self._disk)], check=True)
        try:
            for part in ("upper", "work", "root", "logs"):
                (self._disk / part).mkdir()
            self._holder, self.pid = self._boot()
        except BaseException:
            self._forget_disk()
            raise
        self.net = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def _boot(self) -> tuple[subprocess.Popen[bytes], int]:
        holder = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child", "--"]
            + ["sh", str(HERE / "init.sh"), str(self._disk), ":".join(self.lower), self.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != b"ready\n":
            holder.kill()
            raise RuntimeError(f"machine {self.name} did not start: {holder.stderr.read().decode()}")
        holder.stdout.close()
        holder.stderr.close()
        return holder, _children(holder.pid)[0]

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def before_close(self, act: Callable[[], None]) -> None:
        """`act` is called when the machine closes, before its processes are killed; last one first."""
        self._close_first.append(act)

    def close(self) -> None:
        """Every process in it is killed, its disk is gone. May be called again."""
        if self._holder.returncode is not None:
            return
        while self._close_first:
            self._close_first.pop()()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._holder.wait()
        for daemon in self._daemons:
            daemon.wait()
        os.close(self.net)
        self._forget_disk()

    def _forget_disk(self) -> None:
        subprocess.run(["umount", "--lazy", str(self._disk)], check=True)
        self._disk.rmdir()

    # Running things.

    def _enter(self, argv: Sequence[str], env: Mapping[str, str] | None, user: str | None, cwd: str) -> list[str]:
        variables = {**ENVIRONMENT, **(env or {})}
        if user is not None:
            argv = ["runuser", "-u", user, "--", *argv]
        return [
            *("nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--uts", "--ipc"),
            *(
                "--",
                "env",
                "--default-signal",
                f"--chdir={cwd}",
                "-i",
                *(f"{key}={value}" for key, value in variables.items()),
            ),
            *argv,
        ]

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        check: bool = True,
        user: str | None = None,
        cwd: str = "/",
    ) -> Ran:
        """The command has ended. CommandFailed (with `check`) unless its code is 0; TimeoutExpired after `timeout` s.

        No terminal; the environment is a fresh login's plus `env`, nothing of the test's own.
        """
        with subprocess.Popen(
            self._enter(argv, env, user, cwd),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as popen:
            try:
                out, err = popen.communicate(input.encode() if isinstance(input, str) else input, timeout)
            except BaseException:
                os.killpg(popen.pid, signal.SIGKILL)
                raise
        ran = Ran(tuple(argv), popen.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))
        if check and ran.code:
            raise CommandFailed(f"{' '.join(argv)} ended with {ran.code}\n--- stdout\n{ran.out}\n--- stderr\n{ran.err}")
        return ran

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        cwd: str = "/",
    ) -> Daemon:
        """The command runs in the background; it dies with the machine."""
        log = self._disk / "logs" / f"{next(self._logs)}"
        with log.open("wb") as file:
            popen = subprocess.Popen(
                self._enter(argv, env, user, cwd),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._daemons.append(popen)
        return Daemon(tuple(argv), popen, log)

    def spawn(
        self,
        argv: Sequence[str],
        *,
        rows: int = 24,
        cols: int = 80,
        env: Mapping[str, str] | None = None,
        timeout: float = 30,
        cwd: str = "/",
        log: IO[str] | None = None,
    ) -> pexpect.spawn[str]:
        """The command runs on a terminal of its own and leads its session: ^C, hang-ups and resizes reach it.

        kill() sends a signal to it. The terminal has no name in the machine's /dev/pts; /dev/tty works.
        """
        variables = {**ENVIRONMENT, **(env or {})}
        argv = [
            "env",
            "--default-signal",
            f"--chdir={cwd}",
            "-i",
            *(f"{key}={value}" for key, value in variables.items()),
            *argv,
        ]
        with warnings.catch_warnings():
            # The world's DNS is a thread here; between fork and exec the child touches nothing of it.
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
            child = pexpect.spawn(
                sys.executable,
                ["-I", "-S", str(HERE / "enter.py"), str(self.pid), *argv],
                encoding="utf-8",
                codec_errors="replace",
                timeout=timeout,
                dimensions=(rows, cols),
                logfile=log,
            )
        self.before_close(lambda: child.close(force=True))
        return child

    # Its files.

    def read(self, path: str) -> bytes:
        """The file's content, links followed as inside."""
        popen = subprocess.run(self._enter(["cat", "--", path], None, None, "/"), capture_output=True, check=False)
        if popen.returncode:
            raise FileNotFoundError(f"{self.name}: {popen.stderr.decode()}")
        return popen.stdout

    def text(self, path: str) -> str:
        """The file's content as UTF-8 text."""
        return self.read(path).decode()

    def write(self, path: str, data: str | bytes, *, mode: int = 0o644, owner: str = "root:root") -> None:
        """The file holds exactly that, with this mode and owner; missing directories are made (0755)."""
        script = 'mkdir -p -- "$(dirname -- "$1")" && cat >"$1" && chown -- "$2" "$1" && chmod -- "$3" "$1"'
        self.run(["sh", "-c", script, "write", path, owner, f"{mode:o}"], input=data)

    def exists(self, path: str) -> bool:
        """Something is there, a dangling link too."""
        return self.run(["sh", "-c", '[ -e "$1" ] || [ -L "$1" ]', "sh", path], check=False).code == 0

    def copy_in(self, source: Path, path: str) -> None:
        """The directory tree at `source` (of the test's side) is at `path`, without .git and caches, owned by root."""
        with subprocess.Popen(
            ["tar", "-C", str(source), "--owner=root", "--group=root", "--exclude=./.git", "--exclude=__pycache__"]
            + ["--exclude=./.*_cache", "--exclude=./.hypothesis", "-cf", "-", "."],
            stdout=subprocess.PIPE,
        ) as tar:
            assert tar.stdout is not None
            data = tar.stdout.read()
        self.run(["mkdir", "-p", path])
        self.run(["tar", "-C", path, "-xf", "-"], input=data)

    def archive(self, path: str) -> bytes:
        """The directory tree at `path` as a tar."""
        popen = subprocess.run(
            self._enter(["tar", "-C", path, "-cf", "-", "."], None, None, "/"), capture_output=True, check=True
        )
        return popen.stdout

    def snapshot(self, *, leave_out: Iterable[str] = LEFT_OUT) -> snapshot.Snapshot:
        """Each path on its disk that differs from its layers. /run, /proc, /sys and /dev are no disk."""
        return snapshot.take(str(self._disk / "upper"), self.lower, leave_out)

    # What runs in it.

    def processes(self) -> list[Process]:
        """All but process 1 and the question itself."""
        script = (
            "import os\n"
            "for pid in sorted(int(n) for n in os.listdir('/proc') if n.isdigit()):\n"
            "    try:\n"
            "        argv = open(f'/proc/{pid}/cmdline', 'rb').read().decode(errors='replace').rstrip('\\0')\n"
            "        if pid not in (1, os.getpid()) and argv:\n"
            "            print(pid, os.stat(f'/proc/{pid}').st_uid, ascii(argv))\n"
            "    except OSError:\n"
            "        pass\n"
        )
        import ast

        found = []
        for line in self.run(["python3", "-I", "-S", "-c", script]).out.splitlines():
            pid, user, argv = line.split(" ", 2)
            found.append(Process(int(pid), int(user), tuple(ast.literal_eval(argv).split("\0"))))
        return found

    def listeners(self) -> list[Listener]:
        """Listening TCP sockets, by port. Addresses as ss(8) writes them, without brackets: 127.0.0.1, ::, *."""
        found = []
        for line in self.run(["ss", "-Htlnp"]).out.splitlines():
            fields = line.split()
            address, _, port = fields[3].rpartition(":")
            who = fields[5] if len(fields) > 5 else ""
            process = who.split('"')[1] if '"' in who else ""
            pid = int(who.split("pid=")[1].split(",")[0]) if "pid=" in who else 0
            found.append(Listener(address.strip("[]"), int(port), process, pid))
        return sorted(found, key=lambda each: (each.port, each.address))

    def wait_for(self, true: Callable[[], bool], what: str, timeout: float = 20) -> None:
        """`true()` came true, or AssertionError says what did not."""
        end = time.monotonic() + timeout
        while not true():
            if time.monotonic() > end:
                raise AssertionError(f"{self.name}: {what}: not within {timeout} s")
            time.sleep(0.05)

    def wait_for_port(self, port: int, timeout: float = 20) -> None:
        """Something listens on that TCP port."""
        self.wait_for(lambda: any(each.port == port for each in self.listeners()), f"port {port} listens", timeout)

    # Its network, from inside.

    def fetch(self, url: str, **options: object) -> web.Reply:
        """web.fetch() as one of its own processes would do it; a name goes where the world's DNS says."""
        return web.fetch(self.net, url, **{"resolve": self.resolve, **options})  # type: ignore[arg-type]  # keywords of fetch

    def websocket(self, url: str, **options: object) -> web.WebSocket:
        """web.websocket() likewise."""
        return web.websocket(self.net, url, **{"resolve": self.resolve, **options})  # type: ignore[arg-type]  # as above

    def trust(self, *certificates: str) -> None:
        """The machine's own store holds these CA certificates (PEM) too."""
        for pem in certificates:
            number = hashlib.sha256(pem.encode()).hexdigest()[:12]
            self.write(f"/usr/local/share/ca-certificates/lab-{number}.crt", pem)
        added = " ".join(sorted(self.run(["ls", "/usr/local/share/ca-certificates"]).out.split()))
        store = _stores.get((self.system, added))
        if store:  # a second's work each time
            self.run(["tar", "-C", "/etc/ssl/certs", "-xf", "-"], input=store)
        else:
            self.run(["update-ca-certificates"])
            _stores[self.system, added] = self.archive("/etc/ssl/certs")
