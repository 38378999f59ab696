"""The lab itself: what it promises to the other tests holds."""

from __future__ import annotations

import http.client
import subprocess
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.resolver
import pexpect
import pytest
from cryptography import x509

from conftest import BOTH, DOMAIN
from lab import (
    PEBBLE_URL,
    STAGING,
    Entry,
    Machine,
    Problem,
    World,
    session_token,
    snapshot_diff,
    spaces,
    start_hermes,
)
from lab.packages import registries

SITE = f"""server {{
    listen 80; listen [::]:80; server_name {DOMAIN};
    location ^~ /.well-known/acme-challenge/ {{ root /var/www/challenge; }}
}}
server {{
    listen 443 ssl; listen [::]:443 ssl; server_name {DOMAIN};
    ssl_certificate /etc/letsencrypt/live/{DOMAIN}/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/{DOMAIN}/privkey.pem;
    location / {{ return 200 "hello"; }}
}}
"""
CERTBOT = (
    *("certbot", "certonly", "--webroot", "-w", "/var/www/challenge", "-d", DOMAIN, "-n", "--agree-tos"),
    "--register-unsafely-without-email",
)


def site(machine: Machine, *, secure: bool) -> None:
    machine.run(["mkdir", "-p", "/var/www/challenge"])
    machine.write("/etc/nginx/sites-enabled/site", SITE if secure else SITE.partition("server {\n    listen 443")[0])
    machine.run(["nginx", "-t"])
    machine.run(["nginx", "-s", "reload"])
    machine.wait_for_port(443 if secure else 80)


@pytest.mark.parametrize("debian", BOTH)
def test_an_unchanged_certbot_gets_a_certificate_and_nginx_serves_it(world: World, server: Machine) -> None:
    site(server, secure=False)
    assert "Successfully received certificate" in server.run(CERTBOT).out
    site(server, secure=True)
    reply = world.fetch(f"https://{DOMAIN}/", roots=world.acme.roots())
    assert (reply.status, reply.text) == (200, "hello")
    assert reply.certificate is not None
    names = reply.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [DOMAIN]
    assert world.acme.orders() == 1
    assert world.acme.orders(STAGING) == 0
    server.run([*CERTBOT, "--dry-run"])
    assert world.acme.orders(STAGING) == 1
    assert world.acme.orders() == 1


def test_another_acme_server_works_by_its_url(world: World, server: Machine) -> None:
    site(server, secure=False)
    bundle = {"REQUESTS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt"}
    server.run([*CERTBOT, "--server", PEBBLE_URL], env=bundle)
    assert PEBBLE_URL in server.text(f"/etc/letsencrypt/renewal/{DOMAIN}.conf")


def test_the_front_refuses_as_it_is_told(world: World, server: Machine) -> None:
    site(server, secure=False)
    world.acme.refuse(Problem("rateLimited", "too many certificates already issued", retry_after="3600"))
    ran = server.run(CERTBOT, check=False)
    assert ran.code == 1
    assert "too many certificates already issued" in ran.err + ran.out
    world.acme.accept()
    server.run(CERTBOT)


def ask(world: World, name: str, kind: str, at: str = "1.1.1.1", *, tcp: bool = False) -> dns.message.Message:
    query = dns.message.make_query(name, kind)
    send = dns.query.tcp if tcp else dns.query.udp
    return spaces.in_net(world.net, lambda: send(query, at, timeout=1))


def test_dns_answers_and_fails_as_it_is_told(world: World) -> None:
    world.dns.set("www.example.com", "A", "198.51.100.10", "198.51.100.11")
    world.dns.set("www.example.com", "A", "198.51.100.99", at="198.51.100.53")
    world.dns.set("alias.example.com", "CNAME", "www.example.com.")
    assert len(ask(world, "www.example.com", "A").answer[0]) == 2
    assert len(ask(world, "www.example.com", "A", tcp=True).answer[0]) == 2
    true = ask(world, "www.example.com", "A", at="198.51.100.53")
    assert [each.to_text() for each in true.answer[0]] == ["198.51.100.99"]
    assert "AA" in dns.flags.to_text(true.flags)
    assert len(ask(world, "alias.example.com", "A").answer) == 2
    assert ask(world, "nowhere.test", "A").rcode() == dns.rcode.NXDOMAIN
    assert ask(world, "www.example.com", "AAAA").rcode() == dns.rcode.NOERROR
    for how in ("SERVFAIL", "REFUSED", "NXDOMAIN"):
        world.dns.fail("www.example.com", "A", how)
        assert dns.rcode.to_text(ask(world, "www.example.com", "A").rcode()) == how
    world.dns.set("www.example.com", "A", "198.51.100.12")  # values again: the failure is over
    assert ask(world, "www.example.com", "A").answer[0].to_text().endswith("198.51.100.12")
    world.dns.fail("www.example.com", None, "silence", at="9.9.9.9")
    with pytest.raises(dns.exception.Timeout):
        ask(world, "www.example.com", "A", at="9.9.9.9")


def test_a_zone_and_its_servers_can_be_found(world: World) -> None:
    world.dns.set("a.b.example.com", "A", "198.51.100.10")

    def find() -> tuple[str, str]:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = ["8.8.8.8"]
        zone = dns.resolver.zone_for_name("a.b.example.com", resolver=resolver)
        return zone.to_text(), resolver.resolve(zone, "NS")[0].to_text()

    assert spaces.in_net(world.net, find) == ("example.com.", "ns.world.test.")


