"""The gate before the real Hermes: who is asked how, what a browser's page is told, what pages elsewhere can do, and the log."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import Machine, World, start_hermes
from lab import World as TheWorld
from lab.hermes import session_token
from lab.web import Reply, open_socket
from real.program import apply, install

DOMAIN = "hermes.example.com"
PASSWORDS = {"alice": "correct horse battery", "bob": "zebra stapler 42 é"}
ANSWERS = """
domain = "hermes.example.com"
certificate = "letsencrypt"
[[users]]
name = "alice"
password_file = "/root/alice.pw"
[[users]]
name = "bob"
password_file = "/root/bob.pw"
"""
Headers = Mapping[str, str]
PAGE = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html"}
SCRIPT = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
OLD_BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NODE = {"Sec-Fetch-Mode": "cors", "Accept": "*/*"}
"""How each asks: a page that is opened, a script in it, a browser without Fetch Metadata, Node's own fetch."""


def basic(name: str, password: str) -> dict[str, str]:
    """As a browser's script or a program sends them."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


class Site:
    """The site, as its visitors see it."""

    def __init__(self, world: World, machine: Machine) -> None:
        self.world, self.machine, self.roots = world, machine, world.acme.roots()

    def ask(self, path: str = "/", headers: Headers | None = None, method: str = "GET", **more: object) -> Reply:
        """The answer, as soon as the rate limit lets the request by."""
        replies = []

        def let_in() -> bool:
            replies.append(
                self.world.fetch(
                    f"https://{DOMAIN}{path}", method=method, headers=dict(headers or {}), roots=self.roots, **more
                )
            )
            return replies[-1].status != 429

        self.machine.wait_for(let_in, "the rate limit lets one by")
        return replies[-1]

    def sign_in(self, name: str, password: str, headers: Headers = SCRIPT) -> Reply:
        """What the sign-in page's script is told."""
        asked = {**headers, **basic(name, password), "Origin": f"https://{DOMAIN}"}
        return self.ask("/.hermes/sign-in", asked, "POST")

    def cookie(self, name: str) -> dict[str, str]:
        """The header of who has signed in on the page."""
        (cookie,) = self.sign_in(name, PASSWORDS[name]).all("Set-Cookie")
        return {"Cookie": cookie.partition(";")[0]}

    def lines(self, path: str, at_least: int = 1) -> list[str]:
        """The lines about that path in the site's log, once there are so many: nginx writes them behind its answers."""

        def found() -> list[str]:
            log = self.machine.text("/var/log/nginx/hermes-access.log")
            return [line for line in log.splitlines() if f" {path} HTTP/" in line]

        self.machine.wait_for(lambda: len(found()) >= at_least, f"{path} is in the log")
        return found()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with TheWorld() as world:
        machine = world.machine("debian13-ready", "hermes")
        world.dns.host(DOMAIN, *machine.addresses)
        machine.trust(*world.acme.trusted)
        for name, password in PASSWORDS.items():
            machine.write(f"/root/{name}.pw", password + "\n", mode=0o600)
        install(machine)
        start_hermes(machine)
        apply(machine, ANSWERS, "--yes")
        yield Site(world, machine)


def test_a_browser_signs_in_on_the_page_and_gets_what_it_asked_for(site: Site) -> None:
    for path in ("/x.pdf", "/api/a.json", "/assets/x.js", "/"):
        assert site.ask(path, PAGE).header("Content-Type") == "text/html; charset=utf-8", path
    page = site.ask("/config?tab=1", PAGE)
    assert page.status == 401
    assert not page.all("WWW-Authenticate"), "no grey box"
    assert len(page.text.encode()) < 6000
    policy = page.header("Content-Security-Policy")
    assert "default-src 'none'" in policy
    for kind, inside in (("style", "style"), ("script", "script")):
        text = re.search(f"<{inside}>(.*?)</{inside}>", page.text, re.S)[1]  # type: ignore[index]
        assert f"{kind}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert page.header("Cache-Control") == "no-store"
    assert not re.search(r"(?:src|href)=.?(?:https?:)?//", page.text), "nothing from elsewhere"
    assert 'autocomplete="username"' in page.text
    assert 'autocomplete="current-password"' in page.text
    assert 'href="/.hermes/password"' in page.text

    for name, password in (("alice", "x"), ("carol", PASSWORDS["alice"]), ("alice", PASSWORDS["bob"]), ("", "")):
        told = site.sign_in(name, password)
        assert (told.status, told.text, told.all("Set-Cookie")) == (403, "wrong", [])
    right = site.sign_in("bob", PASSWORDS["bob"])
    assert right.status == 204
    (cookie,) = right.all("Set-Cookie")
    assert re.fullmatch(
        r"__Host-hermes_gate=[0-9a-f]{32}; Path=/; Max-Age=2592000; Secure; HttpOnly; SameSite=Lax", cookie
    )
    shown = {"Cookie": cookie.partition(";")[0]}
    assert "__HERMES_SESSION_TOKEN__" in site.ask("/config?tab=1", {**PAGE, **shown}).text
    # whose password it was decides, whoever was signed in there before
    (other,) = site.sign_in("alice", PASSWORDS["alice"], {**SCRIPT, **shown}).all("Set-Cookie")
    assert other.partition(";")[0] != shown["Cookie"]


