"""The machine this runs on."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import resource
import select
import selectors
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache

from hermes_setup import durable
from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.host import (
    ABSENT,
    Absent,
    File,
    Folder,
    Link,
    Listener,
    Node,
    Ran,
    Records,
    Request,
    Response,
    Special,
)

LARGEST = 16 * 1024 * 1024
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"


class Local:
    """Reads and writes of this very machine. `root` puts every path below another folder (for tests).

    `log` is given one line for each command and each path written, without any content.
    """

    def __init__(self, root: str = "/", log: Callable[[str], None] = lambda _line: None) -> None:
        self._root = root.rstrip("/")
        self._log = log
        self.heard: Callable[[str], None] = lambda _line: None
        """Is given what a command of `run` says, as it says it: of all that came at once, the last line."""
        self._asked: set[subprocess.Popen[bytes]] = set()  # commands of `ask` that run now

    def _at(self, path: str) -> str:
        return self._root + path

    # -- reads ------------------------------------------------------------------------------------------------------

    def look(self, path: str) -> Node:
        """See `Host.look`."""
        try:
            status = os.lstat(self._at(path))
            if stat.S_ISLNK(status.st_mode):
                return Link(os.readlink(self._at(path)))
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISDIR(status.st_mode):
                return Folder(mode, _user(status.st_uid), _group(status.st_gid))
            if not stat.S_ISREG(status.st_mode):
                return Special("a device, a pipe or a socket")
            if status.st_size > LARGEST:
                return Special(f"{status.st_size} bytes, too large to be ours")
            with open(self._at(path), "rb") as file:
                return File(file.read(LARGEST), mode, _user(status.st_uid), _group(status.st_gid))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESRCH):
                return ABSENT
            return Special(os.strerror(error.errno or 0))

    def names(self, folder: str) -> tuple[str, ...]:
        """See `Host.names`."""
        try:
            return tuple(sorted(os.listdir(self._at(folder)), key=os.fsencode))
        except OSError:
            return ()

    def ask(self, argv: Sequence[str], *, seconds: float = 4.0) -> Ran:
        """See `Host.ask`."""
        with open(os.memfd_create("out"), "w+b") as out, open(os.memfd_create("err"), "w+b") as err:
            try:
                process = subprocess.Popen(
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env=_environment({}),
                    start_new_session=True,
                )
            except OSError as error:
                return Ran(127 if error.errno == errno.ENOENT else 126, "", os.strerror(error.errno or 0))
            self._asked.add(process)
            # It has ended already; or is another user's by now, which a root without CAP_SYS_RESOURCE may not limit.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                # Somebody else's program may be asked (node of a user's), and say more than there is memory.
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (LARGEST, LARGEST))
            try:
                if not _ended(process, seconds):
                    return Ran(124, "", f"no answer within {seconds:g} s")
            finally:
                self._asked.discard(process)
                if process.returncode is None:  # the time is over, or ^C
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            out.seek(0)
            err.seek(0)
            return Ran(process.returncode, out.read().decode(errors="replace"), err.read().decode(errors="replace"))

    def end_questions(self) -> None:
        """No command of `ask` runs any more: for a process that leaves while others of its threads still wait."""
        for process in tuple(self._asked):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def listeners(self) -> tuple[Listener, ...]:
        """See `Host.listeners`."""
        from hermes_setup.system import sockets

        return sockets.listeners()

    def addresses(self) -> tuple[str, ...]:
        """See `Host.addresses`."""
        from hermes_setup.system import sockets

        return sockets.addresses()

    def dns(self, name: str, kind: str, *, server: str = "", seconds: float = 3.0) -> Records:
        """See `Host.dns`."""
        from hermes_setup.system import resolver

        return resolver.lookup(name, kind, server=server, seconds=seconds)

    def fetch(self, request: Request) -> Response:
        """See `Host.fetch`."""
        from hermes_setup.system import http

        return http.fetch(request)

    def given(self, fact: str) -> bool:  # noqa: ARG002 - here everything is seen, nothing is taken as done
        """Never: this machine shows what it is."""
        return False

    def now(self) -> datetime:
        """See `Host.now`."""
        return datetime.now(timezone.utc)

    # -- writes -----------------------------------------------------------------------------------------------------

    def put(self, path: str, node: Node) -> None:
        """See `System.put`."""
        at = self._at(path)
        if not path.startswith("/run/"):  # copies to try things on are nobody's business afterwards
            self._log(f"{'remove' if isinstance(node, Absent) else 'write'} {path}")
        try:
            match node:
                case File():
                    _make_parents(at)
                    durable.write(at, node.content, mode=node.mode, uid=_uid(node.owner), gid=_gid(node.group))
                case Link():
                    _make_parents(at)
                    durable.link(at, node.target)
                case Folder():
                    _make_parents(at)
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(at, 0o700)
                    handle = os.open(at, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                    try:
                        os.fchown(handle, _uid(node.owner), _gid(node.group))
                        os.fchmod(handle, node.mode)
                    finally:
                        os.close(handle)
                    durable.sync_folder(os.path.dirname(at))
                case Absent():
                    _remove(at)
                case Special():
                    raise HermesSetupError(f"{path} is special ({node.why}) and is never written.")
        except OSError as error:
            raise HermesSetupError(
                f"{path} could not be {'removed' if isinstance(node, Absent) else 'written'}: "
                f"{os.strerror(error.errno or 0)}.",
                hint=_hint(error, path),
            ) from error

    def run(
        self,
        argv: Sequence[str],
        *,
        gives: str = "",  # noqa: ARG002 - the machine shows it
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        seconds: float = 600.0,
    ) -> Ran:
        """See `System.run`. The command has a session of its own: a dropped terminal or ^C reaches it only through us."""
        self._log(f"run {' '.join(argv)}")
        try:
            with _in_memory(stdin) as given:
                process = subprocess.Popen(
                    list(argv),
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env=_environment(env or {}),
                    start_new_session=True,
                )
        except OSError as error:
            raise CommandFailed(
                f"{argv[0]} could not be started: {os.strerror(error.errno or 0)}.", code=127
            ) from error
        out = bytearray()
        try:
            for piece in _says(process, seconds):
                out += piece
                if line := _last_line(piece):
                    self.heard(line)
        except subprocess.TimeoutExpired:
            out += _end(process)
            raise CommandFailed(
                f"{argv[0]} did not finish within {seconds:g} s and was stopped.",
                output=out.decode(errors="replace"),
                code=124,
            ) from None
        except BaseException:
            _end(process)
            raise
        text = out.decode(errors="replace")
        self._log(f"{argv[0]} ended with {process.returncode}")
        if process.returncode:
            how = f"status {process.returncode}"
            if process.returncode < 0:
                how = f"signal {-process.returncode}"
                if process.returncode == -signal.SIGKILL:
                    how += " (killed, most often because memory ran out: look at `free -m` and `dmesg | tail`)"
            raise CommandFailed(f"{' '.join(argv)} failed with {how}.", output=text, code=process.returncode)
        return Ran(0, text, "")

    def wait(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """See `System.wait`. For effects that announce themselves nowhere, so they are looked at every 20 ms."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            signal.sigtimedwait((), 0.02)  # a pause that a signal ends at once
        return True

    def touches(self) -> bool:
        """Always."""
        return True


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    """A file with that content, never on a disk, to be read from its start. Unlike a pipe it waits for no reader."""
    if not content:
        yield subprocess.DEVNULL
        return
    with open(os.memfd_create("stdin"), "w+b") as file:
        file.write(content)
        file.seek(0)
        yield file.fileno()


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """True as soon as it has ended, False after so many seconds. (Popen.wait with a time looks now and then, up to 50 ms late.)"""
    try:
        handle = os.pidfd_open(process.pid)
    except (OSError, AttributeError):  # kernels before 5.3, a Python built for one
        handle = -1
    try:
        if handle >= 0:
            watch = select.poll()
            watch.register(handle, select.POLLIN)
            if not watch.poll(max(0.0, seconds) * 1000):
                return False
        process.wait(seconds if handle < 0 else None)
    except subprocess.TimeoutExpired:
        return False
    finally:
        if handle >= 0:
            os.close(handle)
    return True


