"""One contract for every System: the one in memory is held to what the real one does."""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermes_setup import durable
from hermes_setup.errors import HermesSetupError
from hermes_setup.host import ABSENT, File, Folder, Link, Special, System
from hermes_setup.system.local import Local
from hermes_setup.system.overlay import Nothing, Overlay
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


@pytest.mark.parametrize("change", ["a pipe", "a link", "a folder", "nothing"])
def test_what_is_put_in_a_files_place_while_it_is_looked_at_is_neither_waited_for_nor_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Whoever may write a folder can do that between two calls of ours: here they always come in time."""
    path, secret = tmp_path / "file", tmp_path / "secret"
    path.write_text("as it was")
    secret.write_text("root's own")
    seen = os.lstat

    def swapped(at: str) -> os.stat_result:
        status = seen(at)
        path.unlink()
        if change == "a pipe":
            os.mkfifo(path)
        elif change == "a link":
            path.symlink_to(secret)
        elif change == "a folder":
            path.mkdir()
        return status

    monkeypatch.setattr(os, "lstat", swapped)
    node = Local(str(tmp_path)).look("/file")
    assert isinstance(node, Special) or (change == "nothing" and node == ABSENT)


def test_a_file_on_which_somebody_has_a_lease_is_not_waited_for(tmp_path: Path) -> None:
    """The kernel lets an opener wait 45 s for its holder (fcntl(2), F_SETLEASE)."""
    path = tmp_path / "file"
    path.write_text("x")
    old = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        with open(path, "r+b") as file:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            began = time.monotonic()
            assert isinstance(Local(str(tmp_path)).look("/file"), Special)
            assert time.monotonic() - began < 5
    finally:
        signal.signal(signal.SIGIO, old)


def test_mode_and_owner_are_those_of_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_text("old")
    other.write_text("new")
    other.chmod(0o640)
    seen = os.lstat

    def swapped(at: str) -> os.stat_result:
        status = seen(at)
        other.replace(path)
        return status

    monkeypatch.setattr(os, "lstat", swapped)
    assert Local(str(tmp_path)).look("/file") == mine("new", 0o640)
