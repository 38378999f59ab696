"""Stopped at any point, on real parts: nginx always starts, the same typed again ends in the same machine."""

from __future__ import annotations

import functools
import re
import signal
from collections.abc import Callable, Mapping

import pytest

from conftest import DOMAIN
from hermes_setup.stages import all_steps
from lab import Entry, Machine, World
from real.program import COMMAND, hermes_setup, install
from real.terminal import Terminal

PASSWORD = "correct horse bätterý"
LETSENCRYPT = f"""
domain = "{DOMAIN}"
certificate = "letsencrypt"
[[users]]
name = "alice"
password_file = "/root/alice.pw"
"""
SELF_SIGNED = LETSENCRYPT.replace('"letsencrypt"', '"self-signed"')
ARGV = ("apply", "--answers", "/root/answers.toml", "--yes")
GO_ON = "sudo hermes-setup apply --answers /root/answers.toml --yes"

# What differs from run to run, by its nature: salts and tokens (content only), and the program's own notes of runs.
FRESH = re.compile(
    r"/etc/nginx/(\.htpasswd-hermes|hermes-gate\.conf)|/etc/ssl/hermes-setup/.*\.pem|/var/lib/hermes-setup/(answers|lines|rendered)\.json|/var/lib/hermes-setup/lock"
    r"|/var/lib/hermes-setup/stamps/.*"
    # certbot: accounts and certificates have names and numbers of their own
    r"|/etc/letsencrypt/(accounts|archive|live|renewal|csr|keys)/.*"
)
NOTES = re.compile(
    r"/var/lib/hermes-setup/runs.*|/opt/.*|/root.*|/etc/letsencrypt/accounts.*|/var/lib/letsencrypt.*|/var/lib/nginx.*"
)


def prepare(world: World, machine: Machine, answers: str) -> None:
    machine.trust(*world.acme.trusted)
    install(machine)
    machine.write("/root/alice.pw", PASSWORD + "\n", mode=0o600)
    machine.write("/root/answers.toml", answers, mode=0o600)


def essence(machine: Machine) -> Mapping[str, Entry]:
    """The machine's disk, less what is never twice the same."""
    found = {}
    for path, entry in machine.snapshot().items():
        if NOTES.fullmatch(path):
            continue
        found[path] = Entry(entry.kind, entry.mode, entry.uid, entry.gid) if FRESH.fullmatch(path) else entry
    return found


def sound(machine: Machine) -> None:
    """nginx would start with what stands there now, and nothing of ours is still at work."""
    machine.wait_for(
        lambda: (
            not [p for p in machine.processes() if re.search("hermes_setup|certbot|apt-get|dpkg", " ".join(p.argv))]
        ),
        "what was running has ended",
        60,
    )
    machine.run(["nginx", "-t"])


def complete(machine: Machine, wanted: Mapping[str, Entry]) -> None:
    """The same again ends well, with the same machine; and once more there is nothing to do."""
    hermes_setup(machine, *ARGV, timeout=200)
    assert machine.run(["nginx", "-t"]).code == 0
    assert essence(machine) == wanted
    assert "Nothing to do" in hermes_setup(machine, *ARGV).err
    left = machine.run(["find", "/etc", "/var", "/usr/local", "-name", "*.hermes-setup~"]).out
    assert left == "", "a file that waited for its rename"


def new_machine(world: World, answers: str) -> Machine:
    machine = world.machine("debian13-ready")
    world.dns.host(DOMAIN, *machine.addresses)
    prepare(world, machine, answers)
    machine.start(["cron", "-f"])
    return machine


@functools.cache
def undisturbed(answers: str) -> Mapping[str, Entry]:
    """The machine that a run without any interruption makes."""
    with World() as world:
        machine = new_machine(world, answers)
        hermes_setup(machine, *ARGV, timeout=200)
        return essence(machine)


def program(machine: Machine) -> int:
    """Its process; a child of it that has not become its command yet has a higher number and the same words."""
    return min(p.pid for p in machine.processes() if "hermes_setup" in p.argv)


def hang_up(here: Terminal, machine: Machine) -> int:
    return here.hang_up()


def by_signal(number: int) -> Callable[[Terminal, Machine], int]:
    def act(here: Terminal, machine: Machine) -> int:
        pid = program(machine)
        machine.run(["kill", f"-{number}", str(pid)])
        if number == signal.SIGKILL:
            here.child.wait()
            return -number if here.child.exitstatus != 0 else 0  # how the lab tells of it is its own business
        return here.ended()

    return act


