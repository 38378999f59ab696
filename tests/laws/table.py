"""The table of who asks and how that is answered, row by row: who, with what, and what is to come back."""

from __future__ import annotations

from dataclasses import replace

from lab import spaces

from . import wire
from .asked import FETCH, HTML, NAVIGATE, SECRET, SOCKET, TYPED, Asked, Header, basic
from .check import Bench, Exchange
from .sites import GONE, OWN, PEOPLE, Site
from .stand_in import StandIn

ALICE, BOB = PEOPLE[0], PEOPLE[2]
RIGHT = (b"Authorization", basic(ALICE.name, ALICE.password))
WRONG = (b"Authorization", basic(ALICE.name, TYPED))
COOKIE = (b"Cookie", f"theme=dark; __Host-hermes_gate={ALICE.token}".encode())
BOTH = (b"Cookie", f"hermes_gate={ALICE.token}; __Host-hermes_gate={ALICE.token}".encode())
BOBS = (b"Cookie", f"__Host-hermes_gate={BOB.token}".encode())
ENDED = (b"Cookie", f"__Host-hermes_gate={GONE}".encode())
BEFORE = (b"Cookie", f"hermes_gate={ALICE.token}".encode())
OURS, OURS_IN = ("Sec-Fetch-Site", "same-origin"), ("Origin", "https://hermes.example.com")
TYPED_IN, ELSEWHERE, SIBLING = (("Sec-Fetch-Site", each) for each in ("none", "cross-site", "same-site"))
EVIL = ("Origin", "https://evil.example.com")
AHEAD = ("Sec-Purpose", "prefetch;prerender")
AS_PICTURE = (("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image"))
OWN_COOKIE = (b"Cookie", f"__Host-hermes_gate={OWN}".encode())
AT_HOME = "hermes-setup's own look, on the server"
AS_FRAME = (("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe"))

PAGE = "401, the sign-in page, no challenge"
NO = "401, no challenge"
CHALLENGE = "401, challenge"
LET_IN = "200, Hermes"
EARNED = "200, Hermes, alice's cookie"
IN = "204, alice's cookie"
WRONG_WORD = "403 wrong"
FOREIGN = "403"
OUT = "200, signed out, old cookie too"
BUTTON = "200, a button"
WS = f"/api/ws?token={SECRET}"

