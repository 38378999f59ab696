"""The requests: whole ones that browsers, programs and platforms send, with parts exchanged for anything at all.

Each is made of the seed, the site and its own number alone, so one can be made again without those before it.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .sites import GONE, OWN, PEOPLE, Person, Site, hook_at

SECRET = "Zmlyc3QtdG9rZW4"
"""Hermes's own session token, as pages send it in addresses. It may stand in no log."""
TYPED = "hunter2-typed-by-mistake"
"""A password that is nobody's, and a part of all that are."""
Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Asked:
    """One request as it is sent. `plain`: not to be understood in two ways, so the tables say how it is answered."""

    number: int
    secure: bool = True
    version: str = "1.1"
    source: str = "203.0.113.5"
    address: str = "198.51.100.10"
    sni: str = ""
    method: str = "GET"
    target: str = "/"
    host: str | None = ""
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    plain: bool = field(default=True)

    def all(self, name: str) -> list[bytes]:
        """The values of that header, in their order."""
        return [value for key, value in self.headers if key.lower() == name.lower().encode()]

    def one(self, name: str) -> str | None:
        """The value, where there is exactly one."""
        values = self.all(name)
        return values[0].decode("latin-1") if len(values) == 1 else None


def basic(name: str | bytes, password: str | bytes, encoding: str = "utf-8") -> bytes:
    """An Authorization header's value."""
    pair = [each.encode(encoding, "replace") if isinstance(each, str) else each for each in (name, password)]
    return b"Basic " + base64.b64encode(pair[0] + b":" + pair[1])


NAVIGATE = (("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"), ("Sec-Fetch-User", "?1"))
FETCH = (("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty"))
SOCKET = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
)
HTML = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
SEC_FETCH_SITE = ("same-origin", "same-site", "cross-site", "none")
NONSENSE = (
    "",
    "Same-Origin",
    "CROSS-SITE",
    "cross-site, none",
    "navigate|",
    "|",
    "none|navigate|",
    "x" * 300,
    "-",
    "é",
)
MODES = ("navigate", "cors", "no-cors", "same-origin", "websocket", "Navigate", "", "nested-navigate")
DESTS = (
    "document",
    "empty",
    "image",
    "iframe",
    "frame",
    "object",
    "embed",
    "script",
    "video",
    "websocket",
    "Document",
    "",
)
ORIGINS = (
    "null",
    "https://evil.example",
    "https://evil.example.com",
    "http://127.0.0.1:9119",
    "http://hermes.example.com",
    "https://hermes.example.com:8443",
    "https://hermes.example.com.evil.example",
    "https://another-site.invalid",
    "",
    "https://hermes.example.com/",
    "|",
)
HOSTS = (
    "evil.example",
    "evil.example.com",
    "127.0.0.1",
    "127.0.0.1:9119",
    "198.51.100.10",
    "[2001:db8::10]",
    "hermes.example.com.evil.example",
    "xhermes.example.com",
    "localhost",
    "hermes.example.com@evil.example",
    "hooks.example.com",
    "old.example.com",
    "older.example.com",
    "calls.example.com",
    "_",
)
UPGRADES = ("h2c", "WebSocket", "websocket, h2c", "TLS/1.0", "websocket ", "", "foo")
SEGMENTS = (
    "api", "status", "config", "chat", "assets", "index-1a2b.js", ".hermes", "sign-in", "sign-out", "password", "webhooks",
    "github", "twilio", "line", "media", "whatsapp", ".well-known", "acme-challenge", "..", ".", "%2e%2e", "%2E", "%2f", "",
    "%2ehermes", ".Hermes", ".hermes%00", "%ff", "a;b", "a:b", "~", "%25", "%3f", "+", "$uri", "@hermes_right", "{x}", "%0d%0aSet-Cookie:x=1",
)  # fmt: skip
PATHS = (
    "/", "/chat", "/sessions?x=1", "/api/status", "/api/config", f"/api/ws?token={SECRET}", "/assets/index-1a2b.js",
    "/favicon.ico", "//", "//api//status", "/api/../", "/a/../../", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f", "/?status=401",
    "/?status=404", "/?status=418", "/?status=419", "/?status=502", "/?status=403", "/?status=500", "/api/x?/.hermes/sign-in",
    "/.hermes/sign-in", "/.hermes//sign-in", "/.hermes/sign-in/", "/.hermes/sign-in?x=1", "/.hermes/sign-in%3fx", "/.Hermes/Sign-In",
    "/%2ehermes/sign-in", "/.hermes/./sign-in", "/x/../.hermes/sign-in", "/.hermes/sign%2din", "/.hermes/sign-in#x",
    "/.hermes/password", "/x/../.hermes/password", "/.hermes/password?next=//evil.example/", "/.hermes/password/", "/.hermes%2fpassword",
    "/.hermes/sign-out", "/.hermes/sign-out?x", "//.hermes/sign-out", "/.hermes/sign-out/../password", "/.hermes", "/.hermes/",
    "/.hermes/other", "/.hermes/sign-in;x", "/.hermes/sign-in%20", "/.hermes/sign-in.css", "/hermes_right", "/@hermes_right", "/@hermes_sign_in",
    "/nonexistent", "/.well-known/acme-challenge/tok", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/../../api/config",
    "/.well-known/acme-challenge/%2e%2e/%2e%2e/api/config", "/.well-known/acme-challenge/..%2f..%2f.hermes/password", "/.well-known/x",
    "/webhooks/github", "/webhooks/github?token=x", "/webhooks/%67ithub", "/webhooks/../api/config", "/webhooks/%2e%2e/api/config",
    "/webhooks//github", "/webhooks/.", "/webhooks/..", "/webhooks/a/../b", "/webhooks/twilio", "/webhooks/twilio/", "/webhooks/a?x=/../",
    "/webhooks/", "/Webhooks/github", "/line/webhook", "/line/media/u1/a.png", "/line/media/u1/..%2f..%2fapi", "/line/media/u1/%2e%2e/x",
    "/line/media/../../api/config", "/whatsapp/webhook", "/whatsapp/webhook?hub.mode=subscribe", "/api/webhooks/github",
)  # fmt: skip
WRONG_PATHS = (
    "*",
    "/%",
    "/%zz",
    "/a b",
    "/%00",
    "api",
    "",
    "/\\",
    "/%u0041",
    "http:/x",
    "/x HTTP/1.1",
    "/../../..",
    "/\x01",
)
METHODS = ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ODD_METHODS = ("get", "TRACE", "CONNECT", "PROPFIND", "FOO", "G-T", "_", "POSTX", "GET/")
LANGUAGES = ("text/html", "application/json", "*/*", "TEXT/HTML", "image/avif,*/*", "", "text/html-ish", "a|text/html")