def ctrl_c(here: Terminal, machine: Machine) -> int:
    here.interrupt()
    return here.ended()


WAYS = {"ctrl-c": (ctrl_c, 130), "hang-up": (hang_up, 129), "term": (by_signal(15), 143), "kill": (by_signal(9), -9)}
MOMENTS = [
    "Users",
    "a waiting page",
    "Let's Encrypt's test servers",
    "fetch a certificate",
    "over HTTPS",
    "deploy",
    "Proof",
]


@pytest.mark.parametrize("way", WAYS)
def test_stopped_at_many_moments_the_same_again_completes(world: World, way: str) -> None:
    act, code = WAYS[way]
    machine = new_machine(world, LETSENCRYPT)
    for moment in MOMENTS if way in ("ctrl-c", "kill") else MOMENTS[1::2]:
        here = Terminal(machine, *ARGV)
        # The forecast names the moments, too; the run itself begins with its first result line.
        here.has_said("[ 1/")
        began = here.raw.index("[ 1/")
        while moment not in here.raw[began:]:
            if not here._pump(0.05):
                break
        if here.child.eof():
            break  # done before that moment: everything was there
        assert act(here, machine) == code, (moment, here.text)
        if way in ("ctrl-c", "term"):
            words = " ".join(here.raw[began:].split())
            assert "Everything on this server is in a sound state" in words, moment
            assert GO_ON in words
            assert "Traceback" not in words
        sound(machine)
    complete(machine, undisturbed(LETSENCRYPT))


def test_killed_under_a_certbot_that_lives_on_the_same_at_once_completes(world: World) -> None:
    machine = new_machine(world, LETSENCRYPT)
    here = Terminal(machine, *ARGV)
    here.has_said("Certificate: fetch")

    def certbots() -> list[int]:
        return [p.pid for p in machine.processes() if "certonly" in p.argv]

    def held() -> bool:
        """It stands still, so that it is not done before the program is killed, however slow this machine is."""
        return any(machine.run(["kill", "-STOP", str(pid)], check=False).code == 0 for pid in certbots())

    machine.wait_for(held, "certbot is at work")
    assert WAYS["kill"][0](here, machine) == -9
    assert certbots(), "certbot outlives it"
    machine.run(["kill", "-CONT", *map(str, certbots())])
    hermes_setup(machine, *ARGV, timeout=200)
    assert "Nothing to do" in hermes_setup(machine, *ARGV).err
    assert world.acme.orders() <= 2


def test_another_certbot_at_work_is_told_once_and_after_it_the_same_completes(world: World) -> None:
    """A renewal by the timer, or the one that outlived a killed run."""
    machine = new_machine(world, LETSENCRYPT)
    machine.run(["mkdir", "-p", "/etc/letsencrypt"])
    hold = "import fcntl, time; f = open('/etc/letsencrypt/.certbot.lock', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); "
    holder = machine.start(["python3", "-c", hold + "print(1, flush=True); time.sleep(600)"])
    machine.wait_for(lambda: "1" in holder.output, "holds the lock")
    said = hermes_setup(machine, *ARGV, code=3).err
    assert said.count("certbot is already running") == 1
    machine.run(["nginx", "-t"])
    holder.stop()
    hermes_setup(machine, *ARGV, timeout=200)


def test_one_after_another_on_a_self_signed_machine(world: World) -> None:
    """^C at every single line that the run prints, one further each time."""
    machine = new_machine(world, SELF_SIGNED)
    stops = 0
    for line in range(1, len(all_steps()) + 1):
        here = Terminal(machine, *ARGV)
        begun = f"[{line:>2}/{len(all_steps())}]"
        while begun not in here.raw and here._pump(0.05):
            pass
        if here.child.eof():
            break
        here.interrupt()
        ended = here.ended()
        assert ended in (130, 0), here.text
        stops += ended == 130
        sound(machine)
    assert stops > 3
    complete(machine, undisturbed(SELF_SIGNED))


@pytest.mark.parametrize(("way", "code"), [("ctrl-c", 130), ("kill", -9)])
def test_in_the_middle_of_apt_get(world: World, way: str, code: int) -> None:
    machine = world.machine("debian13")
    world.give_packages(machine)
    prepare(world, machine, SELF_SIGNED)
    act = WAYS[way][0]
    stops = 0
    for package in ("nginx-common", "nginx"):
        there = f"/var/lib/dpkg/info/{package}.list"
        if machine.exists(there):
            continue
        here = Terminal(machine, *ARGV)
        machine.wait_for(lambda there=there: machine.exists(there), f"{package} is unpacked", 120)
        assert act(here, machine) == code, here.text
        stops += 1
        # an apt-get that outlives a killed run goes on, and the next run would be told so
        machine.wait_for(
            lambda: not any("apt-get" in p.argv[0] for p in machine.processes() if p.argv), "apt is done", 120
        )
    assert stops
    ran = hermes_setup(machine, *ARGV, timeout=280)
    assert "Done" in ran.err
    assert machine.run(["dpkg", "--audit"]).out == ""
    assert machine.fetch(f"https://{DOMAIN}/", auth=("alice", PASSWORD), address="127.0.0.1").status == 502