def test_a_server_learns_its_own_address_behind_nat_too(world: World) -> None:
    inner = world.machine(v4="10.0.0.5", v6=None)
    world.behind_nat(inner, "198.51.100.77")
    inner.run(["nginx"])
    assert world.fetch("http://198.51.100.77/").status == 200
    assert inner.fetch("http://198.51.100.77/").status == 200
    query = dns.message.make_query("myip.opendns.com", "A")
    reply = spaces.in_net(inner.net, lambda: dns.query.udp(query, "208.67.222.222", timeout=1))
    assert [each.to_text() for each in reply.answer[0]] == ["198.51.100.77"]


def test_a_machine_runs_reads_writes_and_is_compared(machine: Machine) -> None:
    assert machine.run(["cat"], input="hello").out == "hello"
    assert machine.run(["sh", "-c", "exit 3"], check=False).code == 3
    assert machine.run(["id", "-un"], user="www-data").out == "www-data\n"
    with pytest.raises(subprocess.TimeoutExpired):
        machine.run(["sleep", "77"], timeout=0.3)
    assert not [each for each in machine.processes() if each.argv[0] == "sleep"]
    before = machine.snapshot()
    machine.write("/etc/new/file", b"\0\xff", mode=0o640, owner="root:www-data")
    assert machine.read("/etc/new/file") == b"\0\xff"
    machine.run(["rm", "-r", "/etc/nginx/sites-enabled"])
    machine.run(["touch", "/etc/hosts"])
    machine.run(["ln", "-s", "/nowhere", "/etc/link"])
    difference = snapshot_diff(before, machine.snapshot())
    assert set(difference) == {
        *("/etc/link", "/etc/new", "/etc/new/file", "/etc/nginx/sites-enabled"),
        "/etc/nginx/sites-enabled/default",
    }
    assert difference["/etc/nginx/sites-enabled"][1] == Entry("gone")
    new = difference["/etc/new/file"][1]
    assert new is not None
    assert (new.kind, new.mode) == ("file", 0o640)
    machine.run(["rm", "-r", "/etc/new", "/etc/link"])
    machine.run(["mkdir", "/etc/nginx/sites-enabled"])
    machine.run(["ln", "-s", "/etc/nginx/sites-available/default", "/etc/nginx/sites-enabled/default"])
    assert snapshot_diff(before, machine.snapshot()) == {}


def test_a_terminal_has_a_size_and_an_interrupt(machine: Machine) -> None:
    child = machine.spawn(["bash", "--norc"], rows=24, cols=80)
    child.sendline("PS1='ready> '; stty size")
    child.expect_exact("24 80")
    child.setwinsize(40, 100)
    child.sendline("stty size; sleep 60")
    child.expect_exact("40 100")
    machine.wait_for(lambda: any(each.argv == ("sleep", "60") for each in machine.processes()), "sleep runs")
    child.sendintr()
    child.expect_exact("ready> ")
    child.sendline("exit 7")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 7
    other = machine.spawn(["sleep", "78"])
    other.close(force=False)
    machine.wait_for(lambda: not any(each.argv[0] == "sleep" for each in machine.processes()), "hung up")


def test_hermes_answers_as_the_real_one_does(world: World) -> None:
    machine = world.machine("debian13-ready", "hermes", resolver="1.1.1.1")
    start_hermes(machine)
    assert any(each.port == 9119 and each.address == "127.0.0.1" for each in machine.listeners())
    assert machine.fetch("http://127.0.0.1:9119/", host="evil.test").status == 400
    url = f"ws://127.0.0.1:9119/api/ws?token={session_token(machine)}"
    with machine.websocket(url, origin="http://127.0.0.1:9119") as good:
        assert good.status == 101
    with machine.websocket(url, origin="https://evil.test") as evil:
        assert evil.status == 403


@pytest.mark.parametrize("debian", BOTH)
def test_a_bare_server_installs_packages_and_reaches_nothing_else(world: World, bare: Machine) -> None:
    assert bare.run(["sh", "-c", "command -v nginx certbot curl"], check=False).code != 0
    bare.run(["apt-get", "-qq", "update"])
    bare.run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", "python3-venv"], timeout=120)
    bare.run(["python3", "-m", "venv", "/opt/venv"])
    bare.run(["/opt/venv/bin/pip", "install", "-q", "passlib==1.7.4"])
    with pytest.raises((http.client.HTTPException, OSError)):
        world.fetch(f"http://{sorted(registries())[0]}/", host="example.org", timeout=3)
    with pytest.raises(OSError, match="No route"):
        world.fetch("http://192.0.2.1/", timeout=3)


def test_a_daemon_stops_as_it_likes_to(machine: Machine) -> None:
    daemon = machine.start(
        ["sh", "-c", "trap 'echo bye; sleep 0.3; exit 5' TERM; echo up; while :; do sleep 0.1; done"]
    )
    machine.wait_for(lambda: "up" in daemon.output, "it runs")
    assert daemon.stop() == 5
    assert daemon.output == "up\nbye\n"
    assert machine.processes() == []


def test_nothing_is_left_of_a_closed_world(lab: None) -> None:
    mounts = Path("/proc/self/mounts").read_text("ascii")
    with World() as world:
        machine = world.machine()
        daemon = machine.start(["sleep", "79"])
        machine.wait_for(lambda: bool(machine.processes()), "sleep runs")
    assert daemon.popen.wait(5) == -9
    assert Path("/proc/self/mounts").read_text("ascii") == mounts