def cookies(random_: random.Random, site: Site) -> tuple[list[bytes], bool]:
    """Cookie headers, and whether they can be understood in one way only."""
    person = random_.choice([each for each in PEOPLE if each.token])
    other = random_.choice([each for each in PEOPLE if each.token])
    good = f"__Host-hermes_gate={person.token}"
    near = [person.token[:-1], person.token + "0", person.token[:14] + "0" * 18, person.token[:14] + other.token[14:]]
    near += ["0" + person.token[1:], person.token[:-1] + ("0" if person.token[-1] != "0" else "1")]
    bad = f"__Host-hermes_gate={random_.choice([GONE, 'f' * 32, '', 'off', 'x', person.token[14:], *near])}"
    plain = [
        f"{good}",
        f"theme=dark; {good}",
        f"{good}; theme=dark",
        f"a=1; {good}; b=2",
        f"{bad}",
        f"theme=dark; {bad}; b=2",
        f"hermes_gate={person.token}",
        f"hermes_gate={person.token}; {good}",
        f"{good}; hermes_gate={other.token}",
        f"hermes_gate={person.token}; {bad}",
        f"hermes_gate={person.token}; theme=dark",
        f"__Host-hermes_gate={GONE}",
        f"__Host-hermes_gate={OWN}",
        f"__Secure-hermes_gate={person.token}",
        f"x__Host-hermes_gate={person.token}",
        f"a=__Host-hermes_gate={person.token}",
        f"__host-hermes_gate={person.token}",
        f"__Host-Hermes_Gate={person.token}",
        f"__Host-hermes_gate={person.token.upper()}" if person.token.upper() != person.token else bad,
        f'__Host-hermes_gate="{person.token}"',
        f"__Host-hermes_gate ={person.token}",
        f"__Host-hermes_gate= {person.token}",
        f"$Version=1; $__Host-hermes_gate={person.token}",
        "theme=dark",
        "hermes_session=abc; other=1",
    ]
    several = [
        f"a=1;{good}",
        f"a=1;  {good}",
        f"{good};{bad}",
        f"{bad}; {good}",
        f"{good}; __Host-hermes_gate={other.token}",
        f"{good}; {bad}",
        f"{good},b=2",
        f"a=1,{good}",
        f"{good} ; x=1",
        f"\t{good}",
        f"{good} ",
        ("x" * 7000) + f"; {good}",
        f"{good}; " + "y=" + "z" * 7000,
        f"a=1; {good};",
    ]
    if random_.random() < 0.75:
        return [random_.choice(plain).encode()], True
    if random_.random() < 0.3:
        return [random_.choice([*plain, *several]).encode() for _ in range(2)], False
    return [random_.choice(several).encode()], False


