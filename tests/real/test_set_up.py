"""What one set-up server does through its life: users, cookies, renewal, secrets, a second look. One machine for all."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import DOMAIN
from lab import Machine, World, session_token, start_hermes
from lab.world import World as TheWorld
from real.program import apply, hermes_setup, install, users

ALICE = "correct horse bätterý"
ANSWERS = f"""
domain = "{DOMAIN}"
certificate = "letsencrypt"
[[users]]
name = "alice"
password_file = "/root/alice.pw"
"""


class Server:
    """A machine that is set up, the world around it, and who can sign in with what."""

    def __init__(self, world: World, machine: Machine) -> None:
        self.world = world
        self.machine = machine
        self.roots = world.acme.roots()
        self.said = ""

    def run(self, *argv: str, code: int = 0, stdin: str = "") -> str:
        ran = hermes_setup(self.machine, *argv, code=code, stdin=stdin)
        self.said += ran.out + ran.err
        return ran.out + ran.err

    def generate(self, *argv: str) -> str:
        """The made-up password that the command prints."""
        found = re.search(r"[a-z0-9]{5}(?:-[a-z0-9]{5}){3}", self.run(*argv, "--generate", "--yes"))
        assert found
        return found.group()

    def status(self, **options: object) -> int:
        return self.world.fetch(f"https://{DOMAIN}/", roots=self.roots, **options).status

    def cookie(self, user: str, password: str) -> str:
        """What a browser gets for the right password, as soon as the brake lets it by."""
        pages = []

        def let_in() -> bool:
            pages.append(self.world.fetch(f"https://{DOMAIN}/", roots=self.roots, auth=(user, password)))
            return pages[-1].status != 429

        self.machine.wait_for(let_in, "the brake lets one by")
        page = pages[-1]
        assert page.status == 200, page
        (cookie,) = page.all("Set-Cookie")
        assert re.fullmatch(
            r"__Host-hermes_gate=[0-9a-f]{32}; Path=/; Max-Age=\d+; Secure; HttpOnly; SameSite=Lax", cookie
        )
        return cookie.partition(";")[0]

    def chat(self, **options: object) -> int:
        url = f"wss://{DOMAIN}/api/ws?token={session_token(self.machine)}"
        with self.world.websocket(url, origin=f"https://{DOMAIN}", roots=self.roots, **options) as socket:
            return socket.status


@pytest.fixture(scope="module")
def server(lab_ready: None) -> Iterator[Server]:
    with TheWorld() as world:
        machine = world.machine("debian13-ready", "hermes")
        world.dns.host(DOMAIN, *machine.addresses)
        machine.trust(*world.acme.trusted)
        machine.write("/root/alice.pw", ALICE + "\n", mode=0o600)
        install(machine)
        start_hermes(machine)
        machine.start(["cron", "-f"])
        made = Server(world, machine)
        ran = apply(machine, ANSWERS, "--yes")
        made.said += ran.out + ran.err
        yield made


@pytest.fixture(scope="module")
def lab_ready() -> None:
    import os

    if not os.environ.get("HERMES_SETUP_LAYERS"):
        pytest.fail("needs the lab: run ./tests/run as root")


def test_a_client_without_authorization_on_websockets_has_a_live_chat_after_signing_in(server: Server) -> None:
    assert server.chat() == 401
    assert server.chat(headers={"Cookie": server.cookie("alice", ALICE)}) == 101


def test_another_origin_or_host_never_reaches_the_chat(server: Server) -> None:
    cookie = {"Cookie": server.cookie("alice", ALICE)}
    url = f"wss://{DOMAIN}/api/ws?token={session_token(server.machine)}"
    for origin in ("https://evil.example", "null", "http://127.0.0.1:9119", f"https://{DOMAIN}.evil.example"):
        with server.world.websocket(url, origin=origin, headers=cookie, roots=server.roots) as socket:
            assert socket.status == 403, origin
    with server.world.websocket(
        url, origin="https://evil.example", host="evil.example", headers=cookie, roots=server.roots
    ) as socket:
        assert socket.status == 421


@pytest.fixture(scope="module")
def unbraked(server: Server) -> Iterator[Server]:
    """The server without the brake, for tests that ask thousands of times; it is put back by the program itself."""
    site = "/etc/nginx/sites-available/hermes"
    server.machine.run(["sed", "-i", "s/rate=5r/rate=50000r/; s/burst=20/burst=50000/", site])
    server.machine.run(["nginx", "-s", "reload"])
    server.machine.wait_for(
        lambda: 429 not in [server.status(auth=("alice", "x")) for _ in range(30)], "the brake is off"
    )
    yield server
    apply(server.machine, ANSWERS, "--yes")


PATHS = ["/", "/api/config", "//", "/webhooks/x", "/webhooks/../", "/.well-known/acme-challenge/x", "/%2e%2e/", "/x?y"]
METHODS = ["GET", "POST", "HEAD", "OPTIONS", "PROPFIND"]
WRONG = [f"alice:{ALICE}x", "alice:", "alice", ":", "bob:x", f"Alice:{ALICE}"]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("method", METHODS)
def test_the_law_of_the_cookie(unbraked: Server, method: str, scheme: str) -> None:
    """Whoever has not shown a right password for this very request never gets a cookie, whatever else is shown."""
    mine = unbraked.cookie("alice", ALICE)
    basic = ["Basic " + base64.b64encode(text.encode()).decode() for text in WRONG]
    shown: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic !!!"},
        *({"Authorization": each} for each in basic),
        *({"Authorization": each, "Cookie": mine} for each in basic),
        {"Cookie": "__Host-hermes_gate="},
        {"Cookie": "__Host-hermes_gate=" + "0" * 32},
        {"Cookie": "__Host-hermes_gate=off"},
        {"Cookie": mine.replace("__Host-", "")},
    ]
    for path in PATHS:
        for headers in shown:
            for host in (DOMAIN, "evil.example", f"{DOMAIN}:443", f"{DOMAIN}."):
                reply = unbraked.world.fetch(
                    f"{scheme}://{DOMAIN}{path}", method=method, headers=headers, host=host, sni=DOMAIN
                )
                assert not any("Max-Age=0" not in each for each in reply.all("Set-Cookie")), (path, headers, host)
                if headers.get("Cookie") != mine or host == "evil.example" or scheme == "http":
                    assert "__HERMES_SESSION_TOKEN__" not in reply.text, (path, headers, host)
                    assert reply.status != 200 or scheme == "http", (path, headers, host)


def test_users_come_change_and_go(server: Server) -> None:
    bob = server.generate("users", "add", "bob")
    alice_cookie, bob_cookie = server.cookie("alice", ALICE), server.cookie("bob", bob)
    assert users(server.machine) == ["alice", "bob"]
    # a new password ends the old one and its cookie, and nobody else's
    new = server.generate("users", "passwd", "bob")
    assert server.status(auth=("bob", bob)) == 401
    assert server.status(headers={"Cookie": bob_cookie}) == 401
    assert server.status(headers={"Cookie": alice_cookie}) == 200
    bob_cookie = server.cookie("bob", new)
    # signing out ends the cookie, not the password
    server.run("users", "sign-out", "bob", "--yes")
    assert server.status(headers={"Cookie": bob_cookie}) == 401
    bob_cookie = server.cookie("bob", new)
    server.run("users", "passwd", "bob", "--password-stdin", "--yes", stdin="zebra stapler 42\n")
    bob_cookie = server.cookie("bob", "zebra stapler 42")
    server.run("users", "remove", "bob", "--yes")
    assert server.status(auth=("bob", "zebra stapler 42")) == 401
    assert server.status(headers={"Cookie": bob_cookie}) == 401
    assert server.status(headers={"Cookie": alice_cookie}) == 200
    assert "last" in server.run("users", "remove", "alice", "--yes", code=3)
    assert server.status(auth=("alice", ALICE)) == 200


NAMES = ["Bob", "bob", "José", "q\"u'o\\te", "a;b{c}$d#e", "anna maria", "x" * 64, "日本語"]


def test_names_of_all_kinds_sign_in_and_get_their_own_cookie(server: Server) -> None:
    cookies = {}
    for name in NAMES:
        server.run("users", "add", name, "--password-stdin", "--yes", stdin=f"pass phrase of {name[:5]}\n")
    for name in NAMES:
        cookies[name] = server.cookie(name, f"pass phrase of {name[:5]}")
    assert len(set(cookies.values())) == len(NAMES)
    for name in NAMES:
        server.run("users", "remove", name, "--yes")
        assert server.status(headers={"Cookie": cookies[name]}) == 401


def test_an_answers_file_takes_away_whom_it_gave_and_leaves_the_others(server: Server) -> None:
    carol = server.generate("users", "add", "carol")
    server.machine.run(
        ["sh", "-c", "printf 'hand:%s\\n' '$apr1$abcdefgh$J2IOWkZkwFAaWkoqcTQvo.' >>/etc/nginx/.htpasswd-hermes"]
    )
    more = ANSWERS + '[[users]]\nname = "dave"\n'
    said = apply(server.machine, more, "--yes")
    assert "dave" in said.out
    apply(server.machine, ANSWERS, "--yes")
    assert users(server.machine) == ["alice", "carol", "hand"]
    assert server.status(auth=("carol", carol)) == 200
    server.run("users", "remove", "carol", "--yes")
    server.run("users", "remove", "hand", "--yes")
    assert "Nothing to do" in apply(server.machine, ANSWERS, "--yes").err


def test_a_renewal_is_served_without_cutting_a_chat(server: Server) -> None:
    cookie = {"Cookie": server.cookie("alice", ALICE)}
    before = server.world.fetch(f"https://{DOMAIN}/", roots=server.roots).certificate
    url = f"wss://{DOMAIN}/api/ws?token={session_token(server.machine)}"
    with server.world.websocket(url, origin=f"https://{DOMAIN}", headers=cookie, roots=server.roots) as chat:
        server.machine.run(["certbot", "renew", "-q", "--force-renewal", "--no-random-sleep-on-renew"], timeout=120)
        server.machine.wait_for(
            lambda: server.world.fetch(f"https://{DOMAIN}/").certificate != before, "the new certificate is served"
        )
        assert chat.connection is not None
        chat.connection.ping().wait(5)
    assert "Nothing to do" in apply(server.machine, ANSWERS, "--yes").err
    server.run("doctor")


def test_a_flood_of_wrong_passwords_is_braked_and_does_not_reach_who_is_signed_in(server: Server) -> None:
    cookie = {"Cookie": server.cookie("alice", ALICE)}
    with ThreadPoolExecutor(8) as pool:  # one after the other is no flood where the machine is slow
        seen = list(pool.map(lambda _: server.status(auth=("alice", "wrong")), range(80)))
    assert set(seen) == {401, 429}
    assert server.status(headers=cookie) == 200


def test_what_was_changed_by_hand_is_seen_by_doctor_and_mended(server: Server) -> None:
    server.machine.run(["sed", "-i", "s/auth_basic .*/auth_basic off;/", "/etc/nginx/sites-available/hermes"])
    assert "/etc/nginx/sites-available/hermes" in server.run("doctor", code=4)
    assert hermes_setup(server.machine, "apply", "--answers", "/root/answers.toml", "--check", code=4)
    apply(server.machine, ANSWERS, "--yes")
    server.run("doctor")
    assert server.status() == 401


def test_the_answers_that_are_printed_repeat_the_set_up(server: Server) -> None:
    text = hermes_setup(server.machine, "answers").out
    assert ALICE not in text
    server.machine.write("/root/again.toml", text, mode=0o600)
    said = hermes_setup(server.machine, "apply", "--answers", "/root/again.toml", "--yes")
    assert "Nothing to do" in said.err


def test_no_log_holds_a_token_not_even_when_hermes_is_down(server: Server) -> None:
    cookie = {"Cookie": server.cookie("alice", ALICE)}
    for path in ("/api/ws?token=SECRETTOKEN", "/?token=SECRETTOKEN", "/%?token=SECRETTOKEN"):
        # What is no HTTP at all is logged by the port's default server, on port 80 that of Debian.
        for scheme in ("https",) if "%" in path else ("http", "https"):
            server.world.fetch(f"{scheme}://{DOMAIN}{path}", headers=cookie)
    server.machine.run(["pkill", "-f", "hermes dashboard"])
    server.machine.wait_for(lambda: server.status(headers=cookie) == 502, "Hermes is down")
    page = server.world.fetch(f"https://{DOMAIN}/?token=SECRETTOKEN", headers=cookie)
    assert "Hermes is not running yet" in page.text
    assert "hermes dashboard" in page.text
    found = server.machine.run(["grep", "-rl", "SECRETTOKEN", "/var/log"], check=False)
    assert found.out == ""
    assert server.run("doctor", code=4)
    start_hermes(server.machine)


def test_no_password_and_no_cookie_stands_anywhere_it_should_not(server: Server) -> None:
    """Run last: everything that was said and written so far is searched."""
    gate = server.machine.text("/etc/nginx/hermes-gate.conf")
    tokens = set(re.findall(r"[0-9a-f]{32}", gate))
    assert tokens
    for secret in (ALICE, "zebra stapler 42", *tokens):
        assert secret not in server.said
        found = server.machine.run(
            [
                "grep",
                "-rlF",
                "--exclude-dir=proc",
                "--exclude-dir=sys",
                secret,
                "/etc",
                "/var",
                "/tmp",
                "/run",
                "/root",
            ],
            check=False,
        )
        allowed = {"/etc/nginx/hermes-gate.conf", "/root/alice.pw", "/var/lib/hermes-setup/rendered.json"}
        assert {path for path in found.out.split() if not path.startswith("/var/lib/hermes-setup/runs/")} <= allowed
    modes = server.machine.run(
        ["stat", "-c", "%a %U:%G %n", "/etc/nginx/.htpasswd-hermes", "/etc/nginx/hermes-gate.conf"]
        + ["/var/lib/hermes-setup", "/var/log/hermes-setup.log"]
    ).out
    assert modes.splitlines() == [
        "640 root:www-data /etc/nginx/.htpasswd-hermes",
        "600 root:root /etc/nginx/hermes-gate.conf",
        "700 root:root /var/lib/hermes-setup",
        "600 root:root /var/log/hermes-setup.log",
    ]
