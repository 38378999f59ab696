"""What runs as root is root's: on the way to a program, and in what it starts, nobody else can change anything."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_setup import replaceable
from hermes_setup.errors import CommandFailed
from hermes_setup.host import Replaceable
from hermes_setup.system.local import Local

pytestmark = pytest.mark.root
NOBODY, WWW_DATA = 65534, 33


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root folder of its own, with /usr/bin/tool and the shell that it is for."""
    os.umask(0o022)
    for path in ("usr/bin/tool", "bin/sh"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("#!/bin/sh\n" if path.endswith("tool") else "\x7fELF")
        (tmp_path / path).chmod(0o755)
    return tmp_path


def paths(tree: Path, program: str = "/usr/bin/tool") -> list[str]:
    return [each.path for each in replaceable.of_program(program, str(tree), ["/usr/bin", "/bin"])]


def link(tree: Path, path: str, target: str) -> None:
    (tree / path).unlink(missing_ok=True)
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).symlink_to(target)


def put(tree: Path, path: str, text: str = "\x7fELF", owner: int = 0) -> None:
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).write_text(text)
    (tree / path).chmod(0o755)
    os.chown(tree / path, owner, 0)


def test_what_is_roots_is_nobody_elses(tree: Path) -> None:
    assert replaceable.of_program("/usr/bin/tool", str(tree)) == ()
    assert replaceable.of_program("/no/such", str(tree)) == ()


@pytest.mark.parametrize("path", ["usr", "usr/bin", "usr/bin/tool", "bin", "bin/sh", "."])
def test_each_folder_the_file_and_its_interpreter_count(tree: Path, path: str) -> None:
    at = f"/{path}".removesuffix("/.") if path != "." else "/"
    os.chown(tree / path, WWW_DATA, 0)
    assert replaceable.of_program("/usr/bin/tool", str(tree)) == (Replaceable(at, ("www-data",)),)
    os.chown(tree / path, 0, 0)
    (tree / path).chmod(0o757)
    assert replaceable.of_program("/usr/bin/tool", str(tree)) == (Replaceable(at, ("everybody",)),)


def test_a_link_leads_to_where_others_may_write(tree: Path) -> None:
    put(tree, "home/bob/venv/tool", owner=NOBODY)
    link(tree, "usr/bin/tool", "../../home/bob/venv/tool")
    assert paths(tree) == ["/home/bob/venv/tool"]
    link(tree, "opt/venv", "/home/bob/venv")
    link(tree, "usr/bin/tool", "/opt/venv/tool")
    assert paths(tree) == ["/home/bob/venv/tool"]
    os.chown(tree / "home/bob", NOBODY, 0)
    assert paths(tree) == ["/home/bob", "/home/bob/venv/tool"]


def test_a_circle_of_links_has_an_end(tree: Path) -> None:
    link(tree, "usr/bin/tool", "other")
    link(tree, "usr/bin/other", "tool")
    assert paths(tree) == []


def test_a_group_counts_by_who_is_in_it(tree: Path) -> None:
    """Old Debians give /usr/local to a group `staff`, which is empty; and each user has a group of their own."""
    (tree / "usr/bin").chmod(0o775)
    assert paths(tree) == []  # root's group
    os.chown(tree / "usr/bin", 0, 50)
    assert paths(tree) == []
    os.chown(tree / "usr/bin", 0, WWW_DATA)
    assert replaceable.of_program("/usr/bin/tool", str(tree))[0].by == ("www-data",)


