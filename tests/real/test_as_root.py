"""Other users of the server, and the caller's own settings, decide nothing of what is done as root."""

from __future__ import annotations

import re

import pytest

from conftest import DOMAIN
from lab import Machine, World
from lab.snapshot import Snapshot
from real.program import COMMAND, HOME, apply, hermes_setup, install
from real.test_dry_run import LETSENCRYPT, SELF_SIGNED

ANSWERS = "/root/answers.toml"
PLANTED = '#!/bin/sh\necho "$0 $*" >>/srv/ran\n'  # answers to any name; /srv/ran is everybody's
NAMES = ("nginx", "certbot", "openssl", "systemctl", "setpriv", "unshare", "ip", "sh", "stat", "nft", "apt-get", "env")


def bob(machine: Machine) -> None:
    """A user of the machine, who knows how to make programs."""
    machine.run(["useradd", "--create-home", "bob"])
    machine.run(["install", "-o", "bob", "-m", "666", "/dev/null", "/srv/ran"])


def plant(machine: Machine, folder: str, *names: str) -> None:
    for name in names:
        machine.write(f"{folder}/{name}", PLANTED, mode=0o755)
        machine.run(["chown", "bob", f"{folder}/{name}"])


def modes(disk: Snapshot) -> dict[str, tuple[str, int, int]]:
    """Kind, mode and owner of all that a set-up makes; numbers of runs and of processes are left out."""
    found = {re.sub(r"/\d{8}T[\d.]+", "/RUN", path): (each.kind, each.mode, each.uid) for path, each in disk.items()}
    return {path: each for path, each in found.items() if path.startswith(("/etc", "/var", "/srv"))}


def test_the_callers_umask_changes_no_mode(world: World) -> None:
    seen = []
    for umask in ("000", "077"):
        machine = world.machine("debian13-ready")
        world.dns.host(DOMAIN, *machine.addresses)
        install(machine)
        before = {*machine.snapshot()}
        machine.write(ANSWERS, SELF_SIGNED, mode=0o600)
        machine.run(["sh", "-c", f"umask {umask} && exec {COMMAND} apply --answers {ANSWERS} --yes"], timeout=180)
        seen.append(modes({path: each for path, each in machine.snapshot().items() if path not in before}))
    assert seen[0] == seen[1]
    assert seen[0]["/etc/nginx/hermes-gate.conf"] == ("file", 0o600, 0)
    assert seen[0]["/var/www/letsencrypt/.well-known"] == ("dir", 0o755, 0)
    assert not [path for path, (kind, mode, _) in seen[0].items() if kind != "link" and mode & 0o002]


def test_the_callers_home_and_path_are_nothing_to_what_runs(world: World, server: Machine) -> None:
    """As under `sudo -E`, or `su` without a dash: certbot would read the user's cli.ini, and run what it says."""
    install(server)
    bob(server)
    plant(server, "/home/bob/bin", *NAMES)
    server.write(
        "/home/bob/.config/letsencrypt/cli.ini", "pre-hook = /home/bob/bin/hook\nserver = https://evil.invalid/\n"
    )
    server.write(ANSWERS, LETSENCRYPT, mode=0o600)
    theirs = {"HOME": "/home/bob", "PATH": f"/home/bob/bin:{'/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'}"}
    theirs["XDG_CONFIG_HOME"] = "/home/bob/.config"
    for argv in (("apply", "--answers", ANSWERS, "--yes"), ("doctor",)):
        ran = server.run([COMMAND, *argv], env=theirs, timeout=180, check=False)
        assert ran.code in (0, 4), ran.err
    assert world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots()).status == 401
    server.write(ANSWERS, SELF_SIGNED, mode=0o600)
    ran = server.run([COMMAND, "rehearse", "--answers", ANSWERS], env=theirs, timeout=180)
    assert "The rehearsal went well" in ran.err
    assert server.text("/srv/ran") == ""