def _says(process: subprocess.Popen[bytes], seconds: float) -> Iterator[bytes]:
    """What it says, as it comes; it has ended when this is exhausted. Raises TimeoutExpired after so many seconds."""
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout or -1, selectors.EVENT_READ)
        while True:
            if not ready.select(max(0.0, end - time.monotonic())):
                raise subprocess.TimeoutExpired(process.args, seconds)
            piece = os.read(process.stdout.fileno() if process.stdout else -1, 65536)
            if not piece:
                break
            yield piece
    process.wait(max(0.0, end - time.monotonic()))
    if process.stdout:
        process.stdout.close()


def _last_line(piece: bytes) -> str:
    """The last line that is not empty; a carriage return begins one, too, as in apt's percentages."""
    lines = piece.decode(errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _end(process: subprocess.Popen[bytes]) -> bytes:
    """Stopped, its whole session: asked to first, so that apt and certbot tidy up; killed 10 s later."""
    for ask, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, ask)
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
            return process.communicate(timeout=patience)[0] or b""
    return b""


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """A known environment: proxies and CA bundles are passed on, languages and the user's odd settings are not."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key.lower().endswith("_proxy")
        or key in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "HOME", "TERM")
    }
    return {"HOME": "/root", **kept, "PATH": PATH, "LC_ALL": "C.UTF-8", **more}


def _make_parents(path: str) -> None:
    """The folder above is there (root's, 0755 for each that had to be made)."""
    folder = os.path.dirname(path)
    if os.path.isdir(folder):
        return
    _make_parents(folder)
    os.mkdir(folder, 0o755)
    os.chmod(folder, 0o755)  # noqa: S103 - whatever the umask says, nginx's workers must pass through
    durable.sync_folder(os.path.dirname(folder))


def _remove(path: str) -> None:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        os.rmdir(path)
    else:
        os.unlink(path)
    durable.sync_folder(os.path.dirname(path))


def _hint(error: OSError, path: str) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "The disk is full. Look at: df -h; df -i. Make room, then run hermes-setup again."
        case errno.EROFS:
            return "The disk is read-only, often after an error: look at `dmesg | tail`."
        case errno.ENOTEMPTY:
            return f"Other files are in it: ls -la {path}"
        case errno.EPERM | errno.EACCES:
            return f"Even root may not: look at `lsattr -d {path}` (an immutable file), and run this with sudo."
        case _:
            return f"Look at: ls -la {os.path.dirname(path)}"


@lru_cache
def _user_name(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name  # one that is not there raises, so it is looked for again


@lru_cache
def _group_name(gid: int) -> str:
    return grp.getgrgid(gid).gr_name


def _user(uid: int) -> str:
    try:
        return _user_name(uid)
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return _group_name(gid)
    except KeyError:
        return str(gid)


def _uid(owner: str) -> int:
    try:
        return int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise HermesSetupError(f"This machine has no user {owner}.", hint=f"Look at: getent passwd {owner}") from None


def _gid(group: str) -> int:
    try:
        return int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise HermesSetupError(f"This machine has no group {group}.", hint=f"Look at: getent group {group}") from None