def test_who_asks_is_asked_in_the_way_that_fits(site: Site) -> None:
    right, wrong = basic("alice", PASSWORDS["alice"]), basic("alice", "x")
    challenged: dict[str, tuple[Headers, int, bool]] = {
        "page": (PAGE, 401, False),
        "page with a remembered password": ({**PAGE, **right}, 401, False),
        "page from a link elsewhere": ({**PAGE, "Sec-Fetch-Site": "cross-site"}, 401, False),
        "script": (SCRIPT, 401, False),
        "script with a remembered password": ({**SCRIPT, **right}, 401, False),
        "old browser": (OLD_BROWSER, 401, False),
        "old browser with a remembered password": ({**OLD_BROWSER, **right}, 200, False),
        "program": ({}, 401, True),
        "program with a wrong password": (wrong, 401, True),
        "program with the password": (right, 200, False),
        "Node with the password": ({**NODE, **right}, 200, False),
        "Node without": (NODE, 401, True),
        "program with another scheme": ({"Authorization": "Bearer x"}, 401, True),
    }
    seen = {}
    for who, (headers, _, _) in challenged.items():
        reply = site.ask("/", headers)
        seen[who] = (headers, reply.status, bool(reply.all("WWW-Authenticate")))
        cookies = reply.all("Set-Cookie")
        assert bool(cookies) == (reply.status == 200), who
    assert seen == challenged


def test_a_websocket_of_a_browser_needs_the_cookie_and_one_of_a_program_the_password(site: Site) -> None:
    url = f"wss://{DOMAIN}/api/ws?token={session_token(site.machine)}"
    right = basic("alice", PASSWORDS["alice"])
    own = f"https://{DOMAIN}"
    for origin, headers, status in (
        (own, {}, 401),
        (own, right, 401),
        (own, site.cookie("alice"), 101),
        ("https://evil.example", site.cookie("alice"), 403),
        ("null", site.cookie("alice"), 403),
        (None, right, 101),
    ):
        with site.world.websocket(url, origin=origin, headers=headers, roots=site.roots) as socket:
            assert socket.status == status, (origin, headers)


def test_the_browsers_own_dialog_counts_on_one_page_only(site: Site) -> None:
    right = basic("alice", PASSWORDS["alice"])
    asked = site.ask("/.hermes/password", PAGE)
    assert (asked.status, asked.header("WWW-Authenticate")) == (401, 'Basic realm="Hermes"')
    for path, status in (("/.hermes/password", 303), ("/", 401), ("/.hermes/sign-out", 200)):
        reply = site.ask(path, {**PAGE, **right})
        given = [each for each in reply.all("Set-Cookie") if "Max-Age=0" not in each]
        assert (reply.status, bool(given)) == (status, status == 303), path
    assert site.ask("/.hermes/password", {**PAGE, **right}).header("Location") == "/"
    for elsewhere in ("cross-site", "same-site"):
        assert site.ask("/.hermes/password", {**PAGE, **right, "Sec-Fetch-Site": elsewhere}).status == 403
    for more in ({"Sec-Fetch-Mode": "no-cors"}, {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}):
        assert site.ask("/.hermes/password", {**PAGE, **right, **more}).status == 403
    assert site.ask("/.hermes/password", {**PAGE, **right}, "POST").status == 403


