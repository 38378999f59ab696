"""The gate as people meet it: Chromium, Firefox and WebKit before the real Hermes, on a booted server, over real TLS."""

from __future__ import annotations

import contextlib
import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from conftest import DOMAIN
from lab import World, lab_authority
from real.program import install
from real.test_wizard_real import GOOD
from vps import ENGINES, SIGN_IN, Browser, Login, Vps, opened, sign_in
from vps.test_stories import ANSWERS, APPLY, LIVE

SITE = f"https://{DOMAIN}"
SITE_FILE = "/etc/nginx/sites-available/hermes"
WRONG = "not the password"
SIBLING, STRANGER = "evil.example.com", "www.example.net"
PICTURES, KEPT = Path("/state/pictures"), Path("/repo/docs/pictures")
LOOKS = {"sign-in-desktop": (760, 560, "light"), "sign-in-phone": (360, 640, "dark")}
# Whatever of the sign-in page is to be seen.
PAGE = "for (const each of document.scripts) each.remove(); return document.documentElement.outerHTML"
HEADER = 8 + 25  # of a PNG: its signature, then IHDR
COUNTER = """table inet lab {
    counter asked { }
    chain out {
        type filter hook output priority 0
        meta skuid www-data tcp dport 9119 tcp flags & psh == psh counter name asked
    }
}
"""
# What a page elsewhere can make a visitor's browser do without a click. Each has a path of its own, to be found in the log.
ATTEMPTS = """
const made = (name, what) => document.body.appendChild(Object.assign(document.createElement(name), what));
const blind = {mode: 'no-cors', credentials: 'include'};
const json = {method: 'PUT', credentials: 'include', headers: {'Content-Type': 'application/json'}, body: '{}'};
for (const [path, options] of Object.entries({
    get: blind, post: {...blind, method: 'POST', body: 'x=1'}, read: {credentials: 'include'}, json,
})) fetch(`SITE/evil/${path}`, options).catch(() => {});
made('img', {src: 'SITE/evil/image'});
made('script', {src: 'SITE/evil/script'});
made('iframe', {src: 'SITE/evil/frame'});
made('iframe', {name: 'sink'});
made('form', {method: 'post', action: 'SITE/evil/form', target: 'sink'}).submit();
return new Promise(done => {
    const socket = new WebSocket('SITE/evil/socket'.replace('https', 'wss'));
    socket.onopen = () => done('open');
    socket.onerror = () => done('refused');
});
""".replace("SITE", SITE)
# What a page of a sibling can put into the visitor's browser: the gate's cookie under both of its names, and a heap of others.
PLANTED = """
for (const name of ['__Host-hermes_gate', 'hermes_gate']) document.cookie = `${name}=${'0'.repeat(32)}; domain=example.com; secure`;
for (let each = 0; each < 12; each++) document.cookie = `heap${each}=${'a'.repeat(4000)}; domain=example.com; secure`;
return document.cookie.split('; ').map(each => each.split('=')[0]);
"""
# What the dashboard's own page can be made to ask for by what stands in a chat, all at the sign-out.
INSIDE = """
const loaded = (name, what) => new Promise(done => document.body.appendChild(
    Object.assign(document.createElement(name), {...what, onload: done, onerror: done})));
const out = '/.hermes/sign-out';
await loaded('img', {src: out});
await loaded('iframe', {src: out});
await loaded('link', {rel: 'stylesheet', href: out});
await fetch(out);
await fetch(out, {method: 'POST'});
return 'asked';
"""
TRIED = {f"/evil/{each}" for each in ("get", "post", "read", "json", "image", "script", "frame", "form", "socket")}

LINKS = f"""<!doctype html><title>evil</title><body>
<a id=link href="{SITE}/sessions">a link</a> <a id=leave href="{SITE}/.hermes/sign-out">another</a>
"""
DIALOG_EVERYWHERE = (
    '"~^[^:]*:page:" page;\n    "~^[^:]*:script:" script;',
    '"~^[^:]*:page:$" "";',
)
NO_HERMES = """table inet down {
    chain out { type filter hook output priority 1; meta skuid www-data tcp dport 9119 reject with tcp reset; }
}
"""


