"""The log: root's, for root to read; what is put in its place is neither written to nor waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hermes_setup import log
from hermes_setup.errors import HermesSetupError
from hermes_setup.log import Log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hermes-setup.log"


def test_nothing_is_written_before_it_is_open(path: Path) -> None:
    kept = Log(str(path))
    kept.write("too early")
    assert not path.exists()
    kept.open()
    kept.write("from here on")
    assert path.read_text().endswith(" from here on\n")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("before", [None, 0o666, 0o640, 0o400])
def test_only_root_can_read_and_write_it(path: Path, umask: int, before: int | None) -> None:
    os.umask(umask)
    if before is not None:
        path.touch()
        path.chmod(before)
    kept = Log(str(path))
    kept.open()
    assert oct(path.stat().st_mode & 0o7777) == "0o600"
    path.chmod(0o644)
    kept.write("line")
    assert oct(path.stat().st_mode & 0o7777) == "0o600"


def _link(path: Path) -> None:
    path.symlink_to(path.with_name("root's own"))


def _hard_link(path: Path) -> None:
    path.hardlink_to(path.with_name("root's own"))


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("made by us"))


def _others(path: Path) -> None:
    path.touch()
    os.chown(path, 65534, 0)


ROOTS = pytest.param(_others, marks=pytest.mark.root)


@pytest.mark.parametrize("put", [os.mkfifo, _link, _hard_link, _dangling, Path.mkdir, ROOTS])
@pytest.mark.timeout(20)
def test_something_else_in_its_place_is_said_and_left_alone(path: Path, put: object) -> None:
    own = path.with_name("root's own")
    own.write_text("as it was")
    own.chmod(0o644)
    put(path)  # type: ignore[operator]
    kept = Log(str(path))
    with pytest.raises(HermesSetupError) as refused:
        kept.open()
    assert not kept.is_open
    assert f"sudo mv {path} /root/" in refused.value.hint
    assert (own.read_text(), own.stat().st_mode & 0o777) == ("as it was", 0o644)
    assert not path.with_name("made by us").exists()


@pytest.mark.parametrize("put", [os.mkfifo, _link, Path.mkdir])
@pytest.mark.timeout(20)
def test_what_comes_into_its_place_in_the_middle_of_a_run_does_not_end_it(path: Path, put: object) -> None:
    own = path.with_name("root's own")
    own.write_text("as it was")
    kept = Log(str(path))
    kept.open()
    path.unlink()
    put(path)  # type: ignore[operator]
    kept.write("line")
    assert own.read_text() == "as it was"


def test_a_pipe_that_somebody_reads_is_no_log(path: Path) -> None:
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(HermesSetupError):
            Log(str(path)).open()
        assert os.read(reader, 100) == b""
    finally:
        os.close(reader)


def test_a_large_one_is_put_aside_with_its_last_line(path: Path) -> None:
    kept = Log(str(path))
    kept.open()
    path.write_bytes(b"x" * (log.LARGEST + 1))
    kept.write("the last")
    kept.write("the first")
    assert path.with_name(f"{path.name}.1").read_bytes().endswith(b" the last\n")
    assert path.read_text().endswith(" the first\n")
    path.with_name(f"{path.name}.1").unlink()
    path.with_name(f"{path.name}.1").mkdir()
    path.write_bytes(b"x" * (log.LARGEST + 1))
    kept.write("is written all the same")
    assert b"is written all the same" in path.read_bytes()