def test_dpkg_left_half_configured_is_finished_first(world: World) -> None:
    machine = new_machine(world, SELF_SIGNED)
    halfway = "/^Package: nginx$/,/^$/s/^Status: .*/Status: install ok half-configured/"
    machine.run(["sed", "-i", halfway, "/var/lib/dpkg/status"])
    assert "nginx" in machine.run(["dpkg", "--audit"]).out
    said = hermes_setup(machine, *ARGV).err
    assert "finish the package installation that was interrupted" in " ".join(said.split())
    assert machine.run(["dpkg", "--audit"]).out == ""


def test_a_second_run_at_once_is_told_who_is_at_work(world: World) -> None:
    machine = new_machine(world, SELF_SIGNED)
    first = Terminal(machine, *ARGV[:-1])
    first.waits("? Go ahead? [y/n]")
    pid = program(machine)
    second = hermes_setup(machine, *ARGV, code=75)
    words = " ".join(second.err.split())
    assert f"process {pid}" in words
    assert re.search(r"hermes-setup apply.*since \d\d:\d\d", words)
    # what changes nothing needs no lock
    hermes_setup(machine, "apply", "--answers", "/root/answers.toml", "--dry-run")
    hermes_setup(machine, "users", "list")
    first.type("n\r")
    assert first.ended() == 0
    hermes_setup(machine, *ARGV)


def test_a_full_disk_is_told_and_with_room_again_it_completes(world: World) -> None:
    machine = world.machine("debian13-ready", memory="48m")
    world.dns.host(DOMAIN, *machine.addresses)
    prepare(world, machine, SELF_SIGNED)
    machine.start(["cron", "-f"])
    for room in (0, 8, 16, 24, 40, 64):
        machine.run(["sh", "-c", "rm -f /fill; cat /dev/zero >/fill"], check=False)
        machine.run(["truncate", "-s", f"-{room}K", "/fill"])
        ran = machine.run([COMMAND, *ARGV], check=False, timeout=120)
        assert ran.code in (0, 1), (room, ran)
        assert "Traceback" not in ran.err
        assert "bug in hermes-setup" not in ran.err
        if ran.code == 1:
            assert re.search("full|No space left", ran.err), (room, ran.err)
        machine.run(["rm", "/fill"])
        machine.run(["nginx", "-t"])
    complete(machine, undisturbed(SELF_SIGNED))


def test_a_broken_pipe_in_the_middle_is_no_success(world: World) -> None:
    machine = new_machine(world, SELF_SIGNED)
    ran = machine.run(
        ["bash", "-c", f"{COMMAND} {' '.join(ARGV)} 2>&1 | sed '/ 5.1[0-9]/q' >/dev/null; exit ${{PIPESTATUS[0]}}"],
        check=False,
    )
    assert ran.code == 129, ran
    sound(machine)
    hermes_setup(machine, *ARGV)


def test_a_proof_that_failed_is_asked_for_again_and_not_taken_as_done(world: World) -> None:
    machine = new_machine(world, SELF_SIGNED)
    hermes_setup(machine, *ARGV)
    # stopped just before the proof: nothing is to be changed, and yet nobody has seen it work
    stamp = "/var/lib/hermes-setup/stamps/proof"
    machine.run(["rm", stamp])
    assert "nobody has seen it work" in hermes_setup(machine, "doctor", code=4).err
    assert "Proof" in hermes_setup(machine, *ARGV).err
    assert machine.exists(stamp)
    # all our files are right, and yet nothing comes through
    machine.run(["rm", stamp])
    rule = "add table ip shut; add chain ip shut out { type filter hook output priority 0; }; "
    machine.run(["nft", rule + "add rule ip shut out oif lo tcp dport 443 reject with tcp reset"])
    for _ in range(2):
        assert machine.run([COMMAND, *ARGV], check=False, timeout=120).code in (1, 3)
    machine.run(["nft", "delete table ip shut"])
    hermes_setup(machine, *ARGV)
    assert machine.exists(stamp)
