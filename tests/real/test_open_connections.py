"""Signed out is signed out: new requests at once, and open connections when they are told to end. Nobody else loses a request."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from conftest import DOMAIN
from lab import Machine, World, lab_authority, session_token, start_hermes
from lab.web import open_socket
from real.program import apply, hermes_setup, install
from real.terminal import Terminal
from real.test_wizard_real import waits

ANSWERS = f'domain = "{DOMAIN}"\ncertificate = "self-signed"\n[[users]]\nname = "alice"\n[[users]]\nname = "bob"\n'
BLOG = """server {
    listen 80; listen 443 ssl; server_name blog.example;
    ssl_certificate blog.pem; ssl_certificate_key blog.key; access_log off;
    location / { return 200 "the blog"; }
    location /large { root /srv; limit_rate 64k; }
}
"""
SECOND = """pid /run/second.pid;
error_log /var/log/second.log;
events {}
http { access_log off; server { listen 8080; location /large { root /srv; limit_rate 64k; } } }
"""
DRAINING = "nginx: worker process is shutting down"


class Reading(threading.Thread):
    """Reads from a connection until that closes. `last` is when something came, `ended` when it closed."""

    def __init__(self, receive: Callable[[], object], close: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._receive, self.close = receive, close
        self.last = self.ended = 0.0
        self.start()

    def run(self) -> None:
        with suppress(Exception):  # however it closes: a reset, TLS without its last word, a close frame
            while self._receive():
                self.last = time.monotonic()
        self.ended = time.monotonic()

    def has_ended(self) -> bool:
        """By now, or as soon as this process hears of it."""
        self.join(2)
        return bool(self.ended)

    def goes_on(self, since: float) -> bool:
        """It is open, and something came after that moment."""
        end = time.monotonic() + 5
        while time.monotonic() < end and not self.ended and self.last <= since:
            time.sleep(0.02)
        return not self.ended and self.last > since


class Visitor(threading.Thread):
    """Asks again and again, by a new connection each time, until it is told to stop and has asked a hundred times."""

    def __init__(self, ask: Callable[[], str], wanted: str) -> None:
        super().__init__(daemon=True)
        self._ask, self._wanted = ask, wanted
        self.asked, self.failures = 0, list[str]()
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.is_set() or self.asked < 100:
            try:
                got = self._ask()
            except OSError as error:
                got = repr(error)
            self.asked += 1
            if got != self._wanted:
                self.failures.append(got)
            time.sleep(0.005)

    def __enter__(self) -> Visitor:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()


class Site:
    """The dashboard with the real Hermes, a blog on the same nginx, and a second nginx of somebody else's."""

    def __init__(self, world: World, vps: Machine) -> None:
        self.world, self.vps, self._open = world, vps, list[Reading]()
        install(vps)
        start_hermes(vps)
        certificate, key = lab_authority().issue("blog.example")
        vps.write("/etc/nginx/blog.pem", certificate)
        vps.write("/etc/nginx/blog.key", key, mode=0o600)
        vps.write("/etc/nginx/sites-enabled/blog", BLOG)
        vps.write("/etc/second.conf", SECOND)
        vps.run(["sh", "-c", "rm /etc/nginx/sites-enabled/default; mkdir -p /srv; truncate -s 1G /srv/large"])
        vps.run(["nginx"])
        vps.run(["nginx", "-c", "/etc/second.conf"])
        ran = apply(vps, ANSWERS, "--yes")
        self.passwords = dict(line.split("\t") for line in ran.out.splitlines())
        self.token = session_token(vps)

    def cookie(self, user: str) -> str:
        """Of a sign-in right now."""
        page = self.world.fetch(f"https://{DOMAIN}/", auth=(user, self.passwords[user]))
        assert page.status == 200
        return next(value for value in page.all("Set-Cookie") if "hermes_gate=" in value).partition(";")[0]

    def status(self, cookie: str) -> int:
        return self.world.fetch(f"https://{DOMAIN}/api/status", headers={"Cookie": cookie}).status

    def chat(self, cookie: str) -> Reading:
        """An open WebSocket, on which Hermes answers pings many times a second."""
        opened = self.world.websocket(
            f"wss://{DOMAIN}/api/ws?token={self.token}", origin=f"https://{DOMAIN}", headers={"Cookie": cookie}
        )
        assert opened.status == 101, opened.body

        def pong() -> bool:
            assert opened.connection
            time.sleep(0.05)
            answered = opened.connection.ping()
            while not answered.wait(0.05):
                with suppress(TimeoutError):
                    opened.connection.recv(0.05)  # raises once it is closed
            return True

        return self._closed_at_the_end(Reading(pong, opened.close))

    def _closed_at_the_end(self, reading: Reading) -> Reading:
        self._open.append(reading)
        return reading

    def close(self) -> None:
        for reading in self._open:
            reading.close()
            reading.join(10)

    def download(self, port: int = 443) -> Reading:
        """Of the blog, or of the site of the second nginx: hours long."""
        raw: socket.socket = open_socket(self.world.net, self.vps.addresses[0], port, 30)
        if port == 443:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            raw = context.wrap_socket(raw, server_hostname="blog.example")
        raw.sendall(b"GET /large HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        raw.settimeout(10)
        return self._closed_at_the_end(Reading(lambda: raw.recv(4096), raw.close))

    def idle(self, cookie: str) -> http.client.HTTPSConnection:
        """A connection that has answered one request, and is kept for the next."""
        raw = open_socket(self.world.net, self.vps.addresses[0], 443, 30)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(DOMAIN, timeout=10)
        connection.sock = context.wrap_socket(raw, server_hostname=DOMAIN)
        assert self.again(connection, cookie) == 200
        return connection

    @staticmethod
    def again(connection: http.client.HTTPSConnection, cookie: str) -> int:
        """The status of one more request on it; 0: it is closed."""
        connection.auto_open = 0
        try:
            connection.request("GET", "/api/status", headers={"Cookie": cookie})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return 0
        return answer.status

    def reloaded(self) -> float:
        """When the newest worker was started, by time.monotonic(): field 22 of its stat, in clock ticks (proc(5))."""
        script = (
            'p=$(cat /run/nginx.pid); for c in $(cat /proc/$p/task/$p/children); do cut -d" " -f22 /proc/$c/stat; done'
        )
        return max(map(int, self.vps.run(["sh", "-c", script]).out.split())) / os.sysconf("SC_CLK_TCK")

    def draining(self) -> list[int]:
        return [each.pid for each in self.vps.processes() if each.argv[0].startswith(DRAINING)]

    def bob_comes(self, cookie: str) -> Visitor:
        return Visitor(lambda: str(self.status(cookie)), "200")

    def the_blog_is_read(self) -> Visitor:
        address = self.vps.addresses[0]
        return Visitor(lambda: self.world.fetch("https://blog.example/", address=address).text, "the blog")


@pytest.fixture
def site(world: World) -> Iterator[Site]:
    vps = world.machine("debian13-ready", "hermes")
    world.dns.host(DOMAIN, *vps.addresses)
    with closing(Site(world, vps)) as new:
        yield new


def test_signed_out_is_signed_out_and_open_connections_end_when_told_to_without_a_lost_request(site: Site) -> None:
    vps = site.vps
    bob = site.cookie("bob")
    # somebody else's nginx has a draining worker of its own, which nothing here touches
    theirs = site.download(8080)
    vps.run(["nginx", "-c", "/etc/second.conf", "-s", "reload"])
    vps.wait_for(lambda: len(site.draining()) == 1, "the second nginx has reloaded")
    (others,) = site.draining()

    # without a yes: new requests are refused from the reload on, whatever is open goes on, and that is said
    alice = site.cookie("alice")
    chat, download, kept = site.chat(alice), site.download(), site.idle(alice)
    with site.bob_comes(bob) as visits, site.the_blog_is_read() as reads:
        said = " ".join(hermes_setup(vps, "users", "sign-out", "alice", "--yes").err.split())
        assert [site.status(alice) for _ in range(12)] == [401] * 12
    assert site.again(kept, alice) in (0, 401)
    kept.close()
    assert (visits.failures, reads.failures) == ([], [])
    assert "stay open until they close. To end them all now: sudo hermes-setup users end-connections." in said
    now = time.monotonic()
    assert chat.goes_on(now)
    assert download.goes_on(now)
    assert "restart" not in said

    # later, by the command that was named: both end, nobody else loses anything, who signed in again stays
    alice = site.cookie("alice")
    new = site.chat(alice)
    with site.bob_comes(bob) as visits, site.the_blog_is_read() as reads:
        hermes_setup(vps, "users", "end-connections", "--yes")
        assert chat.has_ended()
        assert download.has_ended()
    assert (visits.failures, reads.failures) == ([], [])
    assert new.goes_on(time.monotonic())
    assert site.draining() == [others]
    assert "Nothing to do" in hermes_setup(vps, "users", "end-connections", "--yes").err

    # with a yes, which at `remove` is what Enter means: all of them end, and that stands in the plan
    said = " ".join(hermes_setup(vps, "users", "remove", "alice", "--dry-run").err.split())
    assert 'A real run would ask: "End all open connections, too?" (Enter: yes' in said
    assert "end every connection from before" in said
    chat, download, chat_of_bob = new, site.download(), site.chat(bob)
    with site.bob_comes(bob) as visits, site.the_blog_is_read() as reads:
        here = Terminal(vps, "users", "remove", "alice")
        waits(here, "? End all open connections, too? [Y/n]")
        here.type("\r")
        waits(here, "? Go ahead? [y/n]")
        here.type("y\r")
        assert here.ended() == 0, here.text
    assert all(each.has_ended() for each in (chat, download, chat_of_bob))
    took = max(each.ended for each in (chat, download, chat_of_bob)) - site.reloaded()
    print(f"all connections had ended {took:.2f} s after the new workers were there")
    assert took < 5, "half a second of grace; the rest is how busy this machine is"
    assert (visits.failures, reads.failures) == ([], [])
    assert site.status(bob) == 200
    assert site.status(alice) == 401
    assert theirs.goes_on(time.monotonic())
    assert site.draining() == [others]
