"""Commands of this machine: those that only answer a question, and those that change something."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import resource
import select
import selectors
import signal
import subprocess
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType

from hermes_setup import replaceable
from hermes_setup.errors import CommandFailed
from hermes_setup.host import Ran, Replaceable

LARGEST_OUTPUT = 16 * 1024 * 1024
UMASK = 0o022
"""Of each command, whatever the caller's is: what nginx, certbot and apt make is as open as anywhere else."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"


class Queries:
    """Commands that only read, several at a time if need be, each with a deadline."""

    def __init__(self) -> None:
        self.running: set[subprocess.Popen[bytes]] = set()

    def ask(self, argv: Sequence[str], seconds: float) -> Ran:
        """See `Host.ask`."""
        with (
            open(os.memfd_create("out"), "w+b") as out,
            open(os.memfd_create("err"), "w+b") as err,
            _signals_held() as handle_signals,
        ):
            try:
                process = subprocess.Popen(
                    list(argv),
                    executable=program(argv[0]),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    env=environment(),
                    umask=UMASK,
                    start_new_session=True,
                )
            except NotRoots as refused:
                return Ran(126, "", refused.message)
            except OSError as error:
                return Ran(127 if error.errno == errno.ENOENT else 126, "", os.strerror(error.errno or 0))
            self.running.add(process)
            # It has ended already; or is another user's by now, which a root without CAP_SYS_RESOURCE may not limit.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                # It may be someone else's program (a user's node), and print more than there is memory.
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (LARGEST_OUTPUT, LARGEST_OUTPUT))
            try:
                handle_signals()
                if not _ends_within(process, seconds):
                    return Ran(124, "", f"no answer within {seconds:g} s")
            finally:
                self.running.discard(process)
                if process.returncode is None:  # the time is over, or ^C
                    _kill(process)
                    process.wait()
            out.seek(0)
            err.seek(0)
            # What it printed before the limit held may be more than that.
            said, complained = (file.read(LARGEST_OUTPUT).decode(errors="replace") for file in (out, err))
            return Ran(process.returncode, said, complained)

    def kill_all(self) -> None:
        """None of them runs any more: for a process that ends while its other threads still wait for an answer."""
        for process in tuple(self.running):
            _kill(process)


def run(
    argv: Sequence[str], *, stdin: bytes, env: Mapping[str, str], seconds: float, on_line: Callable[[str], None]
) -> Ran:
    """See `System.run`. The command has a session of its own: a lost terminal or ^C reaches it only through us.

    `on_line` is called with what it prints, as it prints it: of all that came at once, the last line.
    """
    output = bytearray()
    with _signals_held() as handle_signals:
        process = _started(argv, stdin, env)
        try:
            handle_signals()
            for piece in _output(process, seconds):
                output += piece
                if line := _last_line(piece):
                    on_line(line)
        except subprocess.TimeoutExpired:
            output += _terminate(process)
            raise CommandFailed(
                f"{argv[0]} did not finish within {seconds:g} s and was stopped.",
                output=output.decode(errors="replace"),
                code=124,
            ) from None
        except BaseException:
            _terminate(process)
            raise
    text = output.decode(errors="replace")
    if process.returncode:
        raise CommandFailed(
            f"{' '.join(argv)} failed with {_status(process.returncode)}.", output=text, code=process.returncode
        )
    return Ran(0, text, "")


