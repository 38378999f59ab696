"""local_users with the real nft and the real Hermes: who on the server reaches the dashboard, and who is reset."""

from __future__ import annotations

import json

import pytest

from conftest import DOMAIN
from lab import Machine, World
from lab.hermes import HERMES
from real.program import apply, hermes_setup, install

ANSWERS = f"""
domain = "{DOMAIN}"
certificate = "self-signed"
[[users]]
name = "alice"
password_file = "/root/alice.pw"
"""
LOOK = "import socket; socket.create_connection(('{}', 9119), 5).close(); print('in')"
LISTEN = "import socket, signal; kept = [socket.create_server((a, 9119), family=f) for a, f in {}]; signal.pause()"
OWN = [("::1", "socket.AF_INET6"), ("198.51.100.10", "socket.AF_INET"), ("2001:db8::10", "socket.AF_INET6")]
EVERYBODY = {"root", "www-data", "bob", "debian", "mallory", "nobody"}


@pytest.fixture
def server(world: World) -> Machine:
    """A server on which Hermes runs as bob, and others have a login."""
    machine = world.machine("debian13-ready", "hermes")
    world.dns.host(DOMAIN, *machine.addresses)
    for name in ("bob", "debian", "mallory"):
        machine.run(["useradd", "--create-home", "--shell", "/bin/bash", name])
    install(machine)
    machine.write("/root/alice.pw", "correct horse battery\n", mode=0o600)
    machine.start(
        ["runuser", "-u", "bob", "--", HERMES, "dashboard", "--host", "127.0.0.1", "--no-open", "--skip-build"]
    )
    machine.wait_for_port(9119, 60)
    return machine


def told(machine: Machine) -> set[str]:
    """What doctor finds of other users."""
    findings = json.loads(machine.run(["hermes-setup", "doctor", "--json"], check=False).out)["findings"]
    return {each["code"] for each in findings if "local-users" in each["code"]}


def reach(machine: Machine, address: str = "127.0.0.1") -> set[str]:
    """Who can connect; the others were reset at once."""
    found = set()
    for name in EVERYBODY:
        ran = machine.run(["runuser", "-u", name, "--", "python3", "-c", LOOK.format(address)], check=False)
        if ran.out == "in\n":
            found.add(name)
        else:
            assert "ConnectionRefusedError" in ran.err
    return found


def test_only_root_nginx_hermes_and_those_who_are_named_reach_it_until_nobody_wants_that(server: Machine) -> None:
    server.write("/root/tried.toml", f'local_users = ["debian"]\n{ANSWERS}', mode=0o600)
    assert (
        "The rehearsal went well" in hermes_setup(server, "rehearse", "--answers", "/root/tried.toml", timeout=170).err
    )
    assert reach(server) == EVERYBODY, "the copy's table is not the machine's"
    said = apply(server, f'local_users = ["debian"]\n{ANSWERS}', "--yes").err
    assert "let only root, www-data (nginx), bob (Hermes) and debian reach Hermes's port 9119" in " ".join(said.split())
    inside = {"root", "www-data", "bob", "debian"}
    assert reach(server) == inside
    pairs = ", ".join(f"('{address}', {family})" for address, family in OWN)
    listener = server.start(["runuser", "-u", "bob", "--", "python3", "-c", LISTEN.format(f"[{pairs}]")])
    server.wait_for(lambda: len([each for each in server.listeners() if each.port == 9119]) == 4, "they listen")
    for address, _ in OWN:
        assert reach(server, address) == inside, address
    listener.stop()
    # what somebody empties is seen, and loaded again
    assert told(server) == {"local-users.not-kept"}, "there is no systemd here"
    server.run(["nft", "flush", "ruleset"])
    assert reach(server) == EVERYBODY
    assert told(server) == {"local-users.not-kept", "local-users.not-loaded"}
    apply(server, f"local_users = []\n{ANSWERS}", "--yes")
    assert reach(server) == inside - {"debian"}
    apply(server, ANSWERS, "--yes")
    assert reach(server) == EVERYBODY
    assert not server.exists("/etc/hermes-setup/local-users.nft")
    hermes_setup(server, "undo", "--last", "--yes")
    assert reach(server) == inside - {"debian"}
