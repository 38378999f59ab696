"""One contract for every System: the one in memory is held to what the real one does."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hermes_setup import durable
from hermes_setup.engine.cached import CachedHost
from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.host import ABSENT, File, Folder, Link, Ran, Request, Special, System
from hermes_setup.system.local import Local
from hermes_setup.system.overlay import Nothing, Overlay
from hermes_setup.system.processes import LARGEST_OUTPUT
from hermes_setup.system.rehearsal.rehearsal import Rehearsal

ME = pwd.getpwuid(os.getuid()).pw_name
US = grp.getgrgid(os.getgid()).gr_name


def mine(text: str, mode: int = 0o644) -> File:
    return File(text.encode(), mode, ME, US)


REHEARSAL = pytest.param("rehearsal", marks=pytest.mark.root)


@pytest.fixture(params=["local", "overlay", "overlay over local", REHEARSAL])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    os.umask(0o077)
    match request.param:
        case "local":
            yield Local(str(tmp_path))
        case "overlay":
            yield Overlay(Nothing())
        case "rehearsal":
            with Rehearsal("/srv/contract") as copy:
                yield copy
        case _:
            yield Overlay(Local(str(tmp_path)))


def test_what_was_put_is_there(system: System) -> None:
    for path, node in {
        "/etc/a": mine("text"),
        "/etc/secret": mine("hash", 0o600),
        "/etc/link": Link("a"),
        "/srv/folder": Folder(0o750, ME, US),
    }.items():
        system.put(path, node)
        assert system.look(path) == node
    assert system.names("/etc") == ("a", "link", "secret")


def test_what_replaces_a_link_replaces_the_link_itself(system: System) -> None:
    system.put("/etc/a", mine("a"))
    system.put("/etc/b", Link("a"))
    system.put("/etc/b", mine("b"))
    assert (system.look("/etc/a"), system.look("/etc/b")) == (mine("a"), mine("b"))
    system.put("/etc/b", Link("/nowhere"))
    assert system.look("/etc/b") == Link("/nowhere")


def test_putting_twice_is_putting_once(system: System) -> None:
    for _ in range(2):
        system.put("/etc/a", mine("a"))
        system.put("/etc/f", Folder(0o755, ME, US))
        system.put("/etc/gone", ABSENT)
    assert system.names("/etc") == ("a", "f")


def test_what_is_removed_is_absent(system: System) -> None:
    system.put("/etc/a", mine("a"))
    system.put("/etc/f", Folder(0o755, ME, US))
    system.put("/etc/a", ABSENT)
    system.put("/etc/f", ABSENT)
    assert system.look("/etc/a") == system.look("/etc/f") == ABSENT
    assert system.names("/etc") == ()


@pytest.mark.parametrize("node", [mine("x"), Link("x"), ABSENT])
def test_a_folder_with_something_in_it_is_never_replaced(system: System, node: File | Link) -> None:
    system.put("/etc/f/a", mine("a"))
    with pytest.raises(HermesSetupError) as refused:
        system.put("/etc/f", node)
    assert refused.value.hint
    assert system.look("/etc/f/a") == mine("a")


def test_a_folder_does_not_replace_a_file(system: System) -> None:
    system.put("/etc/a", mine("a"))
    with pytest.raises(HermesSetupError):
        system.put("/etc/a", Folder())
    assert system.look("/etc/a") == mine("a")


def test_what_was_never_there_is_absent(system: System) -> None:
    assert system.look("/no/such/path") == ABSENT
    assert system.names("/no/such") == ()


def test_special_things_are_never_written(system: System) -> None:
    with pytest.raises(HermesSetupError):
        system.put("/etc/x", Special("a socket"))


def test_an_overlay_leaves_what_is_below_it_alone(tmp_path: Path) -> None:
    below = Local(str(tmp_path))
    below.put("/etc/a", mine("a"))
    below.put("/etc/b", mine("b"))
    over = Overlay(below)
    over.put("/etc/a", ABSENT)
    over.put("/etc/c", mine("c"))
    over.run(["rm", "-rf", str(tmp_path)], gives="all is gone")
    assert over.names("/etc") == ("b", "c")
    assert over.given("all is gone")
    assert not below.given("all is gone")
    assert below.names("/etc") == ("a", "b")


# -- the real one only ----------------------------------------------------------------------------------------------------


@pytest.fixture
def local(tmp_path: Path) -> Local:
    return Local(str(tmp_path))


@pytest.fixture(params=["local", REHEARSAL])
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """Where commands really run."""
    if request.param == "local":
        yield Local(str(tmp_path))
        return
    with Rehearsal() as copy:
        yield copy


def test_folders_made_on_the_way_can_be_read_by_nginx_whatever_the_umask(local: Local, tmp_path: Path) -> None:
    os.umask(0o077)
    local.put("/var/www/x/file", mine("x"))
    assert oct((tmp_path / "var/www/x").stat().st_mode & 0o777) == "0o755"


def test_nothing_half_written_is_ever_seen_or_left(local: Local, tmp_path: Path) -> None:
    local.put("/etc/a", mine("old"))
    (tmp_path / "etc" / os.path.basename(durable.beside("/etc/a"))).write_text("left by a power cut")
    local.put("/etc/a", mine("new"))
    assert local.names("/etc") == ("a",)
    assert local.look("/etc/a") == mine("new")


def test_a_full_disk_is_said_and_the_old_content_stays(local: Local) -> None:
    local.put("/etc/a", mine("old"))
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(HermesSetupError, match="could not be written"):
            local.put("/etc/a", mine("x" * 5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert local.names("/etc") == ("a",)
    assert local.look("/etc/a") == mine("old")


def test_a_socket_or_device_is_special(local: Local, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert isinstance(local.look("/pipe"), Special)


def test_a_question_has_a_deadline_and_never_raises(real: System) -> None:
    began = time.monotonic()
    assert real.ask(["sleep", "30"], seconds=0.2).code == 124
    assert time.monotonic() - began < 5
    assert real.ask(["no-such-command-here"]).code == 127
    assert real.ask(["sh", "-c", "echo out; echo err >&2; exit 3"]) == real.ask(
        ["sh", "-c", "echo out; echo err >&2; exit 3"]
    )


def test_an_answer_is_there_as_soon_as_the_command_has_ended(real: System) -> None:
    """Whoever looks now and then looks at 113 and at 163 ms."""
    taken = []
    for _ in range(8):
        began = time.monotonic()
        assert real.ask(["sleep", "0.12"]).ok
        taken.append(time.monotonic() - began)
    assert 0.12 <= min(taken) < 0.155


def test_on_a_kernel_without_handles_of_processes_it_is_waited_for_as_well(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_such_call(_pid: int) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "pidfd_open", no_such_call)
    assert local.ask(["sh", "-c", "sleep 0.1; echo out; exit 3"]) == Ran(3, "out\n", "")
    assert local.ask(["sleep", "30"], seconds=0.2).code == 124


def test_a_root_that_may_not_limit_another_users_command_asks_it_all_the_same(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container without CAP_SYS_RESOURCE, where runuser has become the user already."""

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(resource, "prlimit", refused)
    assert local.ask(["echo", "told"]) == Ran(0, "told\n", "")