Row = tuple[str, str, str, tuple[Header | tuple[str, str], ...], str]
ROWS: tuple[Row, ...] = (
    ("a page is opened", "GET", "/chat", (HTML, TYPED_IN, *NAVIGATE), PAGE),
    ("a page is opened, the browser remembers a password", "GET", "/chat", (HTML, TYPED_IN, *NAVIGATE, RIGHT), PAGE),
    ("a link from elsewhere", "GET", "/chat", (HTML, ELSEWHERE, *NAVIGATE), PAGE),
    ("a page is opened, the cookie has ended", "GET", "/", (HTML, OURS, *NAVIGATE, ENDED), PAGE),
    ("a page is opened, with the first version's cookie", "GET", "/", (HTML, OURS, *NAVIGATE, BEFORE), PAGE),
    ("an older browser", "GET", "/", (HTML,), PAGE),
    ("an older browser that remembers a password", "GET", "/", (HTML, RIGHT), EARNED),
    ("an older browser that remembers a wrong one", "GET", "/", (HTML, WRONG), CHALLENGE),
    ("what a page fetches", "GET", "/api/config", (OURS, *FETCH), NO),
    ("what a page fetches, with a remembered password", "GET", "/api/config", (OURS, *FETCH, RIGHT), NO),
    ("what a page posts, with a remembered password", "POST", "/api/config", (OURS, OURS_IN, *FETCH, RIGHT), NO),
    ("Chromium's socket, with a remembered password", "GET", WS, (*SOCKET, OURS_IN, RIGHT), NO),
    ("Firefox's socket", "GET", WS, (*SOCKET, OURS_IN, OURS, ("Sec-Fetch-Mode", "websocket")), NO),
    ("curl", "GET", "/api/status", (("Accept", "*/*"),), CHALLENGE),
    ("curl, wrong password", "GET", "/api/status", (("Accept", "*/*"), WRONG), CHALLENGE),
    ("curl, right password", "GET", "/api/status", (("Accept", "*/*"), RIGHT), EARNED),
    ("Node's fetch, right password", "GET", "/api/status", (("Sec-Fetch-Mode", "cors"), RIGHT), EARNED),
    ("a program's POST, right password", "POST", "/api/x", (RIGHT,), EARNED),
    ("a program's socket, right password", "GET", WS, (*SOCKET, RIGHT), "101, Hermes"),
    ("a program's socket with an Origin, right password", "GET", WS, (*SOCKET, OURS_IN, RIGHT), NO),
    ("a program's socket with an Origin and the cookie", "GET", WS, (*SOCKET, OURS_IN, COOKIE), "101, Hermes"),
    ("signed in: a page", "GET", "/chat", (HTML, OURS, *NAVIGATE, COOKIE), LET_IN),
    ("signed in: what it fetches", "GET", "/api/config", (OURS, *FETCH, COOKIE), LET_IN),
    ("signed in: its socket", "GET", WS, (*SOCKET, OURS_IN, COOKIE), "101, Hermes"),
    ("signed in: its POST", "POST", "/api/config", (OURS, OURS_IN, *FETCH, COOKIE), LET_IN),
    ("signed in: a link from elsewhere", "GET", "/chat", (HTML, ELSEWHERE, *NAVIGATE, COOKIE), LET_IN),
    ("signed in: a form elsewhere", "POST", "/api/config", (HTML, ELSEWHERE, EVIL, *NAVIGATE, COOKIE), FOREIGN),
    ("signed in: a form on a sibling", "POST", "/api/config", (HTML, SIBLING, EVIL, *NAVIGATE, COOKIE), FOREIGN),
    ("signed in: a fetch elsewhere", "GET", "/api/config", (ELSEWHERE, EVIL, *FETCH, COOKIE), FOREIGN),
    ("signed in: an image elsewhere", "GET", "/api/x.png", (SIBLING, ("Sec-Fetch-Mode", "no-cors"), COOKIE), FOREIGN),
    ("signed in: a frame on a sibling", "GET", "/", (HTML, SIBLING, *AS_FRAME, COOKIE), FOREIGN),
    ("signed in: a socket elsewhere", "GET", WS, (*SOCKET, EVIL, COOKIE), FOREIGN),
    ("signed in: an old browser's form elsewhere", "POST", "/api/config", (HTML, EVIL, COOKIE), FOREIGN),
    ("the sign-in form, right", "POST", "/.hermes/sign-in", (OURS, OURS_IN, *FETCH, RIGHT), IN),
    ("the sign-in form, wrong", "POST", "/.hermes/sign-in", (OURS, OURS_IN, *FETCH, WRONG), WRONG_WORD),
    ("the sign-in form, nothing", "POST", "/.hermes/sign-in", (OURS, OURS_IN, *FETCH), WRONG_WORD),
    ("the sign-in form, right, as bob's browser", "POST", "/.hermes/sign-in", (OURS, OURS_IN, *FETCH, RIGHT, BOBS), IN),
    ("a form elsewhere signs in", "POST", "/.hermes/sign-in", (ELSEWHERE, EVIL, *NAVIGATE, RIGHT), FOREIGN),
    ("the dialog's page, typed in", "GET", "/.hermes/password", (HTML, TYPED_IN, *NAVIGATE), CHALLENGE),
    (
        "the dialog's page, right",
        "GET",
        "/.hermes/password",
        (HTML, OURS, *NAVIGATE, RIGHT),
        "303 to /, alice's cookie",
    ),
    ("the dialog's page, wrong", "GET", "/.hermes/password", (HTML, OURS, *NAVIGATE, WRONG), CHALLENGE),
    ("the dialog's page, an older browser", "GET", "/.hermes/password", (HTML, RIGHT), "303 to /, alice's cookie"),
    ("the dialog's page, linked elsewhere", "GET", "/.hermes/password", (HTML, ELSEWHERE, *NAVIGATE, RIGHT), FOREIGN),
    ("the dialog's page, fetched", "GET", "/.hermes/password", (OURS, *FETCH, RIGHT), FOREIGN),
    ("the dialog's page, a sibling's socket", "GET", "/.hermes/password", (*SOCKET, EVIL, RIGHT), FOREIGN),
    ("sign-out, typed in", "GET", "/.hermes/sign-out", (HTML, TYPED_IN, *NAVIGATE, BOTH), OUT),
    ("sign-out, our own link", "GET", "/.hermes/sign-out", (HTML, OURS, *NAVIGATE, BOTH), OUT),
    ("sign-out, an older browser", "GET", "/.hermes/sign-out", (HTML, BOTH), OUT),
    ("sign-out, linked elsewhere", "GET", "/.hermes/sign-out", (HTML, ELSEWHERE, *NAVIGATE, COOKIE), BUTTON),
    (AT_HOME, "GET", "/", (OWN_COOKIE,), LET_IN),
    ("hermes-setup's own cookie, elsewhere", "GET", "/", (OWN_COOKIE,), CHALLENGE),
    ("the dashboard's picture of the sign-out", "GET", "/.hermes/sign-out", (OURS, *AS_PICTURE, COOKIE), BUTTON),
    (
        "a browser loads the sign-out ahead",
        "GET",
        "/.hermes/sign-out",
        (HTML, TYPED_IN, *NAVIGATE, AHEAD, COOKIE),
        BUTTON,
    ),
    ("the dashboard's script asks for the sign-out", "GET", "/.hermes/sign-out", (OURS, *FETCH, COOKIE), BUTTON),
    ("a form of the dashboard's posts to it", "POST", "/.hermes/sign-out", (HTML, OURS, *NAVIGATE, COOKIE), BUTTON),
    ("the certificate's challenge", "GET", "/.well-known/acme-challenge/tok", (), "200, the challenge's file"),
)


