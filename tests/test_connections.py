"""Open connections: who is asked what, what stands in the plan, and which processes end."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from hermes_setup.commands import users
from hermes_setup.engine.changes import Run
from hermes_setup.errors import WrongInput
from hermes_setup.host import Listener
from hermes_setup.nginx import end_draining, processes
from hermes_setup.questions.connections import OfSignedOut
from hermes_setup.questions.menu import menu
from hermes_setup.questions.prompt import BACK, Back
from hermes_setup.stages import for_users
from hermes_setup.stages.connections import Connections
from hermes_setup.stages.site import loading
from hermes_setup.system.overlay import Overlay
from hermes_setup.values import replace
from machines import Machine, text
from test_job import ANSWERS, Fake
from test_menu import visit, wish
from test_questions import Script

TABLE = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = "   0: {local}:{port:04X} 016433C6:D431 {state} 00000000:00000000 00:00000000 00000000     0        0 1\n"
V4, V6 = "0A6433C6", "B80D0120000000000000000010000000"


class Nginx(Machine):
    """A machine on which nginx listens on 443, and something else on 22."""

    def listeners(self) -> tuple[Listener, ...]:
        return (Listener("0.0.0.0", 443, 10, "nginx"), Listener("0.0.0.0", 22, 9, "sshd"))


def connected(machine: Machine, table: str = "tcp", port: int = 443, state: str = "01") -> Machine:
    row = ROW.format(local=V4 if table == "tcp" else V6, port=port, state=state)
    machine.put(f"/proc/net/{table}", text(TABLE + row))
    return machine


def processes_of(machine: Machine, *titles: str) -> Machine:
    """nginx's master is 10, and its children are 11, 12, ..."""
    machine.put("/run/nginx.pid", text("10\n"))
    for pid, title in enumerate(("nginx: master process", *titles), 10):
        machine.put(f"/proc/{pid}/cmdline", text(title))
        machine.put(f"/proc/{pid}/stat", text(f"{pid} (nginx) S {1 if pid == 10 else 10} {' 0' * 30}"))
    return machine


@pytest.mark.parametrize(
    ("table", "port", "state", "someone"),
    [
        ("tcp", 443, "01", True),
        ("tcp6", 443, "01", True),
        ("tcp", 22, "01", False),  # our own ssh
        ("tcp", 443, "0A", False),  # it listens
        ("tcp", 443, "06", False),  # it has been closed
    ],
)
def test_someone_is_connected_where_an_established_connection_has_a_port_of_nginx(
    table: str, port: int, state: str, someone: bool
) -> None:
    assert processes.has_connections(connected(Nginx(), table, port, state)) is someone


# -- who is asked ----------------------------------------------------------------------------------------------------------


def session(tmp_path: Path, *replies: str | Back, someone: bool = True, interactive: bool = True) -> Fake:
    fake = Fake(tmp_path, *replies, interactive=interactive)
    fake.machine = connected(Nginx()) if someone else Nginx()
    fake.__dict__["host"] = fake.machine
    return fake


def flags(end: bool = False, keep: bool = False) -> argparse.Namespace:
    return argparse.Namespace(end_connections=end, keep_connections=keep)


ENTER: tuple[tuple[OfSignedOut, bool], ...] = (("remove", True), ("passwd", False), ("sign-out", False))


@pytest.mark.parametrize(("do", "by_enter"), ENTER)
def test_it_is_asked_where_someone_is_connected_and_enter_means_yes_only_where_a_user_goes(
    tmp_path: Path, do: OfSignedOut, by_enter: bool
) -> None:
    for reply, ends in (("y", True), ("n", False), ("yes" if by_enter else "no", by_enter)):
        asking = session(tmp_path, reply)
        assert users.ends_connections(do, "alice", flags(), asking) is ends
        ((question, _),) = asking.script.asked
        assert question.default == ("yes" if by_enter else "no")
        assert question.text == "End all open connections, too?"
        for word in ("alice's chats", "reconnects by itself", "running downloads, also of other sites"):
            assert word in question.help
    asking = session(tmp_path, BACK, "n")
    assert not users.ends_connections(do, "", flags(), asking)
    assert "no question before this one" in asking.script.told[0]


@pytest.mark.parametrize(("do", "by_enter"), ENTER)
def test_what_enter_means_holds_where_nobody_is_asked(tmp_path: Path, do: OfSignedOut, by_enter: bool) -> None:
    agreed, silent, nobody = session(tmp_path), session(tmp_path, interactive=False), session(tmp_path, someone=False)
    agreed.choose(yes=True)
    for asking in (agreed, silent, nobody):
        assert users.ends_connections(do, "alice", flags(), asking) is by_enter
        assert asking.script.asked == []


@pytest.mark.parametrize(("do", "by_enter"), ENTER)
@pytest.mark.parametrize("options", [{}, {"yes": True}, {"dry": True}])
def test_a_flag_decides_without_a_question(
    tmp_path: Path, do: OfSignedOut, by_enter: bool, options: dict[str, bool]
) -> None:
    asking = session(tmp_path)
    asking.choose(**options)
    assert users.ends_connections(do, "alice", flags(end=True), asking) is True
    assert users.ends_connections(do, "alice", flags(keep=True), asking) is False
    assert asking.script.asked == []
    with pytest.raises(WrongInput, match="can't be used together"):
        users.ends_connections(do, "alice", flags(end=True, keep=True), asking)


