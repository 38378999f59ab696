"""Under CI nothing may be left out: tests/conftest.py makes a failure of whatever is skipped."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

LEFT_OUT = """
import pytest

@pytest.mark.skip("x")
def test_by_a_mark(): pass

def test_by_itself(): pytest.skip("x")

def test_without_a_lab(lab): pass

def test_without_a_module(): pytest.importorskip("no_such_module")

@pytest.mark.xfail
def test_known_to_fail(): assert False

def test_it(): pass
"""


@pytest.mark.slow
def test_what_is_left_out_is_a_failure_under_ci(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(LEFT_OUT)
    (tmp_path / "test_whole.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    argv = [sys.executable, "-m", "pytest", "-rA", "-p", "conftest", "-p", "no:cacheprovider", "--rootdir=."]
    argv.append("--continue-on-collection-errors")
    environment = {name: value for name, value in os.environ.items() if name != "HERMES_SETUP_LAYERS"}
    environment |= {"PYTHONPATH": str(Path(__file__).parent), "PYTEST_ADDOPTS": ""}

    def run(ci: str) -> tuple[int, dict[str, str]]:
        ran = subprocess.run(
            argv, cwd=tmp_path, env={**environment, "CI": ci}, capture_output=True, timeout=60, check=False
        )
        told = re.findall(r"^([A-Z]{4,}) (?:\S*::)?(test_\w+)", ran.stdout.decode(), re.M)
        return ran.returncode, {name: how for how, name in told}

    fine = {"test_it": "PASSED", "test_known_to_fail": "XFAIL"}
    during = dict.fromkeys(("test_by_itself", "test_without_a_module"), "FAILED")
    before = dict.fromkeys(("test_by_a_mark", "test_without_a_lab", "test_whole"), "ERROR")
    assert run("true") == (1, fine | during | before)
    assert run("") == (0, fine), "of what was skipped the place is told, not the name"
