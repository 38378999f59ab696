"""The program in a machine of the lab, without the minute that ./install.sh takes (tests/real/test_install_real.py does)."""

from __future__ import annotations

import io
import json
import sysconfig
import tarfile
from pathlib import Path

from lab import Machine, Ran

REPO = Path(__file__).resolve().parents[2]
HOME = "/opt/hermes-setup-under-test"
NEEDS = (
    *("questionary", "prompt_toolkit", "wcwidth", "rich", "pygments", "markdown_it", "mdurl"),
    *("passlib", "jinja2", "markupsafe", "dns"),
)
COMMAND = "/usr/local/bin/hermes-setup"


def install(machine: Machine) -> None:
    """`hermes-setup` is a command of the machine, from this checkout, on the machine's own Python."""
    machine.run(["mkdir", "-p", HOME])
    compiled = _compiled.get(machine.system.removesuffix("-ready"))
    machine.run(["tar", "-C", HOME, "-xf", "-"], input=compiled or _source())
    if not compiled:
        machine.run(["python3", "-m", "compileall", "-q", HOME], check=False)
        templates = "from hermes_setup import nginx; nginx.compile_templates()"
        machine.run(["python3", "-s", "-c", templates], env={"PYTHONPATH": HOME})
        _compiled[machine.system.removesuffix("-ready")] = machine.archive(HOME)
    line = f'#!/bin/sh\nPYTHONPATH={HOME} exec /usr/bin/python3 -s -m hermes_setup "$@"\n'
    machine.write(COMMAND, line, mode=0o755)


_compiled: dict[str, bytes] = {}
"""By Debian, and so by its Python: what the first machine of each compiled serves the others of this test run."""


def _source() -> bytes:
    site = Path(sysconfig.get_path("purelib"))
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for source in (REPO / "hermes_setup", REPO / "templates", *(site / name for name in NEEDS)):
            tar.add(source, source.name, filter=_plain)
    return data.getvalue()


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return None if "__pycache__" in entry.name else entry


def hermes_setup(machine: Machine, *argv: str, code: int = 0, stdin: str = "", timeout: float = 120) -> Ran:
    """The command has ended, with that exit code; all it said is in the failure otherwise."""
    ran = machine.run([COMMAND, *argv], input=stdin, timeout=timeout, check=False)
    assert ran.code == code, f"{argv} ended with {ran.code}, not {code}\n--- stdout\n{ran.out}\n--- stderr\n{ran.err}"
    return ran


def apply(machine: Machine, answers: str, *flags: str, code: int = 0, timeout: float = 180) -> Ran:
    """`hermes-setup apply` with those answers (TOML text)."""
    machine.write("/root/answers.toml", answers, mode=0o600)
    return hermes_setup(machine, "apply", "--answers", "/root/answers.toml", *flags, code=code, timeout=timeout)


def users(machine: Machine) -> list[str]:
    """Who can sign in, as `users list` has it."""
    told = json.loads(hermes_setup(machine, "users", "list", "--json").out)
    return [user["name"] for user in told["users"]]