def test_a_dry_run_says_what_it_would_ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asking = session(tmp_path)
    asking.choose(dry=True)
    assert users.ends_connections("remove", "alice", flags(), asking) is True
    assert asking.script.asked == []
    said = " ".join(capsys.readouterr().err.split())
    assert 'A real run would ask: "End all open connections, too?" (Enter: yes;' in said
    assert "--end-connections or --keep-connections" in said


def test_the_menu_asks_likewise_and_back_leads_to_the_question_before() -> None:
    at = replace(visit(), connected=lambda: True)
    assert wish("users", "remove", "alice", "y", "y", at=at).end_connections
    assert not wish("users", "remove", "alice", "y", "n", at=at).end_connections
    assert wish("users", "passwd", "alice", "make", "y", "y", at=at).end_connections
    assert not wish("users", "sign-out", "alice", "y", "n", at=at).end_connections
    assert wish("users", "remove", "alice", "y").end_connections, "nobody is connected: as by Enter"
    assert not wish("users", "sign-out", "alice", "y").end_connections
    assert not wish("users", "add", "bob", "make", "y", at=at).end_connections
    script = Script("users", "sign-out", "alice", "y", BACK, "y", "y")
    assert menu(at, script).end_connections
    assert script.keys == ["menu", "users", "who", "sure", "connections", "sure", "connections"]
    changed = wish("users", "passwd", "alice", "make", "y", BACK, "make", "n", "n", at=at)
    assert changed.made_up, "the second one, which is to be shown once more"


# -- what stands in the plan -----------------------------------------------------------------------------------------------


def plan(host: Overlay) -> Sequence[object]:
    stage = Connections()
    return stage.plan(ANSWERS, stage.inspect(ANSWERS, host))


def test_the_step_stands_before_the_proof_and_only_where_that_was_agreed_to() -> None:
    assert [step.name for step in for_users()] == ["users", "site-https", "proof"]
    assert [step.name for step in for_users(end_connections=True)] == ["users", "site-https", "connections", "proof"]


def test_old_workers_are_planned_to_end_by_a_command_that_is_the_same_in_memory() -> None:
    assert plan(Machine()) == ()
    quiet = processes_of(Machine(), "nginx: worker process", "nginx: cache manager process")
    assert plan(quiet) == ()
    (real,) = plan(processes_of(Machine(), "nginx: worker process", "nginx: worker process is shutting down"))
    in_memory = Overlay(quiet)
    in_memory.run(["nginx", "-s", "reload"], gives=loading.RUNNING)
    (forecast,) = plan(in_memory)
    assert isinstance(real, Run)
    assert real == forecast
    assert real.argv == (sys.executable, "-I", end_draining.__file__, "10")
    assert real.irreversible
    assert real.undo(in_memory) is None


# -- which processes end ---------------------------------------------------------------------------------------------------

OF_MASTER = """
start() { (exec -a "$1" sleep "$2") & }
start "nginx: worker process is shutting down" 60; held=$!
start "nginx: worker process" 2; accepting=$!
start "another nginx: worker process is shutting down" 2; alike=$!
start "nginx: worker process is shutting down" 0.4; quick=$!
for each in $held $accepting $alike $quick; do wait $each; echo $?; done
"""
"""What `wait` says of each: 0 where it ended by itself, 128 + 15 where it got SIGTERM."""
ENDED, SIGNALLED = "0", f"{128 + signal.SIGTERM}"
WITHOUT_HANDLES = "import os, runpy, sys; del os.pidfd_open; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


def fake_master(title: str) -> subprocess.Popen[str]:
    """It and its four children have their titles."""
    master = subprocess.Popen(
        [title, "-c", OF_MASTER], executable="/bin/bash", stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    end = time.monotonic() + 20
    while len(found := children(master.pid)) < 4 or any(each.startswith(title) for each in found):
        assert time.monotonic() < end
        time.sleep(0.01)
    return master


def children(parent: int) -> list[str]:
    """Their titles."""
    pids = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [Path(f"/proc/{pid}/cmdline").read_text() for pid in pids if Path(f"/proc/{pid}/cmdline").exists()]


@pytest.fixture
def masters() -> Iterator[list[subprocess.Popen[str]]]:
    found: list[subprocess.Popen[str]] = []
    yield found
    for each in found:
        with suppress(ProcessLookupError):
            os.killpg(each.pid, signal.SIGKILL)
        each.wait()
        if each.stdout:
            each.stdout.close()


@pytest.mark.parametrize("start", [["-I"], ["-c", WITHOUT_HANDLES]], ids=["pidfd", "without-pidfd"])
def test_only_draining_workers_of_that_master_end_and_those_that_end_by_themselves_are_let(
    masters: list[subprocess.Popen[str]], start: list[str]
) -> None:
    for title in ("not nginx", "nginx: master process nginx -c other.conf", "nginx: master process nginx"):
        masters.append(fake_master(title))
    no_nginx, others, ours = masters
    began = time.monotonic()
    for master in (ours, no_nginx):
        ran = subprocess.run(
            [sys.executable, *start, end_draining.__file__, str(master.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert end_draining.GRACE <= time.monotonic() - began < end_draining.GRACE + end_draining.PATIENCE
    assert ours.communicate()[0].split() == [SIGNALLED, ENDED, ENDED, ENDED]
    assert (others.poll(), no_nginx.poll()) == (None, None), "their held workers are alive, and so they wait"
