"""What install.sh installs: every file of every package by its hash, and examples that the program takes; and that a
^C held down leaves nothing of it behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hermes_setup.answers.file import read_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPO = Path(__file__).resolve().parents[1]


def toml(path: str) -> dict[str, Any]:
    return tomllib.loads((REPO / path).read_text("utf-8"))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9_.-]", each)[0].lower() for each in requirements if each and not each.startswith("#")}


def pins(path: str) -> list[str]:
    """One text for each requirement, its continued lines included."""
    return (REPO / path).read_text("utf-8").replace("\\\n", " ").splitlines()


@pytest.mark.parametrize("path", ["requirements/runtime.txt", "requirements/build.txt"])
def test_every_pin_is_exact_and_has_hashes_and_none_names_an_index(path: str) -> None:
    for pin in pins(path):
        assert re.fullmatch(r"[a-z0-9-]+==[0-9.]+( ; [^-]+?)?( +--hash=sha256:[0-9a-f]{64})+", pin.rstrip()), pin


def test_what_the_program_needs_is_pinned() -> None:
    wanted = names(toml("pyproject.toml")["project"]["dependencies"])
    assert names((REPO / "requirements/runtime.in").read_text("utf-8").splitlines()) == wanted
    assert wanted <= names(pins("requirements/runtime.txt"))
    assert "hatchling" in names(pins("requirements/build.txt"))


@pytest.mark.parametrize("path", sorted((REPO / "docs/examples").glob("*.toml")), ids=lambda path: path.name)
def test_an_example_is_an_answers_file(path: Path) -> None:
    read_table(toml(str(path.relative_to(REPO))))


@pytest.mark.slow
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGHUP], ids=["INT", "HUP"])
def test_signals_one_after_the_other_cannot_stop_its_clean_up(tmp_path: Path, which: signal.Signals) -> None:
    head = (REPO / "install.sh").read_text("utf-8").split("# -- where it is")[0]
    assert "trap" in head
    script = tmp_path / "head.sh"
    script.write_text(f"{head}\nwork={tmp_path}/work; mkdir $work; echo ready; sleep 20\n", "utf-8")
    for trial in range(150):
        with subprocess.Popen(
            ["sh", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        ) as shell:
            assert shell.stdout
            shell.stdout.readline()
            while shell.poll() is None:
                os.killpg(shell.pid, which)
                time.sleep(trial % 5 * 2e-5)
        assert shell.returncode == 128 + which
        assert not (tmp_path / "work").exists()