def test_an_access_list_counts_by_whom_it_names(tree: Path) -> None:
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", *entry)
        for entry in ((1, 7, 2**32 - 1), (2, 7, WWW_DATA), (4, 5, 2**32 - 1), (16, 7, 2**32 - 1), (32, 5, 2**32 - 1))
    )
    try:
        os.setxattr(tree / "usr/bin", "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("this file system has no access lists")
    assert replaceable.of_program("/usr/bin/tool", str(tree)) == (Replaceable("/usr/bin", ("www-data",)),)


def test_in_a_sticky_folder_only_ones_own_can_be_replaced(tree: Path) -> None:
    (tree / "usr/bin").chmod(0o1777)
    assert paths(tree) == []
    assert [each.path for each in replaceable.in_folder("/usr/bin", str(tree))] == ["/usr/bin"]  # but made, it can
    assert paths(tree, "/usr/bin/nothing-yet") == ["/usr/bin"]
    link(tree, "usr/bin/tool", "../../bin/sh")
    assert paths(tree) == []
    os.chown(tree / "usr/bin/tool", NOBODY, 0, follow_symlinks=False)
    assert paths(tree) == ["/usr/bin/tool"]
    (tree / "usr/bin").chmod(0o755)
    assert paths(tree) == []


def test_what_a_wrapper_hands_over_to_counts(tree: Path) -> None:
    put(tree, "home/bob/real", owner=NOBODY)
    for line in ('exec "/home/bob/real" "$@"', "X=1 exec /home/bob/real", "[ -z x ] || exec '/home/bob/real'"):
        put(tree, "usr/bin/tool", f"#!/bin/sh\nunset PYTHONPATH\n{line}\n")
        assert paths(tree) == ["/home/bob/real"], line
    put(tree, "usr/bin/tool", "#!/bin/sh\n# exec /home/bob/real\n")
    assert paths(tree) == []
    put(tree, "usr/bin/tool", "#!/usr/bin/env -S bash -e\nexec /home/bob/real\n")
    put(tree, "bin/bash")
    assert paths(tree) == ["/home/bob/real"]
    os.chown(tree / "bin/bash", WWW_DATA, 0)
    assert paths(tree) == ["/bin/bash", "/home/bob/real"]


def test_the_libraries_of_a_virtual_environment_count(tree: Path) -> None:
    put(tree, "usr/bin/python3.11")
    link(tree, "opt/venv/bin/python", "/usr/bin/python3.11")
    put(tree, "opt/venv/lib/python3.11/site-packages/certbot/main.py")
    put(tree, "opt/venv/pyvenv.cfg")
    put(tree, "usr/bin/tool", "#!/opt/venv/bin/python\n")
    assert paths(tree) == []
    os.chown(tree / "opt/venv/lib/python3.11/site-packages/certbot", NOBODY, 0)
    assert paths(tree) == ["/opt/venv/lib/python3.11/site-packages/certbot"]
    os.chown(tree / "opt/venv/lib/python3.11/site-packages", NOBODY, 0)
    assert paths(tree) == ["/opt/venv/lib/python3.11/site-packages"]


def test_a_folder_has_a_way_to_it_too(tree: Path) -> None:
    assert paths(tree, "/usr/bin") == []
    os.chown(tree / "usr", NOBODY, 0)
    assert paths(tree, "/usr/bin") == ["/usr"]


def test_a_pipe_in_a_programs_place_is_not_waited_for(tree: Path) -> None:
    (tree / "usr/bin/tool").unlink()
    os.mkfifo(tree / "usr/bin/tool")
    assert paths(tree) == []


def test_the_cure_is_to_be_typed_where_no_home_is_concerned() -> None:
    found = (Replaceable("/usr/local/bin", ("bob",)), Replaceable("/opt/a b", ("everybody",)))
    typed = replaceable.cure(found, "")
    assert typed == "sudo chown root:root /usr/local/bin '/opt/a b' && sudo chmod go-w /usr/local/bin '/opt/a b'"
    assert replaceable.cure((*found, Replaceable("/home/bob", ("bob",))), "Another way.") == "Another way."
    assert replaceable.by_others((Replaceable("/x", ("alice", "bob")),), "alice") == (Replaceable("/x", ("bob",)),)
    assert replaceable.by_others((Replaceable("/x", ("bob",)),), "bob") == ()


# -- what follows for commands --------------------------------------------------------------------------------------------


def ask(path: Path) -> int:
    return Local().ask([str(path)]).code


def run(path: Path) -> int:
    try:
        return Local().run([str(path)]).code
    except CommandFailed as failed:
        assert failed.hint
        return failed.code


@pytest.mark.parametrize("command", [ask, run])
def test_a_command_that_somebody_else_can_replace_is_not_run(tmp_path: Path, command: Callable[[Path], int]) -> None:
    script, ran = tmp_path / "tool", tmp_path / "ran"
    script.write_text(f"#!/bin/sh\ntouch {ran}\n")
    script.chmod(0o755)
    assert command(script) == 0
    assert ran.exists()
    ran.unlink()
    os.chown(script, NOBODY, 0)
    assert command(script) == 126
    assert "nobody" in Local().ask([str(script)]).err
    assert not ran.exists()
