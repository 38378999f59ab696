"""Start-up, a re-run with nothing to do, checks on a dead network, one password check. Started by tests/bench/run."""

from __future__ import annotations

import json
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import gate
import rivals
import tables

from hermes_setup import __version__, passwords
from lab import Machine, World
from real.program import HOME, apply, install

DOMAIN = "hermes.example.com"
ROUNDS = 15
ANSWERS = 'domain = "hermes.example.com"\ncertificate = "{}"\n[[users]]\nname = "alice"\n'

# Runs a command, and tells wall seconds, our own user and system seconds, those of its children, and its peak in KiB.
# The program's own share is what RUSAGE_SELF says at its end; the commands it asks (nginx -T, openssl) count for themselves.
MEASURE = """
import json, os, resource, sys, time
began = time.perf_counter()
code = 0
null = os.open(os.devnull, os.O_RDWR)
keep = os.dup(2)
os.dup2(null, 1), os.dup2(null, 2)
from hermes_setup.main import run
code = run(sys.argv[1:])
wall = time.perf_counter() - began
own, asked = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
os.write(keep, json.dumps([code, wall, own.ru_utime + own.ru_stime, asked.ru_utime + asked.ru_stime, own.ru_maxrss]).encode())
"""


def seconds(argv: Sequence[str], rounds: int = ROUNDS) -> float:
    """The median wall time of a command."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def measured(machine: Machine, *argv: str, rounds: int = 5) -> dict[str, float]:
    """The medians of one command of ours in a machine; `code` is its exit code."""
    rows = []
    for _ in range(rounds):
        ran = machine.run(["python3", "-s", "-c", MEASURE, *argv], env={"PYTHONPATH": HOME}, timeout=120)
        rows.append(json.loads(ran.err))
    names = ("code", "wall", "own", "asked", "peak")
    return {name: statistics.median(row[number] for row in rows) for number, name in enumerate(names)}


def start_up() -> None:
    """--version and --help against Python itself, with the same flags."""
    root = str(Path(__file__).resolve().parents[2])
    bare = seconds([sys.executable, "-I", "-c", "pass"])
    print(f"python3 -I -c pass                {bare * 1000:7.1f} ms")
    for flag in ("--version", "--help"):
        code = f"import sys; sys.path.insert(0, {root!r}); sys.argv = ['hermes-setup', {flag!r}]; "
        ours = seconds([sys.executable, "-I", "-c", code + "from hermes_setup.main import main; main()"])
        limit = 2 * bare + 0.020
        print(f"hermes-setup {flag:<20} {ours * 1000:7.1f} ms   {ours / bare:4.2f} x (at most {limit / bare:.2f} x)")


def set_up(world: World, certificate: str) -> Machine:
    """A machine that is set up and at rest."""
    machine = fresh(world)
    apply(machine, ANSWERS.format(certificate), "--yes")
    return machine


def nothing_to_do(world: World) -> None:
    """A re-run, and doctor, where all is as it should be."""
    for certificate in ("letsencrypt", "self-signed"):
        machine = set_up(world, certificate)
        for argv in (("apply", "--answers", "/root/answers.toml", "--yes"), ("doctor",)):
            row = measured(machine, *argv)
            print(
                f"{argv[0]:<7} {certificate:<12} exit {row['code']:.0f}    {row['own']:5.2f} s of our own (at most 0.5), "
                f"{row['asked']:.2f} s of what it asks, {row['wall']:.2f} s in all, {row['peak'] / 1024:.0f} MB (at most 64)"
            )
        machine.close()


def dead_network(world: World) -> None:
    """The checks, where nobody answers: what is sent gets lost, and no error comes back."""
    machine = world.machine("debian13-ready")
    install(machine)
    machine.write("/root/answers.toml", ANSWERS.format("letsencrypt"), mode=0o600)
    rule = "add table inet dead; add chain inet dead in { type filter hook prerouting priority -300; }; "
    machine.run(["nft", rule + 'add rule inet dead in iifname "eth0" drop'])
    row = measured(machine, "apply", "--answers", "/root/answers.toml", "--dry-run", rounds=3)
    print(f"checks, network dead      exit {row['code']:.0f}    {row['wall']:5.2f} s in all (at most 5)")


def one_check() -> None:
    """One password check by crypt(3), as nginx has it checked, with the rounds that we write."""
    import ctypes

    libcrypt = ctypes.CDLL("libcrypt.so.1")
    libcrypt.crypt.restype = ctypes.c_char_p
    hashed = passwords.hash_password("correct horse battery staple").encode()
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        assert libcrypt.crypt(b"correct horse battery staple", hashed) == hashed
        taken.append(time.perf_counter() - began)
    rounds = re.search(rb"rounds=(\d+)", hashed)
    print(
        f"one check by libcrypt             {statistics.median(taken) * 1000:7.1f} ms   with "
        f"{int(rounds[1]) if rounds else 5000} rounds (wanted: about 10 ms on a small VPS)"
    )


def fresh(world: World) -> Machine:
    """A machine with the packages and the program, and nothing set up."""
    machine = world.machine("debian13-ready")
    world.dns.host(DOMAIN, *machine.addresses)
    machine.trust(*world.acme.trusted)
    install(machine)
    machine.start(["cron", "-f"])
    return machine


def nothing_beside_others() -> None:
    """A run with nothing to do, beside a deploy and a playbook."""
    with World() as world:
        machine = fresh(world)
        apply(machine, with_password(), "--yes")
        rivals.nothing_to_do(machine)


def whole_job() -> None:
    """All of it, beside a script."""
    answers = with_password()
    with World() as world:
        machine = fresh(world)
        apply(machine, answers, "--yes")
        done = {name: machine.read(path) for name, path in rivals.SAME.items()}
    golden = Path(__file__).resolve().parents[1] / "golden" / "http-1.26.conf"
    rivals.whole_job(fresh, {**done, "http.conf": golden.read_bytes()}, answers)


def first() -> None:
    """How soon something is there."""
    with World() as world:
        machine = fresh(world)
        rivals.certbots_version(machine)
        rivals.first_question(machine)


def with_password() -> str:
    """Answers whose user can sign in at once."""
    hashed = passwords.hash_password(gate.PASSWORD)
    return ANSWERS.format("letsencrypt").replace('name = "alice"', f'name = "alice"\npassword_hash = "{hashed}"')


def beside_an_open_site() -> None:
    """What the gate costs a request."""
    with World() as world:
        machine = fresh(world)
        apply(machine, with_password(), "--yes")
        gate.gate(world, machine)
        gate.users_files(world, machine)


def main() -> None:
    """All of it, and what it was measured on."""
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    print(f"hermes-setup {__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(
        f"{cpu[1] if cpu else 'unknown processor'}, load {Path('/proc/loadavg').read_text('ascii').split()[0]}; medians"
    )
    parts = {
        "start": start_up,
        "first": first,
        "nothing": nothing_beside_others,
        "whole": whole_job,
        "gate": beside_an_open_site,
        "who": tables.who_asks,
        "flood": tables.flood,
    }
    if len(sys.argv) > 1:
        parts[sys.argv[1]]()
        return
    start_up()
    one_check()
    with World() as world:
        nothing_to_do(world)
    with World() as world:
        dead_network(world)
    for part in (first, nothing_beside_others, whole_job, beside_an_open_site):
        part()


main()