def _started(argv: Sequence[str], stdin: bytes, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """The command runs. Raises CommandFailed where it can't."""
    try:
        with _file_in_memory(stdin) as given:
            return subprocess.Popen(
                list(argv),
                executable=program(argv[0]),
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment(env),
                umask=UMASK,
                start_new_session=True,
            )
    except OSError as error:
        raise CommandFailed(f"{argv[0]} could not be started: {os.strerror(error.errno or 0)}.", code=127) from error


@contextlib.contextmanager
def _signals_held() -> Iterator[Callable[[], None]]:
    """^C and the other signals that ask us to stop raise nothing here until what this gives is called; then they do.

    One that came in the middle of Popen would leave a command that nobody knows of. (They are not blocked: the command
    would inherit that, and nothing but Popen's preexec_fn could unblock them in it.)
    """
    held: dict[signal.Signals, Callable[[int, FrameType | None], object]] = {}
    came: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    def handle() -> None:
        for number, handler in held.items():
            if signal.getsignal(number) is hold:  # it may be ignored by now, because of another that came
                signal.signal(number, handler)
        while came:
            signal.raise_signal(came.pop(0))

    try:
        if threading.current_thread() is threading.main_thread():  # in no other do handlers run
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if callable(handler := signal.getsignal(number)):
                    held[number] = handler
                    signal.signal(number, hold)
        yield handle
    finally:
        handle()


def _status(code: int) -> str:
    """A return code of `subprocess`, as a message names it."""
    if code == -signal.SIGKILL:
        return f"signal {-code} (killed, most often because memory ran out: look at `free -m` and `dmesg | tail`)"
    return f"signal {-code}" if code < 0 else f"status {code}"


@contextlib.contextmanager
def _file_in_memory(content: bytes) -> Iterator[int]:
    """A file with that content, never on a disk, to be read from its start. Unlike a pipe it waits for no reader."""
    if not content:
        yield subprocess.DEVNULL
        return
    with open(os.memfd_create("stdin"), "w+b") as file:
        file.write(content)
        file.seek(0)
        yield file.fileno()


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """True as soon as it has ended, False after that time. (Popen.wait with a timeout polls, up to 50 ms late.)"""
    try:
        handle = os.pidfd_open(process.pid)
    except (OSError, AttributeError):  # kernels before 5.3, a Python built for one
        handle = -1
    try:
        if handle >= 0:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            if not poll.poll(max(0.0, seconds) * 1000):
                return False
        process.wait(seconds if handle < 0 else None)
    except subprocess.TimeoutExpired:
        return False
    finally:
        if handle >= 0:
            os.close(handle)
    return True


def _output(process: subprocess.Popen[bytes], seconds: float) -> Iterator[bytes]:
    """What it prints, as it comes; it has ended when this is exhausted. Raises TimeoutExpired after that time."""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout or -1, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise subprocess.TimeoutExpired(process.args, seconds)
            piece = os.read(process.stdout.fileno() if process.stdout else -1, 65536)
            if not piece:
                break
            yield piece
    process.wait(max(0.0, deadline - time.monotonic()))
    if process.stdout:
        process.stdout.close()


def _last_line(piece: bytes) -> str:
    """The last line that is not empty; a carriage return starts one, too, as in apt's percentages."""
    lines = piece.decode(errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _terminate(process: subprocess.Popen[bytes]) -> bytes:
    """Its whole session has ended: by SIGTERM, so that apt and certbot clean up; killed 10 s later. What it still printed."""
    for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
            return process.communicate(timeout=patience)[0] or b""
    return b""


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def environment(more: Mapping[str, str] = types.MappingProxyType({})) -> dict[str, str]:
    """The environment of a command: proxies and CA bundles are the caller's, and its terminal; all else is ours.

    HOME is that of the user this runs as, whatever the caller's says: certbot, docker and others read settings there.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if key.lower().endswith("_proxy") or key in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "TERM")
    }
    return {**kept, "HOME": _home(), "PATH": ":".join(_search()), "LC_ALL": "C.UTF-8", **more}


def program(name: str) -> str:
    """Where that command is: its path, or the first of its name on the PATH. Raises NotRoots; FileNotFoundError.

    Only root looks: to whom a program may belong that anybody else runs is not ours to say.
    """
    path = _find(name)
    if path is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    if os.geteuid() == 0 and (found := replaceable_parts(path)):
        raise NotRoots(path, found)
    return path


def replaceable_parts(name: str, root: str = "") -> tuple[Replaceable, ...]:
    """See `Host.replaceable`."""
    path = name if "/" in name else _find(name, root)
    return replaceable.of_program(path, root, PATH.split(":")) if path else ()


class NotRoots(CommandFailed):
    """A command was not run, because somebody else than root decides what it is."""

    def __init__(self, path: str, found: Sequence[Replaceable]) -> None:
        super().__init__(
            f"{path} is not run as root: other users can replace {', '.join(map(str, found[:3]))}.",
            hint=replaceable.cure(found, f"Put a program in its place that only root can change: {path}"),
            code=126,
        )


def _find(name: str, root: str = "") -> str | None:
    """The path of that command: itself where it is one, else the first of its name on the PATH."""
    paths = [name] if "/" in name else [f"{folder}/{name}" for folder in PATH.split(":")]
    return next((path for path in paths if os.path.isfile(root + path) and os.access(root + path, os.X_OK)), None)


def _search() -> list[str]:
    """The folders of the PATH; for root only those in which nobody else can make a program."""
    folders = PATH.split(":")
    return folders if os.geteuid() else [each for each in folders if not replaceable.in_folder(each)]


def _home() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:  # a number that this machine knows no name for
        return "/"