def request(number: int, row: Row) -> Asked:
    """The row as a request."""
    who, method, target, pairs, _ = row
    headers: list[Header] = [(b"User-Agent", f"law/{number}".encode())]
    for key, value in pairs:
        headers.append(
            (key if isinstance(key, bytes) else key.encode(), value if isinstance(value, bytes) else value.encode())
        )
    asked = Asked(
        number,
        method=method,
        target=target,
        host="hermes.example.com",
        sni="hermes.example.com",
        headers=tuple(headers),
    )
    return replace(asked, source="127.0.0.1", address="127.0.0.1") if who == AT_HOME else asked


def words(site: Site, exchange: Exchange) -> str:
    """What came back."""
    answer, kind = exchange.answer, exchange.kind(site)
    given = [f"{each.name}'s cookie" for each in PEOPLE if each.token and each.token in answer.one("Set-Cookie")]
    parts = {
        "hermes": [str(answer.status), "Hermes"],
        "page": ["401", "the sign-in page", "no challenge"],
        "no challenge": ["401", "no challenge"],
        "challenge": ["401", "challenge"],
        "wrong": ["403 wrong"],
        "to the page": [f"303 to {answer.one('Location').removeprefix(site.origin)}"],
        "signed out": [
            "200",
            "signed out",
            *(["old cookie too"] if " hermes_gate=;" in f" {answer.one('Set-Cookie')}" else []),
        ],
        "button": ["200", "a button"],
        "challenge file": ["200", "the challenge's file"],
    }.get(kind, [str(answer.status)])
    return ", ".join(parts + given)


def fill(bench: Bench, site: Site) -> list[tuple[Row, str]]:
    """Each row, and what came back."""
    with bench.serving(site), StandIn(bench.machine.net, site.upstreams) as stand_in:

        def go() -> list[tuple[Row, str]]:
            found = []
            for number, row in enumerate(ROWS):
                asked = request(number, row)
                connection = wire.Connection(asked)
                exchange = Exchange(asked, connection.ask(asked), tuple(stand_in.reached.pop(number, ())))
                connection.close()
                found.append((row, words(site, exchange)))
            return found

        return spaces.in_net(bench.machine.net, go)
