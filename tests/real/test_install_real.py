"""install.sh on servers as they are on their first day."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from conftest import BOTH
from lab import Machine, World

REPO = Path(__file__).resolve().parents[2]
TREE = "/root/my copy/hermes-setup"


def unpack(machine: Machine) -> None:
    """The repository is on the machine, in a folder with a space in its name, and cannot be written to."""
    machine.copy_in(REPO, TREE)
    machine.run(["chmod", "-R", "a-w", TREE])


def install(
    machine: Machine, *args: str, code: int = 0, env: dict[str, str] | None = None, timeout: float = 300
) -> str:
    ran = machine.run([f"{TREE}/install.sh", *args], check=False, env=env, timeout=timeout, cwd="/tmp")
    assert ran.code == code, f"ended with {ran.code}, not {code}\n{ran.out}\n{ran.err}"
    return ran.out + ran.err


@pytest.mark.parametrize("debian", BOTH)
def test_a_bare_server_gets_the_command_and_again_is_quick(bare: Machine) -> None:
    unpack(bare)
    assert re.search(r"hermes-setup \d+\.\d+", install(bare, "--version"))
    began = time.monotonic()
    assert re.search(r"^hermes-setup \d+\.\d+\.\d+$", install(bare, "--version"), re.M)
    assert time.monotonic() - began < 3
    assert (
        bare.run(["readlink", "/usr/local/bin/hermes-setup"]).out.strip()
        == "/opt/hermes-setup/current/bin/hermes-setup"
    )
    # Nobody but root may write there, everybody may run it, and nothing was written where it came from.
    assert bare.run(["find", "/opt/hermes-setup", "!", "-type", "l", "-perm", "/022"]).out == ""
    assert bare.run(["runuser", "-u", "nobody", "--", "hermes-setup", "--help"]).out.startswith("hermes-setup puts")
    assert bare.run(["find", TREE, "-newer", f"{TREE}/install.sh", "-name", "*.pyc"]).out == ""
    # An upgrade takes the old one's place, and removes no other.
    bare.run(["sh", "-c", f"chmod u+w '{TREE}/hermes_setup' '{TREE}/hermes_setup/__init__.py'"])
    bare.run(["sed", "-i", 's/^__version__ = .*/__version__ = "9.9.9"/', f"{TREE}/hermes_setup/__init__.py"])
    assert "hermes-setup 9.9.9" in install(bare, "--version")
    # Where it is needed: the wizard says what it needs instead of hanging without a terminal.
    assert "apply --answers" in install(bare, code=2)


def test_without_a_network_it_says_so_and_leaves_nothing_half_done(world: World) -> None:
    machine = world.machine("debian13")
    unpack(machine)
    said = install(machine, "--version", code=1)
    assert "apt-get update" in said
    assert not machine.exists("/usr/local/bin/hermes-setup")
    assert machine.run(["ls", "/opt/hermes-setup/releases"]).out == ""


def test_not_root_is_told_what_to_type(machine: Machine) -> None:
    machine.copy_in(REPO, "/srv/hermes-setup")
    ran = machine.run(["/srv/hermes-setup/install.sh", "--version"], user="nobody", check=False)
    assert ran.code == 2
    assert "sudo ./install.sh --version" in ran.err


@pytest.mark.parametrize("release", ['ID=fedora\nPRETTY_NAME="Fedora Linux 43"\n', 'ID=alpine\nID_LIKE=""\n'])
def test_an_unknown_distribution_is_told_what_is_known(machine: Machine, release: str) -> None:
    unpack(machine)
    machine.run(["rm", "/etc/os-release"])
    machine.write("/etc/os-release", release)
    assert "Debian 12 and 13" in install(machine, "--version", code=2)


def test_two_at_once_do_not_get_into_each_others_way(machine: Machine) -> None:
    unpack(machine)
    machine.run(["mkdir", "-p", "/opt/hermes-setup"])
    holder = machine.start(["flock", "/opt/hermes-setup/lock", "sleep", "60"])
    machine.wait_for(
        lambda: machine.run(["flock", "-n", "/opt/hermes-setup/lock", "true"], check=False).code != 0, "lock"
    )
    assert "another install.sh" in install(machine, "--version", code=75)
    holder.stop()
