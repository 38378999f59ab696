"""The main job on real parts: nginx, certbot, a real ACME CA, the real Hermes."""

from __future__ import annotations

import re

import pytest

from conftest import BOTH, DOMAIN
from lab import Machine, World, session_token, start_hermes
from real.program import apply, hermes_setup, install

ANSWERS = f"""
domain = "{DOMAIN}"
email = "me@example.com"
certificate = "letsencrypt"
[[users]]
name = "alice"
password_file = "/root/alice.pw"
[[users]]
name = "bob"
"""
ALICE = "correct horse bätterý"


@pytest.fixture
def vps(world: World, debian: str) -> Machine:
    """A server with the real Hermes on it, nginx and certbot installed, and our program."""
    new = world.machine(f"{debian}-ready", "hermes")
    world.dns.host(DOMAIN, *new.addresses)
    new.trust(*world.acme.trusted)
    new.write("/root/alice.pw", ALICE + "\n", mode=0o600)
    install(new)
    return new


@pytest.mark.parametrize("debian", BOTH)
def test_from_a_bare_nginx_to_the_dashboard_behind_https_and_passwords(world: World, vps: Machine) -> None:
    start_hermes(vps)
    vps.start(["cron", "-f"])
    ran = apply(vps, ANSWERS, "--yes")
    bob = re.search(r"bob\W+([a-z0-9]{5}(?:-[a-z0-9]{5}){3})", ran.out + ran.err)
    assert bob, ran.out + ran.err
    roots = world.acme.roots()
    plain = world.fetch(f"http://{DOMAIN}/x?y=1")
    assert (plain.status, plain.header("Location")) == (301, f"https://{DOMAIN}/x?y=1")
    assert world.fetch(f"https://{DOMAIN}/", roots=roots).status == 401
    assert world.fetch(f"https://{DOMAIN}/", roots=roots, auth=("alice", "wrong password")).status == 401
    for user, password in (("alice", ALICE), ("bob", bob.group(1))):
        page = world.fetch(f"https://{DOMAIN}/", roots=roots, auth=(user, password))
        assert page.status == 200
        assert "__HERMES_SESSION_TOKEN__" in page.text
        cookie = page.all("Set-Cookie")[0].partition(";")[0]
        token = session_token(vps)
        chat = world.websocket(
            f"wss://{DOMAIN}/api/ws?token={token}", origin=f"https://{DOMAIN}", headers={"Cookie": cookie}, roots=roots
        )
        with chat:
            assert chat.status == 101
    assert world.fetch(f"https://{DOMAIN}/", host="evil.example", sni=DOMAIN).status == 421

    again = apply(vps, ANSWERS, "--yes")
    assert "Nothing to do" in again.err
    hermes_setup(vps, "doctor")
