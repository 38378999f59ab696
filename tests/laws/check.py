"""Sends the requests to a golden site in a machine and holds what happens against the oracle."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from passlib.hash import sha512_crypt

from hermes_setup.nginx.render import Renderer
from hermes_setup.stages.users import cookies
from lab import Machine, lab_authority, spaces

from . import wire
from .asked import SECRET, TYPED, Asked, make
from .oracle import PASSWORD, SIGN_IN, Oracle
from .sites import CLOUDFLARE, GONE, OWN, PEOPLE, Site
from .stand_in import MARK, Reached, StandIn

Plant = Callable[[str, str], tuple[str, str]]
"""Makes a site and a gate file of a site and a gate file."""
THREADS = 6
USERS_FILE = "/etc/nginx/.htpasswd-hermes"
ACCESS_LOG, ERROR_LOG = "/var/log/nginx/hermes-access.log", "/var/log/nginx/error.log"
CHALLENGE_FILE = "/var/www/letsencrypt/.well-known/acme-challenge/tok"
CHALLENGE_SAYS = b"the challenge's answer"
SECRETS = [TYPED, SECRET, OWN, GONE, *(each.token for each in PEOPLE if each.token)]
SECRETS += [each.password for each in PEOPLE if len(each.password) > 10]
LOCAL = ("203.0.113.0/24", "192.30.252.0/22", "2001:db8:5::/48", "2001:db9::/48", "2a0a:a440::/32", *CLOUDFLARE)
OURS = {
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


@dataclass(frozen=True)
class Exchange:
    """A request, what came back, and what reached anything behind nginx."""

    asked: Asked
    answer: wire.Answer
    reached: tuple[Reached, ...]

    def kind(self, site: Site) -> str:
        """The answer in the words of the tables."""
        answer, body = self.answer, self.answer.body
        if any(one.port == site.backend[1] for one in self.reached):
            return "hermes"
        if self.reached:
            return "hook"
        set_cookie = answer.one("Set-Cookie")
        given = re.search(r"hermes_gate=[^;]", set_cookie)
        if answer.status == 401:
            if answer.all("WWW-Authenticate"):
                return "challenge"
            return "page" if b"<form" in body else "no challenge"
        if answer.status == 403:
            if body.strip() == b"wrong":
                return "wrong"
            return "refused" if b"only to some addresses" in body else "403"
        if answer.status == 304 and "__Host-hermes_gate=;" in set_cookie:
            return "signed out"
        if answer.status == 200:
            if body == CHALLENGE_SAYS:
                return "challenge file"
            if "__Host-hermes_gate=;" in set_cookie:
                return "signed out"
            return "button" if b"<button>" in body else "200"
        if answer.status in (301, 302, 307, 308):
            return "moved"
        if given and answer.status in (204, 303):
            return "signed in" if answer.status == 204 else "to the page"
        return "closed" if not answer.status else str(answer.status)


def broken(site: Site, exchange: Exchange) -> list[str]:
    """What of the laws and the tables does not hold for it."""
    asked, answer = exchange.asked, exchange.answer
    oracle, kind = Oracle(site, asked), exchange.kind(site)
    found = [*_cookie_given(site, oracle, exchange), *_let_in(site, oracle, exchange)]
    if len(exchange.reached) > 1:
        found.append("it came out of nginx more than once")
    for one in exchange.reached:
        found += _as_sent_on(site, oracle, one)
    upgraded = answer.status == 101 and asked.version == "2"  # with nothing behind it
    if (
        not upgraded
        and bool(exchange.reached) != (MARK.encode() in answer.body)
        and asked.method != "HEAD"
        and answer.status
    ):
        found.append("the answer is Hermes's, and Hermes was not asked; or the other way round")
    outcomes = oracle.outcomes
    if outcomes is not None and asked.method == "HEAD":
        outcomes |= _WITHOUT_BODY if outcomes & _WITHOUT_BODY else frozenset()
        outcomes |= _FILE if outcomes & _FILE else frozenset()
        outcomes |= _FORBIDDEN if outcomes & _FORBIDDEN else frozenset()
    if outcomes is not None and kind not in outcomes:
        found.append(f"the tables say: {', '.join(sorted(outcomes))}")
    if kind in ("page", "refused", "signed out", "button") and answer.status != 304:
        if answer.one("Content-Type") != "text/html; charset=utf-8":
            found.append(f"a page of type {answer.one('Content-Type')}")
        if answer.one("Cache-Control") != "no-store":
            found.append(f"a page that may be kept: Cache-Control: {answer.one('Cache-Control')}")
    if asked.secure and oracle.name in site.names and kind not in ("closed", "400") and asked.plain:
        for name, value in OURS.items():
            if answer.all(name) != [value]:
                found.append(f"{name}: {answer.one(name) or 'not there'}")
        policies, hook = answer.all("Content-Security-Policy"), oracle.hook
        if not any("frame-ancestors 'self'" in each or "frame-ancestors 'none'" in each for each in policies):
            found.append("may be framed: Content-Security-Policy does not forbid it")
        if hook and not all("default-src 'none'; sandbox;" in each for each in policies):
            found.append("a platform's answer may be a page")
        if hook and any(map(answer.all, ("Service-Worker-Allowed", "Clear-Site-Data", "Refresh"))):
            found.append("a platform's answer tells a browser what to do with the dashboard's pages")
        if bool(answer.all("Strict-Transport-Security")) != site.trusted:
            found.append(f"Strict-Transport-Security: {answer.one('Strict-Transport-Security') or 'not there'}")
    return found


_WITHOUT_BODY = frozenset({"page", "no challenge"})
_FILE = frozenset({"challenge file", "200", "button"})
_FORBIDDEN = frozenset({"403", "refused", "wrong"})


def _cookie_given(site: Site, oracle: Oracle, exchange: Exchange) -> list[str]:
    """Law 1."""
    found = []
    asked, answer = exchange.asked, exchange.answer
    given = [each for each in answer.all("Set-Cookie") if re.search(r"hermes_gate=[^;]", each)]
    said = " ".join(f"{key}: {value}" for key, value in answer.headers) + answer.body.decode("latin-1")
    if not given and any(person.token in said for person in PEOPLE if person.token):
        found.append("law 1: a token stands in the answer, and not in a cookie")
    for each in given:
        earned = [person.token for person in oracle.persons if person.token]
        token = re.search(r"__Host-hermes_gate=([0-9a-f]{32}); Path=/", each)
        if not asked.secure or not oracle.password_counts or not token or token[1] not in earned:
            found.append(f"law 1: a cookie that no password of this request has earned: {each}")
        if oracle.name not in (site.domain, None) or oracle.refused or oracle.foreign:
            found.append(f"law 1: a cookie where there is none to be had: {each}")
        if not all(word in each for word in ("Secure", "HttpOnly", "SameSite")):
            found.append(f"a cookie without its marks: {each}")
    if len(given) > 1:
        found.append("two cookies at once")
    person = oracle.person
    if asked.plain and person and person.token and oracle.holder is None and exchange.kind(site) == "hermes":
        if answer.status == 200 and not given:
            found.append("no cookie for a right password")
    return found


def _let_in(site: Site, oracle: Oracle, exchange: Exchange) -> list[str]:
    """Laws 2 and 3, and that nothing goes through the visitor, or past a list or a name."""
    found = []
    asked = exchange.asked
    ports = {one.port for one in exchange.reached}
    if not ports:
        return []
    if not asked.secure:
        found.append("reached over http")
    if ports - {site.backend[1]}:
        hook = oracle.hook
        if not hook or {hook.port} != ports or asked.method not in hook.methods:
            found.append("a platform was reached by what is none of its hooks")
        if site.hooks_allow and not within_any(asked, oracle, site.hooks_allow):
            found.append("a platform was reached from an address that may not")
        return found
    by_password = oracle.persons and oracle.visitor in ("program", "old")
    if not oracle.holders and not by_password:
        law = 3 if oracle.persons else 2
        found.append(f"law {law}: Hermes was reached without a good cookie, by a {oracle.visitor}")
    if oracle.foreign:
        found.append("a page elsewhere acted through the visitor")
    if oracle.refused and len(asked.all("CF-Connecting-IP")) < 2:
        found.append("reached from an address that is not allowed")
    if oracle.name not in (site.domain, None):
        found.append(f"reached by the name {oracle.name}")
    path = oracle.path
    if path and re.match("/.hermes/(sign-in|sign-out|password)$", path):
        found.append("a path of ours came out at Hermes")
    return found


def within_any(asked: Asked, oracle: Oracle, networks: tuple[str, ...]) -> bool:
    """The address that counts is in there; where two are said, that is open."""
    from .sites import within

    return len(asked.all("CF-Connecting-IP")) > 1 or within(oracle.address, networks)


def _as_sent_on(site: Site, oracle: Oracle, one: Reached) -> list[str]:
    """What reaches Hermes tells it no secret of the gate and nothing that the visitor made up."""
    found = []
    for key, value in one.headers:
        if any(secret.lower() in value.lower() for secret in SECRETS if secret not in (SECRET, TYPED)):
            found.append(f"a secret of the gate is sent on: {key}: {value}")
    if any("hermes_gate" in value.lower() for value in one.all("Cookie")):
        found.append(f"the gate's cookie is sent on: {one.all('Cookie')}")
    if [each for each in one.all("X-Forwarded-Prefix") if each] or one.all("X-Hermes-Look"):
        found.append("a header that the visitor made up is sent on")
    address = [oracle.address] if one.port != site.backend[1] or site.forwarded_for else []
    if one.all("X-Forwarded-For") != address and len(oracle.asked.all("CF-Connecting-IP")) < 2:
        found.append(f"X-Forwarded-For: {one.all('X-Forwarded-For')}, not {address}")
    if one.all("X-Forwarded-Proto") != ["https"]:
        found.append(f"X-Forwarded-Proto: {one.all('X-Forwarded-Proto')}")
    if one.port != site.backend[1]:
        if one.all("Cookie") or any(value[:6].lower() == "basic " for value in one.all("Authorization")):
            found.append("a platform is told a cookie or a password")
        return found
    if one.all("Authorization"):
        found.append("the password is sent on")
    if one.all("Host") != [site.authority]:
        found.append(f"Host: {one.all('Host')}")
    if set(one.all("Upgrade")) - {"websocket"} or (one.all("Upgrade") and oracle.asked.version in ("1.0", "2")):
        found.append(f"Upgrade: {one.all('Upgrade')}")
    sent = [each.decode("latin-1") for each in oracle.asked.all("Origin")]
    ours, theirs = f"http://{site.authority}", "https://another-site.invalid"
    fit = {ours} if sent == [site.origin] else {theirs}
    if site.origin in [each.lower() for each in sent]:
        fit.add(ours)  # in capitals, or one of two: no browser sends it
    if set(one.all("Origin")) - fit or (sent == [site.origin] and one.all("Origin") != [ours]):
        found.append(f"Origin: {one.all('Origin')}")
    kept = "theme=dark" in b" ".join(oracle.asked.all("Cookie")).decode("latin-1")
    if oracle.asked.plain and kept and "theme=dark" not in " ".join(one.all("Cookie")):
        found.append(f"another cookie is lost: {one.all('Cookie')}")
    return found


_LINE = re.compile(
    r'(?P<address>\S+) - (?P<who>.*?) \[\d\d/\w{3}/\d{4}:[^]]+\] ".*" (?P<status>\d{3}) \d+ [0-9.]+ '
    r'"law/(?P<number>\d+)[^"]*" tried=(?P<tried>-|right|wrong)'
)


def told(site: Site, exchanges: Sequence[Exchange], access: str, error: str) -> dict[int, list[str]]:
    """Laws 5 and 6: what is wrong in the logs, by number of the request; -1: of none in particular."""
    found: dict[int, list[str]] = {}

    def add(number: int, what: str) -> None:
        found.setdefault(number, []).append(what)

    for where, text in (("access", access), ("error", error)):
        for secret in SECRETS:
            if secret.lower() in text.lower():
                add(-1, f"law 5: {secret} stands in the {where} log")
    lines: dict[int, re.Match[str]] = {}
    for line in access.splitlines():
        match = _LINE.fullmatch(line)
        if match:
            if int(match["number"]) in lines:
                add(int(match["number"]), "two lines in the log")
            lines[int(match["number"])] = match
        elif "law/" in line and '"law/' in line:
            add(-1, f"a line in the log that cannot be read: {line}")
    for exchange in exchanges:
        number, oracle, kind = exchange.asked.number, Oracle(site, exchange.asked), exchange.kind(site)
        one = lines.get(number)
        if one is None:
            if exchange.reached and not oracle.holders & {""}:
                add(number, "law 6: not in the log")
            continue
        who = (
            re.sub(r"\\x([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), one["who"])
            .encode("latin-1")
            .decode("utf-8", "replace")
        )
        tried = one["tried"]
        if who not in oracle.named:
            add(number, f"law 6: {who!r} in the log is none of {sorted(oracle.named)}")
        if tried == "right" and not (oracle.persons and oracle.password_counts):
            add(number, "law 6: tried=right without a right password")
        if (
            one["address"] != oracle.address
            and len(exchange.asked.all("CF-Connecting-IP")) < 2
            and oracle.name == site.domain
        ):
            add(number, f"the log has the address {one['address']}, not {oracle.address}")
        if not exchange.asked.plain or not exchange.asked.secure or oracle.name != site.domain:
            continue
        value = (exchange.asked.all("Authorization") or [b""])[0]
        named = re.match(rb"Basic (?!O[g-v])[A-Za-z0-9+/]", value)  # begins with a colon: there is nobody to check
        checks = {"wrong"} if named else {"-"}
        by_hand = (
            oracle.person and not oracle.person.token and (oracle.path, kind) in ((SIGN_IN, "204"), (PASSWORD, "303"))
        )
        wanted_tried = {"right"} if kind in ("signed in", "to the page") or by_hand else {"-"}
        wanted_who = {oracle.holder or "-"}
        if kind in ("challenge", "wrong"):
            wanted_tried = checks if value else {"-"}
        if kind == "hermes" and oracle.holder is None:
            wanted_tried = {"right"}
        if wanted_tried == {"right"} and oracle.person and oracle.holder is None:
            wanted_who = {oracle.person.name}
        elif wanted_tried == {"right"} and oracle.person:
            wanted_who = {oracle.person.name, oracle.holder or "-"}
        if kind == "hook" or exchange.answer.status in (421, 400, 404, 405, 403, 413, 303) and not by_hand:
            wanted_who.add("-")
            wanted_tried |= {"-"} if kind != "wrong" else set()
        if tried not in wanted_tried:
            add(number, f"law 6: tried={tried}, not {sorted(wanted_tried)}")
        if who not in wanted_who:
            add(number, f"law 6: {who!r} in the log, not {sorted(wanted_who)}")
    return found


@dataclass
class Findings:
    """What a run found: by request what did not hold, and how often each kind of answer came."""

    site: Site
    seed: int
    asked: int = 0
    wrong: dict[int, tuple[Exchange | None, list[str]]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        lines = [f"{self.site.name}, seed {self.seed}: {len(self.wrong)} of {self.asked} requests"]
        for number, (exchange, what) in sorted(self.wrong.items())[:8]:
            lines.append(f"--- {self.site.name}:{number} (seed {self.seed}): " + "; ".join(what))
            if exchange:
                asked = exchange.asked
                lines.append(
                    f"    {asked.source} > {asked.address}, sni {asked.sni}, HTTP/{asked.version}, plain {asked.plain}"
                )
                lines.append(
                    "    " + wire.request_bytes(asked)[:1500].decode("latin-1").replace("\r\n", "\n    ").rstrip()
                )
                lines.append(f"    -> {exchange.kind(self.site)}: {exchange.answer.status} {exchange.answer.headers}")
                lines.append(f"    -> {exchange.answer.body[:200]!r}")
                lines += [f"    => {one}" for one in exchange.reached]
        return "\n".join(lines)


def _cheap(password: str) -> str:
    return str(sha512_crypt.using(rounds=1000).hash(password))


class Bench:
    """A machine in which golden sites stand in turn."""

    def __init__(self, machine: Machine, hashed: Callable[[str], str] = _cheap) -> None:
        self.machine = machine
        certificate, key = lab_authority().issue("hermes.example.com")
        machine.write("/etc/ssl/golden/fullchain.pem", certificate)
        machine.write("/etc/ssl/golden/privkey.pem", key, mode=0o600)
        self.gate = [cookies.Cookie("", OWN, "-")]
        self.gate += [cookies.Cookie(each.name, each.token, "0" * 16) for each in PEOPLE if each.token]
        hashes = "".join(f"{each.name}:{hashed(each.password)}\n" for each in PEOPLE)
        machine.write(USERS_FILE, hashes, mode=0o640, owner="root:www-data")
        machine.write(CHALLENGE_FILE, CHALLENGE_SAYS)
        spaces.ip(machine.net, [f"route add local {network} dev lo" for network in LOCAL])

    @contextmanager
    def serving(
        self, site: Site, plant: Plant = lambda site, gate: (site, gate), *, limited: bool = False
    ) -> Iterator[None]:
        """nginx serves the site, changed by `plant`, with empty logs, nothing behind it, and no rate limit but if `limited`."""
        machine = self.machine
        text, gate = plant(site.text, cookies.render(self.gate, Renderer()))
        if not limited:  # else most answers would be 429
            text = re.sub(r"rate=\d+r/s", "rate=100000r/s", text)
        machine.write(cookies.GATE_FILE, gate, mode=0o600)
        machine.write("/etc/nginx/sites-enabled/zz-hermes", text)
        machine.run(["rm", "-f", ACCESS_LOG, ERROR_LOG])
        machine.run(["nginx"])
        try:
            yield
        finally:
            machine.run(["nginx", "-s", "stop"])
            machine.wait_for(lambda: not any(each.port in (80, 443) for each in machine.listeners()), "nginx has ended")

    def run(
        self, site: Site, seed: int, numbers: Sequence[int], plant: Plant = lambda site, gate: (site, gate)
    ) -> Findings:
        """The requests of those numbers have been sent to the site, changed by `plant`."""
        machine = self.machine
        with self.serving(site, plant), StandIn(machine.net, site.upstreams) as stand_in:
            exchanges = _send_all(machine.net, site, seed, numbers, stand_in)
            nobodys = stand_in.reached.get(-1, [])
        findings = Findings(site, seed, len(exchanges))
        for exchange in exchanges:
            findings.kinds[exchange.kind(site)] += 1
            if what := broken(site, exchange):
                findings.wrong[exchange.asked.number] = (exchange, what)
        if nobodys:
            findings.wrong[-1] = (None, [f"a request that nobody sent: {nobodys[:3]}"])
        by_number = {exchange.asked.number: exchange for exchange in exchanges}
        access, error = (machine.run(["cat", path], check=False).out for path in (ACCESS_LOG, ERROR_LOG))
        for number, what in told(site, exchanges, access, error).items():
            known = findings.wrong.get(number, (by_number.get(number), []))
            findings.wrong[number] = (known[0], known[1] + what)
        return findings


def _send_all(net: int, site: Site, seed: int, numbers: Sequence[int], stand_in: StandIn) -> list[Exchange]:
    """Over several connections at a time, each kept for as long as it lasts."""
    exchanges: list[Exchange] = []
    errors: list[BaseException] = []
    left = iter(range(0, len(numbers), 25))

    def work() -> None:
        connection: wire.Connection | None = None
        try:
            for start in left:
                for number in numbers[start : start + 25]:
                    asked = make(seed, site, number)
                    if connection and not (connection.usable and connection.way == wire.way(asked)):
                        connection.close()
                        connection = None
                    fresh = connection is None
                    connection = connection or wire.Connection(asked)
                    answer = connection.ask(asked)
                    if answer is wire.CLOSED and asked.plain and not fresh and number not in stand_in.reached:
                        # What was asked before it may have ended the connection: once more, on one of its own.
                        connection.close()
                        connection = wire.Connection(asked)
                        answer = connection.ask(asked)
                    exchanges.append(Exchange(asked, answer, tuple(stand_in.reached.pop(number, ()))))
        except BaseException as error:
            errors.append(error)
        finally:
            if connection:
                connection.close()

    threads = [threading.Thread(target=lambda: spaces.in_net(net, work)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return exchanges
