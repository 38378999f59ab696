"""Beside others: certbot's start-up, a bare questionary script, pyinfra, Ansible, a plain shell script. Started by bench.py."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lab import Machine, World
from real.program import COMMAND, HOME

HERE = Path(__file__).resolve().parent
VENV = "/state/rivals"
NEEDS = ("pyinfra==3.4.1", "ansible-core==2.19.2")
SAME = {
    "site.conf": "/etc/nginx/sites-available/hermes",
    "gate.conf": "/etc/nginx/hermes-gate.conf",
    "users": "/etc/nginx/.htpasswd-hermes",
    "hook.sh": "/etc/letsencrypt/renewal-hooks/deploy/hermes-setup",
}
FIVE_LINES = """\
import questionary

name = questionary.text("Domain").ask()
print(f"You said {name}")
"""
# Runs a command on a terminal; tells after how many seconds something, and then a word, was on the screen.
ON_A_TERMINAL = """
import json, os, pty, signal, sys, time
word, argv = sys.argv[1].encode(), sys.argv[2:]
began = time.perf_counter()
pid, fd = pty.fork()
if not pid:
    os.execvp(argv[0], argv)
seen, first = b"", 0.0
while word not in seen:
    seen += os.read(fd, 4096)
    first = first or time.perf_counter() - began
print(json.dumps([first, time.perf_counter() - began]))
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
"""


def in_turns(rounds: int, *sides: Callable[[], float]) -> list[float]:
    """The medians of the sides' seconds, taken in turns so that a busy moment hits all of them."""
    rows = [[side() for side in sides] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def timed(machine: Machine, *argv: str) -> Callable[[], float]:
    """A side: the wall time of that command in the machine."""

    def side() -> float:
        began = time.perf_counter()
        machine.run(argv, timeout=120)
        return time.perf_counter() - began

    return side


def verdict(what: str, ours: float, theirs: float, limit: float, *, times_faster: bool = False) -> str:
    """A line: both times, their ratio, and whether the limit is held."""
    ratio = theirs / ours if times_faster else ours / theirs
    held = ratio >= limit if times_faster else ratio <= limit
    word = f"{ratio:.1f} times faster (at least {limit:g})" if times_faster else f"{ratio:.2f} x (at most {limit:g})"
    return f"{what:<44} {ours * 1000:8.0f} ms  against {theirs * 1000:8.0f} ms   {word}{'' if held else '   NOT HELD'}"


def certbots_version(machine: Machine) -> None:
    """Start-up beside certbot's."""
    ours, theirs = in_turns(7, timed(machine, COMMAND, "--version"), timed(machine, "certbot", "--version"))
    print(verdict("--version, against certbot's", ours, theirs, 1))


def first_question(machine: Machine) -> None:
    """The wizard's first question, beside a script that only asks."""
    machine.write("/root/five.py", FIVE_LINES)
    began: list[float] = []

    def side(*argv: str) -> Callable[[], float]:
        def run() -> float:
            env = {"PYTHONPATH": HOME, "TERM": "xterm-256color"}
            ran = machine.run(["python3", "-s", "-c", ON_A_TERMINAL, "Domain", *argv], env=env)
            first, asked = json.loads(ran.out.splitlines()[-1])
            if "hermes_setup" in argv:
                began.append(first)
            return float(asked)

        return run

    ours, theirs = in_turns(9, side("python3", "-s", "-m", "hermes_setup"), side("python3", "-s", "/root/five.py"))
    print(verdict("first question, against questionary alone", ours, theirs, 1.25))
    first = statistics.median(began) * 1000
    print(f"{'something on the screen after':<44} {first:8.0f} ms   (at most 60){'' if first <= 60 else '   NOT HELD'}")


def tools() -> bytes:
    """pyinfra and Ansible in a venv, as a tar for machines; installed once, and kept."""
    done = Path(VENV, f"done-{'-'.join(NEEDS)}")
    if not done.exists():
        subprocess.run(["rm", "-rf", VENV], check=True)
        subprocess.run(["/usr/bin/python3", "-m", "venv", VENV], check=True)
        env = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": "/run/host/pip.conf", "PIP_CERT": "/run/host/ca.crt"}
        subprocess.run([f"{VENV}/bin/pip", "install", "--quiet", "--no-input", *NEEDS], check=True, env=env)
        done.touch()
    return subprocess.run(["tar", "-C", "/", "-cf", "-", VENV[1:]], check=True, capture_output=True).stdout


def nothing_to_do(machine: Machine) -> None:
    """Our re-run on a machine that is set up, beside a deploy and a playbook for the same state."""
    machine.run(["tar", "-C", "/", "-xf", "-"], input=tools())
    keep(machine, machine)
    for name in ("deploy.py", "playbook.yml"):
        machine.write(f"/root/{name}", (HERE / "rivals" / name).read_text("utf-8"))
    ours = timed(machine, COMMAND, "apply", "--answers", "/root/answers.toml", "--yes")
    pyinfra = timed(machine, f"{VENV}/bin/pyinfra", "@local", "-y", "/root/deploy.py")
    ansible = timed(machine, f"{VENV}/bin/ansible-playbook", "-i", "localhost,", "/root/playbook.yml")
    for side in (ours, pyinfra, ansible):
        side()
    mine, deploy, playbook = in_turns(5, ours, pyinfra, ansible)
    print(verdict("nothing to do, against pyinfra", mine, deploy, 5, times_faster=True))
    print(verdict("nothing to do, against Ansible", mine, playbook, 30, times_faster=True))


def keep(source: Machine, target: Machine) -> None:
    """The files of the machine that is set up are in /root/same of the other one."""
    for name, path in SAME.items():
        target.write(f"/root/same/{name}", source.read(path))


def whole_job(fresh: Callable[[World], Machine], done: dict[str, bytes], answers: str) -> None:
    """From a machine with the packages to the site over HTTPS, beside a script that runs the same commands."""

    def ours() -> float:
        with World() as world:
            machine = fresh(world)
            machine.write("/root/answers.toml", answers, mode=0o600)
            return timed(machine, COMMAND, "apply", "--answers", "/root/answers.toml", "--yes")()

    def script() -> float:
        with World() as world:
            machine = fresh(world)
            for name, content in done.items():
                machine.write(f"/root/same/{name}", content)
            machine.write("/root/whole.sh", (HERE / "rivals" / "whole.sh").read_text("utf-8"))
            return timed(machine, "sh", "/root/whole.sh")()

    mine, theirs = in_turns(5, ours, script)
    print(verdict("the whole job, against a shell script", mine, theirs, 1.1))