def test_who_leaves_ends_what_its_threads_have_asked() -> None:
    code = (
        "import os\nfrom hermes_setup.parallel import Task\nfrom hermes_setup.system.local import Local\n"
        "host = Local()\nTask(lambda: host.ask(['sleep', '600'], seconds=500))\n"
        "while not host._queries.running: pass\n"
        "(process,) = host._queries.running\nhost.kill_queries()\nprint(process.pid, flush=True)\nos._exit(0)\n"
    )
    left = int(subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True).stdout)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{left}").exists() and "State:\tZ" not in Path(f"/proc/{left}/status").read_text("utf-8"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_command_that_fails_shows_what_it_said(real: System) -> None:
    with pytest.raises(CommandFailed) as failed:
        real.run(["sh", "-c", "echo this is why >&2; exit 7"])
    assert (failed.value.code, failed.value.output) == (7, "this is why\n")
    with pytest.raises(CommandFailed, match="could not be started"):
        real.run(["no-such-command-here"])


def test_a_command_is_heard_while_it_is_at_work(local: Local, tmp_path: Path) -> None:
    """Each line is told while the command waits for it to have been told."""
    heard: list[str] = []

    def hear(line: str) -> None:
        heard.append(line)
        (tmp_path / line.split(maxsplit=1)[0]).touch()

    local.on_line = hear
    wait = f"while ! test -e {tmp_path}/%s; do sleep 0.01; done"
    ran = local.run(
        [
            "sh",
            "-c",
            f"echo one; {wait % 'one'}; printf 'skipped\\n10%%\\r\\ntwo %%\\r\\n\\n'; {wait % 'two'}; printf end >&2",
        ],
        seconds=10,
    )
    assert heard == ["one", "two %", "end"]
    assert ran.out == "one\nskipped\n10%\r\ntwo %\r\n\nend"


def test_a_command_is_given_what_it_should_read_also_where_it_does_not(local: Local) -> None:
    assert local.run(["cat"], stdin=b"a\0b").out == "a\0b"
    assert local.run(["true"], stdin=b"x" * 60_000).ok
    assert local.run(["cat"]).out == ""


def test_what_a_command_said_before_its_deadline_is_kept(local: Local) -> None:
    with pytest.raises(CommandFailed, match=r"0\.5 s") as failed:
        local.run(["sh", "-c", "trap 'echo bye; exit' TERM; echo hello; sleep 20 & wait"], seconds=0.5)
    assert failed.value.output == "hello\nbye\n"
    assert failed.value.code == 124


def test_a_killed_command_is_explained(real: System) -> None:
    with pytest.raises(CommandFailed, match="memory"):
        real.run(["sh", "-c", "kill -9 $$"])