class Gate:
    """A server with the gate and the real Hermes behind it, two pages elsewhere, and who visits them."""

    def __init__(self, world: World, login: Login) -> None:
        self.world, self.login, self.vps = world, login, login.vps
        self.roots = world.acme.roots() + lab_authority().pem

    def visitor(self, engine: str, profile: Path, *, scripts: bool = True):  # type: ignore[no-untyped-def]  # a context manager
        return opened(self.world, engine, profile, roots=self.roots, scripts=scripts)

    def reached(self) -> int:
        """How many packets with something in them nginx has sent to Hermes, once there are no more."""
        before = -1
        while (now := self._packets()) != before:
            before = now
            self.vps.run(["sleep", "0.5"])
        return now

    def _packets(self) -> int:
        said = self.vps.run(["nft", "list", "counter", "inet", "lab", "asked"]).out
        return int(re.search(r"packets (\d+)", said)[1])  # type: ignore[index]  # it says so

    def log(self, path: str) -> list[tuple[str, str, str]]:
        """(path, name, status) of each request for that path, or below it."""
        lines = self.vps.text("/var/log/nginx/hermes-access.log").splitlines()
        found = (re.match(r'\S+ - (\S+) \[.*?\] "\S+ (\S+) \S+" (\d+) ', line) for line in lines)
        return [(each[2], each[1], each[3]) for each in found if each and each[2].startswith(path)]


@pytest.fixture(scope="module")
def world(lab: None) -> Iterator[World]:
    """One for all of this file."""
    with World() as new:
        yield new


@pytest.fixture(scope="module")
def gate(world: World) -> Gate:
    vps = world.make(Vps, "debian13-ready", "hermes", memory="3g")
    vps.trust(*world.acme.trusted)
    world.dns.host(DOMAIN, *vps.addresses)
    vps.add_hermes()
    install(vps)
    vps.write("/root/answers.toml", ANSWERS, mode=0o600)
    vps.write("/root/alice.pw", GOOD + "\n", mode=0o600)
    login = Login(world, vps)
    login.run(APPLY)
    vps.run(["nft", "-f", "-"], input=COUNTER)

    elsewhere = world.machine("debian13-ready", name="elsewhere")
    for name in (SIBLING, STRANGER):
        world.dns.host(name, *elsewhere.addresses)
    certificate, key = lab_authority().issue(SIBLING, STRANGER)
    elsewhere.write("/etc/nginx/evil.pem", certificate)
    elsewhere.write("/etc/nginx/evil.key", key, mode=0o600)
    elsewhere.write("/srv/evil/index.html", LINKS)
    elsewhere.write(
        "/etc/nginx/sites-enabled/evil",
        "server { listen 443 ssl; listen [::]:443 ssl; ssl_certificate evil.pem; ssl_certificate_key evil.key; root /srv/evil; }\n",
    )
    elsewhere.run(["nginx"])
    elsewhere.wait_for_port(443)
    return Gate(world, login)


def is_signed_in(browser: Browser, *, chats: bool = False) -> None:
    """Hermes's own page is there, at work; `chats`: with a chat that is connected."""
    browser.until(
        LIVE if chats else "window.__HERMES_SESSION_TOKEN__ && document.getElementById('root').children.length", 90
    )


def is_signed_out(browser: Browser) -> None:
    browser.until(SIGN_IN)
    browser.shows(f"Sign in to {DOMAIN}")


def note(picture: Path, page: str) -> None:
    """The PNG says, behind its header, of which page it is (a tEXt chunk: W3C, PNG, 11.3.3.2)."""
    data = picture.read_bytes()
    chunk = b"tEXtSource\0" + page.encode()
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    picture.write_bytes(data[:HEADER] + chunk + data[HEADER:])