def test_signing_out_is_done_here_and_not_by_a_link_elsewhere(site: Site) -> None:
    mine = site.cookie("alice")
    both = {"Cookie": mine["Cookie"] + "; hermes_gate=" + "0" * 32}
    done = site.ask("/.hermes/sign-out", {**PAGE, **both})
    gone = {each.partition("=")[0]: each for each in done.all("Set-Cookie")}
    assert set(gone) == {"__Host-hermes_gate", "hermes_gate"}
    assert all("Max-Age=0" in each for each in gone.values())
    assert "signed out" in done.text
    for elsewhere in ("cross-site", "same-site"):
        asked = site.ask("/.hermes/sign-out", {**PAGE, **mine, "Sec-Fetch-Site": elsewhere})
        assert (asked.status, asked.all("Set-Cookie")) == (200, [])
        assert "<button>" in asked.text


def test_pages_elsewhere_do_nothing_through_the_visitor(site: Site) -> None:
    mine = site.cookie("alice")
    tries: list[tuple[str, Headers]] = []
    for where in ("cross-site", "same-site"):
        sent = {"Sec-Fetch-Site": where, "Origin": "https://evil.example.com"}
        tries += [
            ("POST", {**sent, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}),
            ("POST", {**sent, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"}),
            ("GET", {**sent, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}),
            ("OPTIONS", {**sent, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}),
            ("GET", {"Sec-Fetch-Site": where, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
            ("GET", {"Sec-Fetch-Site": where, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}),
            ("DELETE", {**sent, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}),
        ]
    tries += [
        ("POST", {"Origin": "https://evil.example"}),  # a browser that says no more
        ("POST", {"Origin": "null"}),
        ("PUT", {"Origin": "http://127.0.0.1:9119"}),
    ]
    for method, headers in tries:
        assert site.ask("/api/elsewhere", {**headers, **mine}, method).status == 403, (method, headers)
    assert {line.split('" ')[1].split()[0] for line in site.lines("/api/elsewhere", len(tries))} == {"403"}
    for where in ("cross-site", "same-site"):
        assert site.ask("/", {**PAGE, **mine, "Sec-Fetch-Site": where}).status == 200, "a link opens"
    own = {**SCRIPT, "Origin": f"https://{DOMAIN}", **mine}
    answer = site.ask("/api/elsewhere", own, "POST")
    assert answer.header("Content-Type") == "application/json", "Hermes's own answer: its own pages do what they like"


def test_every_answer_of_ours_says_how_it_may_be_used(site: Site) -> None:
    mine = site.cookie("alice")
    asked: list[tuple[str, str, Headers, str]] = [
        ("/", "GET", PAGE, "sign-in page"),
        ("/", "GET", {}, "challenge"),
        ("/", "GET", mine, "Hermes"),
        ("/nothing", "POST", mine, "Hermes"),
        ("/", "GET", {**mine, "Sec-Fetch-Site": "cross-site"}, "refused"),
        ("/.hermes/sign-out", "GET", PAGE, "sign-out"),
        ("/.hermes/sign-in", "POST", {**SCRIPT, **basic("a", "b")}, "wrong"),
        ("/.hermes/sign-in", "POST", {**SCRIPT, **basic("alice", PASSWORDS["alice"])}, "right"),
        ("/.hermes/password", "GET", PAGE, "dialog"),
        ("/.well-known/acme-challenge/x", "GET", {}, "challenge's folder"),
    ]
    for path, method, headers, what in asked:
        reply = site.ask(path, headers, method)
        said = {name: reply.all(name) for name in ("X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy")}
        assert said == {
            "X-Frame-Options": ["SAMEORIGIN"],
            "X-Content-Type-Options": ["nosniff"],
            "Referrer-Policy": ["same-origin"],
        }, what
        assert any("frame-ancestors 'self'" in each for each in reply.all("Content-Security-Policy")), what
        assert what == "challenge's folder" or re.search("no-store|private", reply.header("Cache-Control")), what
    other = site.world.fetch(f"https://{DOMAIN}/", host="evil.example", sni=DOMAIN)
    assert (other.status, other.all("X-Frame-Options")) == (421, ["SAMEORIGIN"])


def test_the_log_says_who_it_was_and_never_what_was_typed(site: Site) -> None:
    right, mine = basic("bob", PASSWORDS["bob"]), site.cookie("alice")
    for number, (method, headers, who, tried) in enumerate(
        [
            ("GET", {**PAGE, **mine}, "alice", "-"),
            ("GET", {**right}, "bob", "right"),
            ("GET", {**right, **mine}, "alice", "-"),
            ("GET", basic("bob", "x"), "-", "wrong"),
            ("GET", basic("my password, typed as a name", "x"), "-", "wrong"),
            ("GET", {}, "-", "-"),
            ("GET", {**PAGE, **right}, "-", "-"),
            ("GET", {**SCRIPT, **right}, "-", "-"),
            ("GET", {"Authorization": "Bearer x"}, "-", "-"),
            ("GET", {"Authorization": "Basic !!!"}, "-", "-"),
        ]
    ):
        path = f"/log/{number}"
        site.ask(path, headers, method)
        line = site.lines(path)[-1]
        assert line.split(" - ")[1].split(" [")[0] == who, line
        assert line.endswith(f" tried={tried}"), line
    for name, password, who, tried in (("bob", PASSWORDS["bob"], "bob", "right"), ("bob", "x", "alice", "wrong")):
        asked = {**SCRIPT, **mine, "User-Agent": f"log/{tried}"}
        site.sign_in(name, password, asked)

        def checked(agent: str = asked["User-Agent"]) -> list[str]:
            """What was not sent back for its rate."""
            return [each for each in site.lines("/.hermes/sign-in") if f'"{agent}"' in each and " 429 " not in each]

        site.machine.wait_for(lambda: len(checked()) == 1, "the sign-in is in the log")
        (line,) = checked()
        assert line.split(" - ")[1].split(" [")[0] == who, line
        assert line.endswith(f" tried={tried}"), line
    log = site.machine.text("/var/log/nginx/hermes-access.log")
    assert "typed" not in log
    said = site.machine.run(["stat", "-c", "%a %U:%G", "/var/log/nginx/hermes-access.log"]).out.strip()
    assert said == "640 root:adm"


def test_cookies_that_another_name_has_planted_lock_nobody_out(site: Site) -> None:
    planted = "; ".join(f"bomb{number}={'a' * 4000}" for number in range(12))
    assert site.ask("/", {**PAGE, "Cookie": planted}).status == 401, "the page to sign in on"
    mine = site.cookie("alice")
    both = {**PAGE, "Cookie": f"{planted}; {mine['Cookie']}"}
    assert site.ask("/.hermes/sign-out", both).status == 200
    assert site.ask("/", both).status == 200


def test_a_connection_that_asks_for_nothing_does_not_stay_to_use_an_ended_cookie(site: Site) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = open_socket(site.world.net, site.machine.addresses[0], 443, 30)
    with context.wrap_socket(raw, server_hostname=DOMAIN) as silent:
        began = time.monotonic()
        assert silent.recv(1) == b""
    assert time.monotonic() - began < 15


def restart_nginx(machine: Machine) -> None:
    """No worker from before is left, as there is for a while after a reload."""
    machine.run(["nginx", "-s", "stop"])
    machine.wait_for(lambda: not any(each.port == 443 for each in machine.listeners()), "nginx has ended")
    machine.run(["nginx"])
    machine.wait_for_port(443)


def test_a_worker_out_of_connections_tells_the_log_no_token(site: Site) -> None:
    machine, secret, mine = site.machine, "a-token-that-is-nobodys-business", site.cookie("alice")["Cookie"]
    before = machine.text("/etc/nginx/nginx.conf")
    small = re.sub("worker_connections [0-9]+", "worker_connections 40", before)
    machine.write("/etc/nginx/nginx.conf", re.sub("worker_processes [a-z0-9]+", "worker_processes 1", small))
    try:
        restart_nginx(machine)
        flood = machine.start(["python3", "-c", FLOOD, DOMAIN, mine, f"/api/status?token={secret}"])
        machine.wait_for(lambda: "done" in flood.output, "the flood has come")
        flood.stop()
    finally:
        machine.write("/etc/nginx/nginx.conf", before)
        restart_nginx(machine)
    assert "500" in flood.output, flood.output
    assert secret not in machine.run(["sh", "-c", "cat /var/log/nginx/*.log"]).out


def test_what_the_http_block_hands_down_opens_nothing_and_blocks_no_challenge(site: Site) -> None:
    machine = site.machine
    machine.run(["mkdir", "-p", "/var/www/letsencrypt/.well-known/acme-challenge"])
    machine.write("/var/www/letsencrypt/.well-known/acme-challenge/here", "an answer")
    challenges = [f"{scheme}://{DOMAIN}/.well-known/acme-challenge/here" for scheme in ("http", "https")]
    for handed_down in (
        "satisfy any; allow all;",
        "satisfy any; allow 198.51.100.0/24; deny all;",
        "deny all;",
        'auth_basic "another"; auth_basic_user_file /etc/nginx/none;',
        "auth_request /nowhere;",
        "limit_conn_zone $server_name zone=theirs:1m; limit_conn theirs 1;",
        "limit_req_zone $server_name zone=theirs:1m rate=1r/m; limit_req zone=theirs;",
        "proxy_cache_path /tmp/theirs keys_zone=theirs:1m; proxy_cache theirs; proxy_cache_valid any 1h;"
        " proxy_ignore_headers Cache-Control Set-Cookie;",
        "expires 1d; proxy_intercept_errors on; error_page 401 403 =200 /index.html;",
    ):
        machine.write("/etc/nginx/conf.d/handed-down.conf", handed_down)
        apply(machine, ANSWERS, "--yes")
        machine.run(["nginx", "-s", "reload"])
        for url in challenges * 3:
            reply = site.world.fetch(url)
            assert (reply.status, reply.text) == (200, "an answer"), (handed_down, url)
        mine = site.cookie("alice")
        pages = [site.ask("/api/status", {**SCRIPT, **mine}) for _ in range(3)]
        assert [page.status for page in pages] == [200] * 3, handed_down
        for headers in ({}, basic("alice", "x"), {**PAGE}, {**SCRIPT}):
            reply = site.ask("/api/status", headers)
            assert (reply.status, reply.all("Set-Cookie")) == (401, []), (handed_down, headers)
        told = site.sign_in("alice", "x")
        assert (told.status, told.text, told.all("Set-Cookie")) == (403, "wrong", []), handed_down
    machine.run(["rm", "/etc/nginx/conf.d/handed-down.conf"])
    apply(machine, ANSWERS, "--yes")
    assert "Nothing to do" in apply(machine, ANSWERS, "--yes").err


# A platform, or whoever has its port, that would have nginx put a page together.
PLATFORM = """
import http.server
class Platform(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Set-Cookie", "theirs=1")
        self.end_headers()
        heard = self.rfile.read(int(self.headers["Content-Length"])) + self.headers["X-Signature"].encode()
        self.wfile.write(heard + b' is heard <!--#include virtual="/" -->')
http.server.HTTPServer(("127.0.0.1", 8644), Platform).serve_forever()
"""


def test_no_page_is_put_together_of_the_dashboard_without_a_password_and_no_limit_only_looks_on(site: Site) -> None:
    machine = site.machine
    platform = machine.start(["python3", "-c", PLATFORM])
    machine.wait_for_port(8644)
    handed_down = (
        "ssi on; add_before_body /; add_after_body /; limit_req_dry_run on; ssl_early_data on; ssl_verify_client on;"
    )
    handed_down += " proxy_pass_header Set-Cookie; proxy_method DELETE; proxy_pass_request_headers off; proxy_pass_request_body off; proxy_store on;"
    try:
        machine.write("/etc/nginx/conf.d/handed-down.conf", handed_down)
        apply(machine, ANSWERS.replace("[[users]]", '[webhooks]\nplatforms = ["webhook"]\n[[users]]', 1), "--yes")
        machine.run(["nginx", "-s", "reload"])
        reply = site.ask("/webhooks/any", {"X-Signature": "signed"}, "POST", body=b"what is ")
        assert reply.text == 'what is signed is heard <!--#include virtual="/" -->'
        assert not reply.all("Set-Cookie")
        assert site.ask("/", site.cookie("alice")).status == 200
        assert "ssl_early_data off" in machine.run(["nginx", "-T"]).out

        def guess(_: int) -> int:
            return site.world.fetch(f"https://{DOMAIN}/api/status", auth=("alice", "x"), roots=site.roots).status

        with ThreadPoolExecutor(8) as several:
            assert set(several.map(guess, range(60))) == {401, 429}
    finally:
        machine.run(["rm", "-f", "/etc/nginx/conf.d/handed-down.conf"])
        platform.stop()
        apply(machine, ANSWERS, "--yes")


# Begins ten requests of somebody who is signed in, takes all connections that the workers have, and ends the requests.
FLOOD = """
import socket, ssl, sys, time
name, cookie, path = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
begun = [context.wrap_socket(socket.create_connection(("127.0.0.1", 443)), server_hostname=name) for _ in range(10)]
for wire in begun:
    wire.sendall(f"GET {path} HTTP/1.1\\r\\nHost: {name}\\r\\nCookie: {cookie}\\r\\n".encode())
held = []
for _ in range(120):
    held.append(socket.create_connection(("127.0.0.1", 80)))
    held[-1].sendall(b"GET / HTTP/1.1\\r\\nHost: h")
time.sleep(0.5)
for wire in begun:
    wire.settimeout(3)
    wire.sendall(b"\\r\\n")
for wire in begun:
    try:
        print(wire.recv(65536).split()[1].decode(), flush=True)
    except (OSError, IndexError) as error:
        print(error, flush=True)
print("done", flush=True)
time.sleep(60)
"""
# A server that, like uvicorn, ends a connection five seconds after it has served a page there, whatever it has become since.
UVICORN = """
import asyncio, base64, hashlib
async def serve(reader, writer):
    armed = None
    while head := await reader.readuntil(b"\\r\\n\\r\\n"):
        fields = {k.lower(): v for k, _, v in (line.partition(": ") for line in head.decode().split("\\r\\n"))}
        if "upgrade" in fields:
            key = fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
            writer.write(f"HTTP/1.1 101 S\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
                         f"Sec-WebSocket-Accept: {accept}\\r\\n\\r\\n".encode())
            await reader.read()
            return
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi")
        armed = armed or asyncio.get_running_loop().call_later(5, writer.close)
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", 9119) as server:
        await server.serve_forever()
asyncio.run(main())
"""
# 200 sockets, each opened right behind a page's answer; prints how many of them opened, and how many are cut within 8 s.
HELD = """
import select, socket, ssl, sys, time
name, cookie, path = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
def connect():
    return context.wrap_socket(socket.create_connection(("127.0.0.1", 443)), server_hostname=name)
def ask(wire, path, more=""):
    wire.sendall(f"GET {path} HTTP/1.1\\r\\nHost: {name}\\r\\nCookie: {cookie}\\r\\n{more}\\r\\n".encode())
    got = b""
    while b"\\r\\n\\r\\n" not in got:
        got += wire.recv(65536) or sys.exit("closed early")
    return got.split()[1]
upgrade = (f"Origin: https://{name}\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n")
held, opened = [], 0
for _ in range(200):
    page = connect()
    ask(page, "/api/status")
    page.close()
    wire = connect()
    opened += ask(wire, path, upgrade) == b"101"
    held.append(wire)
end, cut = time.monotonic() + 8, 0
while held and (left := end - time.monotonic()) > 0:
    for wire in select.select(held, [], [], left)[0]:
        try:
            if wire.recv(65536):
                continue
        except ssl.SSLError:
            pass
        cut += 1
        held.remove(wire)
print(opened, cut)
"""


@pytest.fixture
def busy(site: Site) -> Iterator[None]:
    """Both cores have something else to do."""
    loops = [site.machine.start(["python3", "-c", "while True: pass"]) for _ in range(2)]
    yield
    for each in loops:
        each.stop()


def sockets_of(site: Site, path: str) -> tuple[int, int]:
    """How many of 200 sockets opened, and how many of these were cut."""
    cookie = site.cookie("alice")["Cookie"]
    said = site.machine.run(["python3", "-c", HELD, DOMAIN, cookie, path], timeout=150).out.split()
    return int(said[0]), int(said[1])


@pytest.mark.usefixtures("busy")
def test_no_socket_of_hermes_is_cut_behind_a_page(site: Site) -> None:
    assert sockets_of(site, f"/api/ws?token={session_token(site.machine)}") == (200, 0)


@pytest.mark.usefixtures("busy")
def test_no_socket_is_cut_by_a_timer_that_a_page_has_armed(site: Site) -> None:
    site.machine.run(["pkill", "-f", "hermes dashboard"])
    site.machine.wait_for(lambda: site.ask("/", site.cookie("alice")).status == 502, "Hermes is down")
    stands_in = site.machine.start(["python3", "-c", UVICORN])
    site.machine.wait_for_port(9119)
    assert sockets_of(site, "/ws") == (200, 0)
    # and the timer is one that cuts, where sockets share the pages' connections
    path = "/etc/nginx/sites-available/hermes"
    site.machine.run(["sed", "-i", "s/websocket hermes_sockets/websocket hermes_dashboard/", path])
    site.machine.run(["nginx", "-s", "reload"])
    site.machine.wait_for(lambda: sockets_of(site, "/ws")[1] > 100, "sockets are cut", 60)
    stands_in.stop()
    start_hermes(site.machine)
    apply(site.machine, ANSWERS, "--yes")