def credentials(random_: random.Random) -> tuple[list[bytes], bool]:
    """Authorization headers, and whether they can be understood in one way only."""
    person = random_.choice(PEOPLE)
    other = random_.choice(PEOPLE)
    right = basic(person.name, person.password)
    encoded = right[6:]
    plain = [
        right,
        right,
        basic(person.name, TYPED),
        basic(person.name, other.password if other.name != person.name else TYPED),
        basic(person.name.upper() + "x", person.password),
        basic("nobody", TYPED),
        basic("", ""),
        basic(person.name, ""),
        basic("", person.password),
        basic(person.name + " ", person.password),
        basic("Hermes", ":"),
        b"Bearer " + TYPED.encode(),
        b"Bearer " + encoded,
        b"Digest username=alice",
        b"Negotiate " + encoded,
    ]
    several = [
        b"basic " + encoded,
        b"BASIC " + encoded,
        b"Basic   " + encoded,
        b"Basic " + encoded.rstrip(b"="),
        b"Basic " + encoded + b" ",
        b"Basic " + encoded + b", Basic " + encoded,
        b"Basic " + encoded + b"!",
        b"Basic %%%%",
        b"Basic",
        b"Basic ",
        b"Basic\t" + encoded,
        b"",
        b"Basic " + base64.b64encode(person.name.encode()),
        basic(person.name.encode() + b"\0x", person.password),
        basic(person.name, person.password.encode() + b"\0" + TYPED.encode()),
        basic(person.name, person.password.encode() + b"\n"),
        basic(person.name, person.password, "latin-1"),
        basic(person.name.encode() + b"\xff", person.password),
        basic("off", "off"),
        basic('alice" tried=right', TYPED),
        basic("alice\n203.0.113.99 - -", TYPED),
        basic("a" * 3000, TYPED),
        encoded,
    ]
    if random_.random() < 0.7:
        return [random_.choice(plain)], True
    if random_.random() < 0.2:
        return [random_.choice([*plain, *several]) for _ in range(2)], False
    return [random_.choice(several)], False


def _pairs(*pairs: tuple[str, str]) -> list[Header]:
    return [(key.encode("latin-1"), value.encode("latin-1")) for key, value in pairs]


