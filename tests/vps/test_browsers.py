"""The gate as people meet it: Chromium, Firefox and WebKit before the real Hermes, on a booted server, over real TLS."""

from __future__ import annotations

import re
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
WRONG = "not the password"
SIBLING, STRANGER = "evil.example.com", "www.example.net"
PICTURES = Path("/state/pictures")
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
TRIED = {f"/evil/{each}" for each in ("get", "post", "read", "json", "image", "script", "frame", "form", "socket")}


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
    elsewhere.write(
        "/srv/evil/index.html", f'<!doctype html><title>evil</title><body><a id=link href="{SITE}/sessions">a link</a>'
    )
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
    assert f"Sign in to {DOMAIN}" in browser.text


def no_wider_than_the_window(browser: Browser) -> bool:
    return bool(browser.script("return document.documentElement.scrollWidth <= innerWidth"))


def keep_picture(browser: Browser, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    browser.shot(PICTURES / f"{name}.png")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_person_signs_in_chats_comes_back_and_signs_out(gate: Gate, engine: str, tmp_path: Path) -> None:
    with gate.visitor(engine, tmp_path) as browser:
        browser.open(f"{SITE}/chat")
        is_signed_out(browser)
        keep_picture(browser, f"sign-in-desktop-{engine}")
        browser.resize(320, 568)
        browser.until("innerWidth === 320")
        assert no_wider_than_the_window(browser)
        keep_picture(browser, f"sign-in-phone-{engine}")
        browser.resize(1200, 800)
        asked = browser.script("return performance.getEntriesByType('resource').map(each => each.name)")
        assert [url for url in asked if not url.startswith(f"{SITE}/")] == []

        # wrong, then right; the keyboard alone, from where the focus is
        browser.press("alice", "Tab", WRONG, "Enter")
        browser.until("document.getElementById('said').textContent.includes('do not go together')")
        assert browser.url == f"{SITE}/chat"
        assert browser.script("return document.getElementById('password').value") == WRONG
        browser.press(GOOD, "Enter")  # what was wrong is selected
        is_signed_in(browser, chats=True)
        assert browser.url == f"{SITE}/chat"
        browser.reload()
        is_signed_in(browser, chats=True)
    with gate.visitor(engine, tmp_path) as browser:
        browser.open(SITE)
        is_signed_in(browser)

        browser.forget()
        browser.reload()
        is_signed_out(browser)
        sign_in(browser, "alice", GOOD)
        is_signed_in(browser)

        browser.open(f"{SITE}/.hermes/sign-out")
        assert "You are signed out" in browser.text
        browser.open(SITE)
        is_signed_out(browser)


@pytest.mark.parametrize("engine", ENGINES)
def test_who_is_signed_out_on_the_server_gets_nothing_more(gate: Gate, engine: str, tmp_path: Path) -> None:
    with gate.visitor(engine, tmp_path) as browser:
        browser.open(f"{SITE}/chat")
        sign_in(browser, "alice", GOOD)
        is_signed_in(browser, chats=True)
        status = "return (await fetch('/api/status')).status"
        assert browser.script(status) == 200
        gate.login.run("sudo hermes-setup users sign-out alice --yes")
        assert browser.script(status) == 401
        browser.reload()
        is_signed_out(browser)


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
            before, lines = gate.reached(), len(gate.log("/evil/"))
            assert browser.script(ATTEMPTS) == "refused"
            gate.vps.wait_for(lambda: {each[0] for each in gate.log("/evil/")[lines:]} == TRIED, "all was tried", 30)
            assert {status for _, _, status in gate.log("/evil/")[lines:]} == {"403"}
            assert gate.reached() == before, place
            browser.click("#link")
            is_signed_in(browser)


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
