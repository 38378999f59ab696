"""Commands: what they print, how they end, and what happens to those that do not."""

from __future__ import annotations

import errno
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
from typing import Any

import pytest

from hermes_setup import exits
from hermes_setup.errors import CommandFailed
from hermes_setup.host import Ran, System
from hermes_setup.system.local import Local
from hermes_setup.system.processes import LARGEST_OUTPUT
from hermes_setup.system.rehearsal.rehearsal import Rehearsal


@pytest.fixture
def local(tmp_path: Path) -> Local:
    return Local(str(tmp_path))


@pytest.fixture(params=["local", pytest.param("rehearsal", marks=pytest.mark.root)])
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """Where commands really run."""
    if request.param == "local":
        yield Local(str(tmp_path))
        return
    with Rehearsal() as copy:
        yield copy


def test_a_question_has_a_deadline_and_never_raises(real: System) -> None:
    began = time.monotonic()
    assert real.ask(["sleep", "30"], seconds=0.2).code == 124
    assert time.monotonic() - began < 5
    assert real.ask(["no-such-command-here"]).code == 127
    assert real.ask(["sh", "-c", "echo out; echo err >&2; exit 3"]) == Ran(3, "out\n", "err\n")


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
    too_much = local.ask(["head", "-c", str(LARGEST_OUTPUT + 1), "/dev/zero"])
    assert len(too_much.out) == LARGEST_OUTPUT, "and what it says is cut there all the same"


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
            f"echo one; {wait % 'one'}; printf 'skipped\\n10%%\\rtwo %%\\r\\n\\n'; {wait % 'two'}; printf end >&2",
        ],
        seconds=10,
    )
    assert heard == ["one", "two %", "end"]
    assert ran.out == "one\nskipped\n10%\rtwo %\r\n\nend"


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


@pytest.mark.parametrize("start", [Local.ask, Local.run])
def test_a_command_is_ended_too_if_a_signal_comes_while_it_is_started(
    local: Local, monkeypatch: pytest.MonkeyPatch, start: Callable[[Local, list[str]], Ran]
) -> None:
    """It has been started, and nobody has been told its number yet."""
    started: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            started.append(self)
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in signals]
    try:
        exits.catch_signals()
        with pytest.raises(exits.Stopped) as stopped:
            start(local, ["sleep", "100"])
        assert stopped.value.number == signal.SIGTERM
        assert started[0].returncode < 0
        after = [signal.getsignal(number) for number in signals]
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
    assert after[0] is before[0]
    assert callable(after[1])
    assert after[2] is signal.SIG_IGN, "a lost terminal sends it twice"


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


def test_home_path_and_umask_of_a_command_are_not_the_callers(
    real: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """certbot reads ~/.config/letsencrypt/cli.ini, docker ~/.docker: under `sudo -E` those of whoever typed it."""
    home = pwd.getpwuid(os.getuid()).pw_dir
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "stat").write_text("#!/bin/sh\necho the caller's\n")
    (tmp_path / "stat").chmod(0o755)
    script = "echo $HOME; echo $XDG_CONFIG_HOME; umask; stat --version | head -n 1"
    for umask in (0o000, 0o077):
        os.umask(umask)
        for ran in (real.ask(["sh", "-c", script]), real.run(["sh", "-c", script])):
            assert ran.out.splitlines()[:3] == [home, "", "0022"]
            assert "the caller's" not in ran.out
        assert real.ask(["stat"]).err.startswith("stat: missing operand")


def test_a_command_that_says_too_much_is_ended_and_one_that_is_late_with_all_that_it_started() -> None:
    began = time.monotonic()
    told = Local().ask(["yes"], seconds=30)
    assert not told.ok
    assert len(told.out) == LARGEST_OUTPUT
    assert Local().ask(["sh", "-c", "sleep 60 & sleep 60"], seconds=0.3).code == 124
    assert time.monotonic() - began < 20