def _whole(random_: random.Random, site: Site, number: int) -> Asked:
    """What a browser, a program or a platform would send."""
    person: Person = random_.choice(PEOPLE)
    page = random_.choice(["/", "/chat", "/sessions?x=1"])
    fetched = random_.choice(["/api/status", "/api/config", "/assets/index-1a2b.js", "/api/config?x=%2e%2e"])
    sites = random_.choice(SEC_FETCH_SITE)
    right = (b"Authorization", basic(person.name, person.password))
    wrong = (b"Authorization", basic(person.name, TYPED))
    own = ("Origin", site.origin)
    elsewhere = ("Origin", random_.choice(ORIGINS[:3]))
    password = right if random_.random() < 0.6 else wrong
    kind = random_.choice(
        "page page script socket program program old sign-in sign-in sign-out password hook hook hook form challenge".split()
    )
    asked = Asked(number, host=site.domain)
    if kind == "page":
        return replace(asked, target=page, headers=tuple(_pairs(HTML, ("Sec-Fetch-Site", sites), *NAVIGATE)))
    if kind == "script":
        headers = _pairs(("Sec-Fetch-Site", sites), *FETCH, *([own] if random_.random() < 0.5 else []))
        headers += [password] if random_.random() < 0.5 else []
        return replace(asked, method=random_.choice(["GET", "GET", "POST"]), target=fetched, headers=tuple(headers))
    if kind == "socket":
        headers = _pairs(*SOCKET, random_.choice([own, elsewhere])) + ([right] if random_.random() < 0.5 else [])
        return replace(asked, target=f"/api/ws?token={SECRET}", headers=tuple(headers))
    if kind == "program":
        headers = _pairs(("Accept", "*/*"), *([("Sec-Fetch-Mode", "cors")] if random_.random() < 0.2 else []))
        headers += _pairs(*SOCKET) if random_.random() < 0.2 else []
        headers += [password] if random_.random() < 0.8 else []
        return replace(asked, method=random_.choice(["GET", "HEAD", "POST"]), target=fetched, headers=tuple(headers))
    if kind == "old":
        return replace(asked, target=page, headers=tuple(_pairs(HTML) + ([password] if random_.random() < 0.5 else [])))
    if kind == "sign-in":
        headers = [password, *_pairs(own, ("Sec-Fetch-Site", "same-origin"), *FETCH)]
        return replace(asked, method="POST", target="/.hermes/sign-in", headers=tuple(headers))
    if kind in ("sign-out", "password"):
        fetch = _pairs(("Sec-Fetch-Site", sites), *NAVIGATE) if random_.random() < 0.8 else []
        headers = [*_pairs(HTML), *fetch, *([password] if random_.random() < 0.7 else [])]
        return replace(asked, target=f"/.hermes/{kind}", headers=tuple(headers))
    if kind == "hook":
        paths = [path for path in PATHS if path.startswith(("/webhooks", "/line", "/whatsapp"))]
        plainly = [path for path in paths if hook_at(site, path)]
        target = random_.choice(plainly if plainly and random_.random() < 0.5 else paths)
        host = random_.choice([*site.hooks_on, *site.hooks_on, site.domain])
        headers = _pairs(
            ("X-Hub-Signature-256", "sha256=0"), ("Authorization", random_.choice(["Bearer x", "Basic eDp5"]))
        )
        method = random_.choice(["POST", "POST", "POST", "GET"])
        source = random_.choice(["192.30.252.1", "192.30.252.1", "203.0.113.5"])
        return replace(asked, method=method, target=target, host=host, headers=tuple(headers), source=source)
    if kind == "challenge":
        return replace(asked, secure=random_.random() < 0.5, target="/.well-known/acme-challenge/tok")
    headers = _pairs(HTML, elsewhere, ("Sec-Fetch-Site", random_.choice(["cross-site", "same-site"])), *NAVIGATE)
    return replace(asked, method="POST", target=fetched, headers=(*headers, password), body=b"a=1")


def _exchange(random_: random.Random, asked: Asked, name: str, values: Sequence[bytes]) -> Asked:
    """The header has these values instead, at any place among the others."""
    kept = [pair for pair in asked.headers if pair[0].lower() != name.lower().encode()]
    for value in values:
        kept.insert(random_.randint(0, len(kept)), (name.encode(), value))
    return replace(asked, headers=tuple(kept))


