"""The program in a machine of the lab, without the minute that ./install.sh takes (tests/real/test_install_real.py does)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sysconfig
import tarfile
from functools import lru_cache
from pathlib import Path

from lab import Machine, Ran

REPO = Path(__file__).resolve().parents[2]
HOME = "/opt/hermes-setup-under-test"
NEEDS = (
    *("questionary", "prompt_toolkit", "wcwidth", "rich", "pygments", "markdown_it", "mdurl"),
    *("passlib", "jinja2", "markupsafe", "dns"),
)
COMMAND = "/usr/local/bin/hermes-setup"
COMPILED = Path("/state/compiled")
"""By Debian, and so by its Python: what the first machine of each compiled serves all others, until the source changes."""


def install(machine: Machine) -> None:
    """`hermes-setup` is a command of the machine, from this checkout, on the machine's own Python."""
    machine.run(["mkdir", "-p", HOME])
    source, system = _source(), machine.system.removesuffix("-ready")
    kept = COMPILED / f"{system}-{hashlib.sha256(source).hexdigest()[:16]}.tar"
    try:
        machine.run(["tar", "-C", HOME, "-xf", "-"], input=kept.read_bytes())
    except FileNotFoundError:
        machine.run(["tar", "-C", HOME, "-xf", "-"], input=source)
        machine.run(["python3", "-m", "compileall", "-q", HOME], check=False)
        templates = "from hermes_setup.nginx import render; render.compile_templates()"
        machine.run(["python3", "-s", "-c", templates], env={"PYTHONPATH": HOME})
        COMPILED.mkdir(parents=True, exist_ok=True)
        for old in COMPILED.glob(f"{system}-*"):
            if old != kept:
                old.unlink(missing_ok=True)
        begun = COMPILED / f"new-{os.getpid()}"
        begun.write_bytes(machine.archive(HOME))
        begun.replace(kept)  # whoever else was at it wrote the same
    line = f'#!/bin/sh\nPYTHONPATH={HOME} exec /usr/bin/python3 -s -m hermes_setup "$@"\n'
    machine.write(COMMAND, line, mode=0o755)


@lru_cache
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