def no_wider_than_the_window(browser: Browser) -> bool:
    return bool(browser.script("return document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_person_signs_in_chats_comes_back_and_signs_out(gate: Gate, engine: str, tmp_path: Path) -> None:
    with gate.visitor(engine, tmp_path) as browser:
        browser.open(f"{SITE}/chat")
        is_signed_out(browser)
        browser.resize(320, 568)
        browser.until("innerWidth === 320")
        assert no_wider_than_the_window(browser)
        PICTURES.mkdir(exist_ok=True)
        browser.shot(PICTURES / f"sign-in-phone-{engine}.png")
        browser.resize(1200, 800)
        asked = browser.script("return performance.getEntriesByType('resource').map(each => each.name)")
        assert [url for url in asked if not url.startswith(f"{SITE}/")] == []

        # wrong, then right; the keyboard alone, from where the focus is
        browser.press("alice", "Tab", WRONG, "Enter")
        browser.until("document.getElementById('said').textContent.includes('Wrong name or password')")
        assert browser.url == f"{SITE}/chat"
        assert browser.script("return document.getElementById('password').value") == WRONG
        browser.press("Tab", "Space")
        assert browser.script("return document.getElementById('password').type") == "text"
        browser.press("Shift+Tab", GOOD, "Enter")  # who comes back to a field has all of it selected
        is_signed_in(browser, chats=True)
        assert browser.url == f"{SITE}/chat"
        browser.reload()
        is_signed_in(browser, chats=True)
    with gate.visitor(engine, tmp_path) as browser:
        browser.open(SITE)
        is_signed_in(browser)

        browser.forget()
        is_signed_out(browser)  # by itself: Hermes's page loads again when it is refused something
        sign_in(browser, "alice", GOOD)
        is_signed_in(browser)
        assert browser.url == f"{SITE}/sessions"

        lines = len(gate.log("/.hermes/sign-out"))
        assert browser.script(INSIDE) == "asked"
        gate.vps.wait_for(lambda: len(gate.log("/.hermes/sign-out")) == lines + 5, "it was asked five times", 10)
        browser.reload()
        is_signed_in(browser)
        browser.open(f"{SITE}/.hermes/sign-out")
        browser.shows("You are signed out")
        browser.resize(320, 568)
        browser.until("innerWidth === 320")
        assert no_wider_than_the_window(browser)
        browser.open(SITE)
        is_signed_out(browser)


@pytest.mark.parametrize("engine", ENGINES)
def test_who_is_signed_out_on_the_server_gets_nothing_more(gate: Gate, engine: str, tmp_path: Path) -> None:
    with gate.visitor(engine, tmp_path) as browser:
        browser.open(f"{SITE}/chat")
        sign_in(browser, "alice", GOOD)
        is_signed_in(browser, chats=True)
        gate.login.run("sudo hermes-setup users sign-out alice --yes")
        is_signed_out(browser)  # by itself, within ten seconds: that often Hermes's page asks how Hermes is
        assert browser.url == f"{SITE}/chat"
        assert browser.script("return (await fetch('/api/status')).status") == 401
        sign_in(browser, "alice", GOOD)
        is_signed_in(browser, chats=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_pages_elsewhere_reach_nothing_through_the_visitor(gate: Gate, engine: str, tmp_path: Path) -> None:
    with gate.visitor(engine, tmp_path) as browser:
        browser.open(SITE)
        before = gate.reached()
        sign_in(browser, "alice", GOOD)
        is_signed_in(browser)
        assert gate.reached() > before, "it counts what Hermes is asked"
        for place in (SIBLING, STRANGER):
            browser.open(f"https://{place}/")
            if place == SIBLING:
                planted = browser.script(PLANTED)
                assert len(planted) == 13 and "hermes_gate" in planted  # no sibling's is the one with __Host-
            before, lines = gate.reached(), len(gate.log("/evil/"))
            assert browser.script(ATTEMPTS) == "refused"
            gate.vps.wait_for(lambda: {each[0] for each in gate.log("/evil/")[lines:]} == TRIED, "all was tried", 30)
            assert {status for _, _, status in gate.log("/evil/")[lines:]} == {"403"}
            assert gate.reached() == before, place
            browser.click("#link")
            is_signed_in(browser)
        browser.open(f"{SITE}/chat")
        is_signed_in(browser, chats=True)
        browser.open(f"https://{STRANGER}/")
        browser.click("#leave")
        browser.shows("Nothing has been done yet")
        browser.open(SITE)
        is_signed_in(browser)
        browser.open(f"https://{STRANGER}/")
        browser.click("#leave")
        browser.shows("Nothing has been done yet")
        browser.click("button")  # a GET from here, as a link's is
        browser.shows("You are signed out")
        browser.click("a")
        is_signed_out(browser)


@contextlib.contextmanager
def another_site(gate: Gate, now: str, then: str) -> Iterator[None]:
    """In the site's file `then` stands for `now`, and that is in force when each reload is done."""
    site = gate.vps.text(SITE_FILE)
    assert now in site
    try:
        serve(gate, site.replace(now, then))
        yield
    finally:
        serve(gate, site)


def serve(gate: Gate, site: str) -> None:
    def workers() -> set[str]:
        return set(gate.vps.run(["pgrep", "-f", "^nginx: worker process$"], check=False).out.split())

    before = workers()
    gate.vps.write(SITE_FILE, site)
    gate.vps.run(["systemctl", "reload", "nginx"])
    gate.vps.wait_for(lambda: bool(workers()) and not workers() & before, "other workers listen")


@contextlib.contextmanager
def too_many_tries(gate: Gate) -> Iterator[None]:
    """Somebody at the visitor's addresses has guessed too often, and the limit is so slow that nothing slips through."""
    with another_site(gate, "rate=5r/s", "rate=1r/m"):
        for address in gate.vps.addresses:

            def is_too_much(address: str = address) -> bool:
                guess = {"address": address, "method": "POST", "auth": ("alice", WRONG)}
                return gate.world.fetch(f"{SITE}/.hermes/sign-in", **guess).status == 429

            gate.vps.wait_for(is_too_much, f"too many by {address}", 20)
        yield


@pytest.mark.parametrize("engine", ENGINES)
def test_what_goes_wrong_is_told_in_the_page(gate: Gate, engine: str, tmp_path: Path) -> None:
    def says(words: str) -> None:
        browser.until(f"document.getElementById('said').textContent.includes({words!r})")

    with gate.visitor(engine, tmp_path) as browser:
        browser.open(SITE)
        is_signed_out(browser)
        gate.vps.run(["systemctl", "stop", "nginx"])
        sign_in(browser, "alice", GOOD)
        says("The server does not answer")
        gate.vps.run(["systemctl", "start", "nginx"])
        with too_many_tries(gate):
            browser.click("form button")
            says("Too many tries")
        gate.vps.run(["nft", "-f", "-"], input=NO_HERMES)
        try:
            # in by itself, as it said, but nobody is at home
            browser.until("document.body.innerText.includes('Hermes is not running yet')", 20)
        finally:
            gate.vps.run(["nft", "delete", "table", "inet", "down"])
        browser.reload()
        is_signed_in(browser)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_password_that_the_browser_remembers_opens_nothing(gate: Gate, engine: str, tmp_path: Path) -> None:
    with gate.visitor(engine, tmp_path) as browser:
        with another_site(gate, *DIALOG_EVERYWHERE):  # as earlier versions had it
            browser.open(f"https://alice:{quote(GOOD)}@{DOMAIN}/")
            browser.forget()
            browser.open(SITE)
            is_signed_in(browser)
        browser.forget()  # no sooner: that page asks for something now and then, and would get a cookie for it
        browser.open(SITE)
        is_signed_out(browser)
        assert browser.script("return (await fetch('/api/status', {credentials: 'include'})).status") == 401


@pytest.mark.parametrize("engine", ENGINES)
def test_without_javascript_there_is_the_browsers_own_dialog(gate: Gate, engine: str, tmp_path: Path) -> None:
    with gate.visitor(engine, tmp_path, scripts=False) as browser:
        browser.open(SITE)
        assert "sign in with the browser's own dialog" in browser.text
        lines = len(gate.log("/"))
        # what the dialog sends: no driver can type into it
        browser.open(f"https://alice:{quote(GOOD)}@{DOMAIN}/.hermes/password")
        assert browser.url.endswith(f"{DOMAIN}/")
        assert ("/", "alice", "200") in gate.log("/")[lines:]


def test_the_pictures_of_the_sign_in_page_are_of_today(gate: Gate, tmp_path: Path) -> None:
    """To take them over: cp "$CACHE"/state/pictures/sign-in-{desktop,phone}.png docs/pictures/"""
    PICTURES.mkdir(exist_ok=True)
    with gate.visitor("chromium", tmp_path) as browser:
        browser.open(f"{SITE}/chat")
        is_signed_out(browser)
        # Two versions of a browser draw one page differently; so a picture says which page it is of, and that is compared.
        page = hashlib.sha256(browser.script(PAGE).encode()).hexdigest()
        browser.script("document.getElementById('name').style.caretColor = 'transparent'")  # it comes and goes
        for name, (wide, high, colours) in LOOKS.items():
            browser.resize(wide, high)
            browser.prefer(colours)
            browser.shot(PICTURES / f"{name}.png")
            note(PICTURES / f"{name}.png", page)
    kept = {name: (KEPT / f"{name}.png").read_bytes() for name in LOOKS if (KEPT / f"{name}.png").exists()}
    stale = [name for name in LOOKS if page.encode() not in kept.get(name, b"")]
    how = test_the_pictures_of_the_sign_in_page_are_of_today.__doc__
    assert stale == [], f"docs/pictures show another page than this one. {how}"
    for name, (wide, high, _) in LOOKS.items():
        assert struct.unpack(">II", kept[name][16:24]) == (wide, high)
        assert len(kept[name]) < 60_000