def _changed(random_: random.Random, asked: Asked, site: Site) -> Asked:
    """One part of it is another one."""
    part = random_.choice(
        "path path method host cookie cookie cookie credentials credentials fetch fetch origin upgrade accept look tricks "
        "version source body wild".split()
    )
    plain = asked.plain
    if part == "path":
        if random_.random() < 0.6:
            return replace(asked, target=random_.choice(PATHS))
        target = "/" + random_.choice(["/", "/", "//", "%2f"]).join(random_.choices(SEGMENTS, k=random_.randint(1, 5)))
        return replace(asked, target=target)
    if part == "method":
        odd = random_.random() < 0.2
        method = random_.choice(ODD_METHODS if odd else METHODS)
        return replace(asked, method=method, plain=plain and not odd)
    if part == "host":
        choice = random_.random()
        if choice < 0.45:
            return replace(asked, host=random_.choice([*HOSTS, *site.names]))
        if choice < 0.65:
            names = [f"{site.domain}:443", f"{site.domain}:9119", site.domain.upper(), f"{site.domain}."]
            return replace(asked, host=random_.choice(names))
        if choice < 0.75:
            return replace(asked, host=None, plain=False)
        if choice < 0.85:
            return replace(asked, sni=random_.choice([*HOSTS[:2], *site.names]))
        if choice < 0.95 and asked.target.startswith("/") and asked.version != "2":
            name = random_.choice([site.domain, site.domain, "evil.example", *site.names])
            return replace(asked, target=f"{random_.choice(['http', 'https'])}://{name}{asked.target}", plain=False)
        return _exchange(random_, replace(asked, plain=False), "Host", [random_.choice(HOSTS).encode()])
    if part == "cookie":
        values, whole = cookies(random_, site)
        return _exchange(random_, replace(asked, plain=plain and whole), "Cookie", values)
    if part == "credentials":
        values, whole = credentials(random_)
        return _exchange(random_, replace(asked, plain=plain and whole), "Authorization", values)
    if part == "fetch":
        name = random_.choice(["Site", "Site", "Mode", "Dest"])
        pool = {"Site": SEC_FETCH_SITE, "Mode": MODES, "Dest": DESTS}[name]
        if random_.random() < 0.2:
            values = [random_.choice([*pool, *NONSENSE]).encode("utf-8") for _ in range(random_.choice([1, 1, 2]))]
            return _exchange(random_, replace(asked, plain=False), f"Sec-Fetch-{name}", values)
        values = [random_.choice(pool).encode()] if random_.random() < 0.85 else []
        return _exchange(random_, asked, f"Sec-Fetch-{name}", values)
    if part == "origin":
        origin = random_.choice([site.origin, site.origin, site.origin.upper(), *ORIGINS])
        several = random_.random() < 0.05 or origin != origin.lower()
        values = [origin.encode()] * (2 if several and origin == origin.lower() else 1)
        return _exchange(random_, replace(asked, plain=plain and not several), "Origin", values)
    if part == "upgrade":
        odd = random_.random() < 0.5
        if not odd:
            for key, value in SOCKET:
                asked = _exchange(random_, asked, key, [value.encode()])
            return asked
        return _exchange(random_, replace(asked, plain=False), "Upgrade", [random_.choice(UPGRADES).encode()])
    if part == "accept":
        return _exchange(random_, asked, "Accept", [random_.choice(LANGUAGES).encode()])
    if part == "look":
        look = random_.choice([OWN, OWN, GONE, OWN.upper(), "yes", PEOPLE[0].token]).encode()
        source = random_.choice(["127.0.0.1", asked.source])
        asked = replace(asked, source=source, address="127.0.0.1" if source == "127.0.0.1" else asked.address)
        return _exchange(random_, asked, "X-Hermes-Look", [look])
    if part == "tricks":
        header: Header = random_.choice(
            [
                (b"Connection", b"close, Authorization"),
                (b"Connection", b"Cookie, Upgrade"),
                (b"Connection", b"keep-alive, X-Forwarded-For, Origin"),
                (b"X-Forwarded-For", b"127.0.0.1"),
                (b"X-Forwarded-Host", b"evil.example"),
                (b"X-Forwarded-Proto", b"http"),
                (b"X-Forwarded-Prefix", b"/evil"),
                (b"X-Real-IP", b"127.0.0.1"),
                (b"Forwarded", b"for=127.0.0.1"),
                (b"X-Original-URL", b"/.hermes/sign-in"),
                (b"X-Rewrite-URL", b"/api/config"),
                (b"X-Accel-Redirect", b"/@hermes_right"),
                (b"X-HTTP-Method-Override", b"GET"),
                (b"Remote-User", b"alice"),
                (b"Authorization_", b"Basic x"),
                (b"X_Hermes_Look", OWN.encode()),
                (b"Expect", b"100-continue"),
                (b"Proxy-Authorization", basic("alice", PEOPLE[0].password)),
                (b"CF-Connecting-IP", b"203.0.113.5"),
                (b"CF-Connecting-IP", b"203.0.113.77"),
                (b"CF-Connecting-IP", b"127.0.0.1"),
                (b"CF-Connecting-IP", b"not an address"),
                (b"Range", b"bytes=0-1"),
                (b"If-None-Match", b"*"),
                (b"HTTP2-Settings", b"AAMAAABkAAQCAAAAAAIAAAAA"),
                (b"TE", b"trailers"),
                (b"X-Long", b"x" * 6000),
            ]
        )
        once = not asked.all(header[0].decode())
        return replace(asked, headers=(*asked.headers, header), plain=plain and once)
    if part == "version":
        return replace(asked, version=random_.choice(["1.0", "1.1", "2", "2", "2"]))
    if part == "source":
        source = random_.choice(["203.0.113.5", "203.0.113.77", "198.51.100.10", "127.0.0.1", "173.245.48.9", "2001:db8:5::77",
                                 "2a0a:a440::5", "2001:db9::1", "192.30.252.1", "2400:cb00::1"])  # fmt: skip
        address = "127.0.0.1" if source == "127.0.0.1" else "2001:db8::10" if ":" in source else "198.51.100.10"
        return replace(asked, source=source, address=address)
    if part == "body":
        if random_.random() < 0.5:
            return replace(
                asked, body=random_.choice([b"x" * 10, b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", b"{}" * 3000])
            )
        inner = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1:9119\r\n\r\n"
        chunk = f"{len(inner):x}\r\n".encode() + inner + b"\r\n0\r\n\r\n"
        length = random_.choice([[], [], [(b"Content-Length", b"4")]])
        coding = random_.choice([b"chunked", b"chunked", b"Chunked", b"identity, chunked", b"\x0bchunked", b"xchunked"])
        return replace(
            asked, headers=(*asked.headers, *length, (b"Transfer-Encoding", coding)), body=chunk, plain=False
        )
    wild = random_.random()
    if wild < 0.25:
        return replace(asked, target=random_.choice(WRONG_PATHS), plain=False)
    if wild < 0.5:
        odd_name = random_.choice(
            [b"Authorization ", b" Cookie", b"X\0Y", b"", b"Coo_kie", b"A" * 300, b"\xe9", b":path"]
        )
        return replace(asked, headers=(*asked.headers, (odd_name, b"x")), plain=False)
    if wild < 0.75:
        odd_name = random_.choice([b"Authorization", b"Origin", b"Sec-Fetch-Site", b"X-Y", b"Upgrade"])
        odd_value = random_.choice([b"a\0b", b"\xff\xfe", b"a\rb", b"\x7f", b"a\n b", b"  \t "])
        return replace(asked, headers=(*asked.headers, (odd_name, odd_value)), plain=False)
    return replace(asked, version=random_.choice(["1.1 ", "1.2", "0.9", "2.0", "3.0"]), plain=False)


def make(seed: int, site: Site, number: int) -> Asked:
    """The request of that number on that site."""
    random_ = random.Random(f"{seed}:{site.name}:{number}")
    asked = _whole(random_, site, number)
    if random_.random() < 0.25:  # who is signed in
        person = random_.choice([each for each in PEOPLE if each.token])
        asked = _exchange(random_, asked, "Cookie", [f"__Host-hermes_gate={person.token}".encode()])
    if random_.random() < 0.15:
        asked = replace(asked, secure=False, version="1.1") if random_.random() < 0.2 else asked
    for _ in range(random_.choice([0, 1, 1, 1, 2, 2, 3, 5])):
        asked = _changed(random_, asked, site)
    if not site.tls:
        asked = replace(asked, secure=False)
    if asked.version == "2" and not (asked.secure and site.http2):
        asked = replace(asked, version="1.1")
    if asked.version == "1.0" and asked.all("Upgrade"):
        asked = replace(asked, plain=False)  # HTTP/1.0 has no upgrade
    agent = f"law/{number}"
    if random_.random() < 0.1:
        agent += random_.choice(
            ['" tried=wrong', " tried=right", '" 200 0 0.0 "x" tried=wrong', " é\x7f", " [27/Nov/2020:00:00:00 +0000]"]
        )
    headers = ((b"User-Agent", agent.encode("latin-1")), *asked.headers)
    return replace(asked, headers=headers, sni=asked.sni or site.domain)