def test_a_program_that_another_user_can_replace_is_never_run(machine: Machine) -> None:
    install(machine)
    bob(machine)
    apply(machine, SELF_SIGNED, "--yes")
    machine.run(["chown", "bob", "/usr/local/sbin"])
    names = ("nginx", "openssl", "systemctl", "nft", "apt-get")  # not those by which the lab asks
    plant(machine, "/usr/local/sbin", *names)
    blocked = apply(machine, SELF_SIGNED, "--yes", code=3)
    assert "sudo chown root:root /usr/local/sbin" in " ".join(blocked.err.split())
    doctor = hermes_setup(machine, "doctor", "--json", code=4).out
    assert '"packages.replaceable"' in doctor
    hermes_setup(machine, "users", "sign-out", "alice", "--yes", code=1)  # nginx can't be told
    # a folder of the PATH that is bob's, with none of our commands in it: what those start looks elsewhere
    for name in names:
        machine.run(["rm", f"/usr/local/sbin/{name}"])
    hermes_setup(machine, "users", "sign-out", "alice", "--yes")
    path = "from hermes_setup.system.local import Local; print(Local().ask(['sh', '-c', 'echo $PATH']).out)"
    told = machine.run(["python3", "-s", "-c", path], env={"PYTHONPATH": HOME}).out.strip().split(":")
    assert "/usr/local/bin" in told
    assert "/usr/local/sbin" not in told
    assert machine.text("/srv/ran") == ""


@pytest.mark.timeout(120)
def test_a_pipe_or_a_link_in_the_logs_place_is_said_and_nothing_is_changed(machine: Machine) -> None:
    install(machine)
    machine.write("/etc/precious", "as it was", mode=0o644)
    for put in (["mkfifo", "/var/log/hermes-setup.log"], ["ln", "-s", "/etc/precious", "/var/log/hermes-setup.log"]):
        machine.run(put)
        before = machine.snapshot()
        said = apply(machine, SELF_SIGNED, "--yes", code=1, timeout=60).err
        assert "sudo mv /var/log/hermes-setup.log /root/" in " ".join(said.split())
        changed = {path for path, each in machine.snapshot().items() if before.get(path) != each}
        assert not [path for path in changed if path.startswith("/etc/") or path == "/var/log/hermes-setup.log"]
        machine.run(["rm", "/var/log/hermes-setup.log"])
    assert machine.run(["stat", "-c", "%a", "/etc/precious"]).out == "644\n"


def test_the_webroot_is_made_roots_or_is_said_to_be_in_others_hands(world: World, server: Machine) -> None:
    install(server)
    bob(server)
    answers = "/var/www/letsencrypt/.well-known/acme-challenge"
    server.run(["install", "-d", "-o", "bob", "-m", "777", "/var/www/letsencrypt", f"{answers}/.."])
    server.run(["mv", "/var/www/letsencrypt", "/home/bob/answers"])
    server.run(["ln", "-s", "/home/bob/answers", "/var/www/letsencrypt"])
    blocked = apply(server, LETSENCRYPT, "--yes", code=3).err
    assert "/var/www/letsencrypt is a link to /home/bob/answers" in " ".join(blocked.split())
    assert world.acme.orders() == 0
    server.run(["rm", "/var/www/letsencrypt"])
    server.run(["chown", "bob", "/var/www"])
    blocked = apply(server, LETSENCRYPT, "--yes", code=3).err
    assert "sudo chown root:root /var/www && sudo chmod go-w /var/www" in " ".join(blocked.split())
    server.run(["chown", "root", "/var/www"])
    server.run(["install", "-d", "-o", "bob", "-m", "777", "/var/www/letsencrypt", f"{answers}/.."])
    apply(server, LETSENCRYPT, "--yes")
    told = server.run(["stat", "-c", "%U %a %n", "/var/www/letsencrypt", f"{answers}/..", answers]).out.splitlines()
    assert [line.rpartition(" ")[0] for line in told] == ["root 755"] * 3
    assert world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots()).status == 401


def test_a_unit_that_runs_a_users_program_as_root_blocks(machine: Machine) -> None:
    install(machine)
    bob(machine)
    plant(machine, "/home/bob/.local/bin", "hermes")
    start = "ExecStart=/home/bob/.local/bin/hermes dashboard --port 9119"
    machine.write("/etc/systemd/system/hermes-dashboard.service", f"[Service]\n{start}\n")
    blocked = " ".join(apply(machine, SELF_SIGNED, "--yes", code=3).err.split())
    assert "hermes-dashboard.service runs /home/bob/.local/bin/hermes as root, and others can replace it" in blocked
    machine.write("/etc/systemd/system/hermes-dashboard.service", f"[Service]\nUser=bob\n{start}\n")
    apply(machine, SELF_SIGNED, "--yes")
    assert machine.text("/srv/ran") == ""
