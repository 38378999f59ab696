"""install.sh on servers as they are on their first day."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pexpect
import pytest

from conftest import BOTH
from lab import Machine, World
from real.terminal import Terminal

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
    # The command is put back where somebody removed it, with nothing fetched again.
    bare.run(["rm", "/usr/local/bin/hermes-setup"])
    assert "[1/3]" not in install(bare, "--version")
    assert bare.run(["hermes-setup", "--version"], env={"PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere"}).out


def test_from_a_release_with_a_strange_environment(bare: Machine, tmp_path: Path) -> None:
    archives = [release(tmp_path / each) for each in ("one", "two")]
    assert archives[0].read_bytes() == archives[1].read_bytes()
    bare.copy_in(archives[0].parent, "/srv")
    bare.run(["sh", "-c", "cd /srv && sha256sum -c *.sha256 && tar -xf *.tar.gz"])
    bare.run(["sh", "-c", "ln -s /srv/hermes-setup-*/install.sh /usr/bin/put"])
    bare.write("/srv/wrong/python3", "#!/bin/sh\nexit 9\n", mode=0o755)
    script = "umask 077; mkdir /gone; cd /gone; rmdir /gone; env -u HOME PATH=/srv/wrong:$PATH put --version"
    assert "[3/3]" in bare.run(["sh", "-c", script], timeout=300).err
    assert bare.run(["runuser", "-u", "nobody", "--", "hermes-setup", "--version"]).out.startswith("hermes-setup ")


def release(folder: Path) -> Path:
    """The archive that tools/release makes of this tree, committed in a repository of its own at a fixed moment."""
    caches = shutil.ignore_patterns(".git", ".*_cache", "__pycache__", ".hypothesis", "dist")
    shutil.copytree(REPO, folder / "tree", ignore=caches)
    who = {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    when = {"GIT_AUTHOR_DATE": "1800000000 +0000", "GIT_COMMITTER_DATE": "1800000000 +0000"}
    commands = ("git init -q", "git add -A", "git commit -qm all", "tools/release")
    for argv in map(str.split, commands):
        subprocess.run(argv, cwd=folder / "tree", env=os.environ | who | when, check=True)
    return next((folder / "tree/dist").glob("*.tar.gz"))


@pytest.mark.parametrize("moment", ["Installing", "1/3", "2/3", "3/3"])
def test_ctrl_c_leaves_nothing_half_done_and_again_goes_on(bare: Machine, moment: str) -> None:
    unpack(bare)
    terminal = bare.spawn([f"{TREE}/install.sh", "--version"], timeout=120)
    terminal.expect_exact(moment)
    time.sleep(0.7)
    terminal.sendintr()
    terminal.expect_exact("run it again")
    terminal.sendintr()  # again, during its clean-up
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert not bare.exists("/usr/local/bin/hermes-setup")
    assert bare.run(["find", "/opt/hermes-setup", "-mindepth", "1", "-type", "d"]).out == "/opt/hermes-setup/releases\n"
    assert bare.processes() == []
    assert re.search(r"^hermes-setup \d", install(bare, "--version"), re.M)


def test_it_waits_for_another_apt_and_says_who_that_is(bare: Machine) -> None:
    unpack(bare)
    hold = "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); "
    holder = bare.start(["python3", "-c", hold + "print(1, flush=True); time.sleep(5)"])
    bare.wait_for(lambda: "1" in holder.output, "holds the lock")
    said = install(bare, "--version")
    assert re.search(r"another program that installs packages: python3 -c .* \(process \d+\) \.\.\. done", said)
    assert holder.code == 0


def test_an_interrupted_dpkg_is_finished_first(bare: Machine) -> None:
    unpack(bare)
    halfway = "/^Package: procps$/,/^$/s/^Status: .*/Status: install ok half-configured/"
    bare.run(["sed", "-i", halfway, "/var/lib/dpkg/status"])
    assert "Finishing an interrupted package installation ... done" in install(bare, "--version")
    assert "install ok installed" in bare.run(["dpkg", "-s", "procps"]).out


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


@pytest.mark.parametrize(
    "release",
    [
        'ID=fedora\nPRETTY_NAME="Fedora Linux 43"\n',
        'ID=alpine\nID_LIKE=""\n',
        'ID=debian\nVERSION_ID="11"\n',
        'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="20.04"\n',
    ],
)
def test_a_distribution_unknown_or_too_old_is_told_what_is_known(machine: Machine, release: str) -> None:
    unpack(machine)
    machine.run(["rm", "/etc/os-release"])
    machine.write("/etc/os-release", release)
    assert "Debian 12 and later" in install(machine, "--version", code=2)
    assert not machine.exists("/opt/hermes-setup")


def test_two_at_once_do_not_get_into_each_others_way(machine: Machine) -> None:
    unpack(machine)
    machine.run(["mkdir", "-p", "/opt/hermes-setup"])
    holder = machine.start(["flock", "/opt/hermes-setup/lock", "sleep", "60"])
    machine.wait_for(
        lambda: machine.run(["flock", "-n", "/opt/hermes-setup/lock", "true"], check=False).code != 0, "lock"
    )
    assert "another install.sh" in install(machine, "--version", code=75)
    holder.stop()


SHELLS = {
    "bash": (["bash", "--norc", "-i"], ". /usr/share/bash-completion/bash_completion\r"),
    "zsh": (["zsh", "-f", "-i"], "autoload -U compinit; compinit -u\r"),
}
TYPED = {
    "hermes-setup doc": "doctor",
    "hermes-setup users sig": "sign-out",
    "hermes-setup users add bob --gen": "--generate",
    "hermes-setup apply --ans": "--answers",
    "hermes-setup --al": "--allow-lockout",
    "hermes-setup --dry-run --al": "--allow-lockout",
    "hermes-setup apply --answers s.toml --al": "--allow-lockout",
    "hermes-setup apply --yes --al": "--allow-lockout",
    # a file
    "hermes-setup apply --answers /opt/her": "/opt/hermes-setup/",
    "hermes-setup users add --from /opt/her": "/opt/hermes-setup/",
}


def test_the_man_page_and_the_completions_of_real_shells(bare: Machine) -> None:
    unpack(bare)
    install(bare, "--version")
    packages = "bash-completion zsh fish man-db"
    bare.run(["sh", "-c", f"apt-get -qq install -y --no-install-recommends {packages}"], timeout=200)
    install(bare, "--version")  # again: fish is there now
    page = bare.run(["man", "--pager=cat", "-M", "/usr/local/share/man", "hermes-setup"], env={"MANWIDTH": "80"}).out
    assert "hermes-setup users sign-out" in page
    assert "a step failed, its files were put back" in page
    assert "--from FILE" in page
    assert bare.run(["lexgrog", "/usr/local/share/man/man8/hermes-setup.8"]).out.startswith("/usr/local/share/man")
    for name, (argv, prepare) in SHELLS.items():
        here = Terminal(bare, *argv[1:], command=argv[0], columns=120, env={"LANG": "C.UTF-8", "HOME": "/tmp"})
        here.type(prepare)
        for typed, word in TYPED.items():
            here.type(f"{typed}\t")
            wanted = " ".join([*typed.split()[:-1], word])
            assert here.until(lambda text, wanted=wanted: wanted in text, 20), name
            here.type("\x15")  # clears the line
        here.child.close(force=True)
    for typed, word in TYPED.items():
        found = bare.run(["fish", "-c", f"complete -C '{typed}'"], env={"HOME": "/tmp"}).out
        assert [line.split("\t")[0] for line in found.splitlines()] == [word], found