def test_an_interrupted_command_is_ended_with_all_its_children(local: Local, tmp_path: Path) -> None:
    def interrupt() -> None:
        for _ in range(200):
            if (tmp_path / "pid").exists():
                break
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        local.run(["sh", "-c", f"sleep 100 & echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; wait"])
    child = int((tmp_path / "pid").read_text())
    for _ in range(200):
        try:
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            break
        if state == "Z":
            break
        time.sleep(0.02)
    else:
        pytest.fail("the child lives on")


def test_a_wait_ends_as_soon_as_it_may_and_at_its_deadline(real: System) -> None:
    looks = iter([False, False, True])
    assert real.wait(lambda: next(looks), seconds=5)
    assert not real.wait(lambda: False, seconds=0.1)


def test_the_environment_of_a_command_is_known(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("HERMES_SECRET", "x")
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    told = local.ask(["env"]).out
    assert "LC_ALL=C.UTF-8" in told
    assert "https_proxy=http://proxy:1" in told
    assert "HERMES_SECRET" not in told


def serve(answer: bytes) -> tuple[int, Callable[[], bytes]]:
    import socket

    server = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def one() -> None:
        with server, server.accept()[0] as peer:
            got.append(peer.recv(65536))
            peer.sendall(answer)

    thread = threading.Thread(target=one, daemon=True)
    thread.start()

    def seen() -> bytes:
        thread.join(5)
        return got[0]

    return server.getsockname()[1], seen


def test_a_request_goes_to_the_address_with_the_name_as_host(local: Local) -> None:
    port, seen = serve(b"HTTP/1.1 301 Moved\r\nLocation: https://x/\r\nContent-Length: 2\r\n\r\nhi")
    answer = local.fetch(Request("127.0.0.1", port, "hermes.example.com", "/a?b"))
    assert (answer.status, answer.header("location"), answer.body) == (301, "https://x/", b"hi")
    assert b"GET /a?b HTTP/1.1\r\nHost: hermes.example.com\r\n" in seen()


def test_an_upgrade_is_answered_with_101(local: Local) -> None:
    port, _ = serve(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi")
    answer = local.fetch(Request("127.0.0.1", port, "x", headers=(("Connection", "Upgrade"),)))
    assert answer.status == 101


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200"])
def test_what_is_not_http_is_no_answer(local: Local, said: bytes) -> None:
    port, _ = serve(said)
    answer = local.fetch(Request("127.0.0.1", port, "x"))
    assert answer.status == 0 or said.startswith(b"HTTP")
    assert answer.error or answer.status


def test_nobody_there_is_said(local: Local) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert local.fetch(Request("127.0.0.1", port, "x")).error == "refused"


def test_silence_ends_by_its_deadline(local: Local) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        answer = local.fetch(Request("127.0.0.1", server.getsockname()[1], "x", seconds=0.3))
    assert answer.error == "timeout"
    assert time.monotonic() - began < 3
    assert sys.version_info >= (3, 10)


def test_an_answer_that_only_drips_in_ends_by_its_deadline(local: Local) -> None:
    import socket

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            peer, _ = server.accept()
            with peer, contextlib.suppress(OSError):
                while not over.wait(0.05):
                    peer.sendall(b"H")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        answer = local.fetch(Request("127.0.0.1", server.getsockname()[1], "x", seconds=0.5))
        over.set()
        thread.join(5)
    assert answer.error == "timeout"
    assert time.monotonic() - began < 3


def test_a_command_that_says_too_much_is_ended_and_one_that_is_late_with_all_that_it_started() -> None:
    began = time.monotonic()
    told = Local().ask(["yes"], seconds=30)
    assert not told.ok
    assert len(told.out) == LARGEST_OUTPUT
    assert Local().ask(["sh", "-c", "sleep 60 & sleep 60"], seconds=0.3).code == 124
    assert time.monotonic() - began < 20


def test_at_one_moment_each_path_is_read_once() -> None:
    below = Overlay(Nothing())
    below.put("/etc/a", File(b"first"))
    moment = CachedHost(below)
    assert (moment.look("/etc/a"), moment.names("/etc"), moment.look("/etc/b")) == (File(b"first"), ("a",), ABSENT)
    below.put("/etc/a", File(b"second"))
    below.put("/etc/b", File(b"new"))
    assert (moment.look("/etc/a"), moment.names("/etc"), moment.look("/etc/b")) == (File(b"first"), ("a",), ABSENT)
    assert CachedHost(below).look("/etc/a") == File(b"second")


def test_at_one_moment_each_question_is_asked_once_whoever_asks() -> None:
    from concurrent.futures import ThreadPoolExecutor

    class Counting(Nothing):
        asked = 0

        def ask(self, argv: object, *, seconds: float = 4.0) -> Ran:
            self.asked += 1
            return Ran(0, str(self.asked), "")

    below = Counting()
    moment = CachedHost(below)
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: moment.ask(["nginx", "-v"]).out, range(50)))
    assert set(told) == {"1"}
    assert moment.ask(["other"]).out == "2"
    assert CachedHost(below).ask(["nginx", "-v"]).out == "3"
