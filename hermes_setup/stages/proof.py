"""The proof: this server is asked as a browser would ask it, through the gate too, with the program's own cookie."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Sequence

from hermes_setup import digests
from hermes_setup.answers.allowed_addresses import permits
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.engine.changes import Change, Probe, Stamp
from hermes_setup.engine.findings import Finding, Severity, block, note, warn
from hermes_setup.host import File, Host, Request, Response, System
from hermes_setup.nginx import processes, tree
from hermes_setup.stages.certificate import serving
from hermes_setup.stages.site import facts, loading
from hermes_setup.stages.users import cookies
from hermes_setup.state import stamps
from hermes_setup.values import dataclass

BYPASS_HEADER = "X-Hermes-Look"  # with the token it passes the allowed addresses, from this machine only (site.conf)
LOOPBACK = "127.0.0.1"
SIGN_IN = "/.hermes/sign-in"  # where the sign-in page sends name and password (site.conf)
FOREIGN = "not-this-name.invalid"  # RFC 2606: a name that no one can have

Headers = tuple[tuple[str, str], ...]

BROWSER: Headers = (("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"))
"""What a browser says of itself when an address is typed (W3C Fetch Metadata)."""


@dataclass(frozen=True)
class Facts:
    """What the proof would be about, and what was proven last."""

    state: str  # a digest of all that the proof depends on
    proven: str  # the same of what was proven last, "" for nothing
    running: bool  # nginx
    token: str
    page: Response | None  # through the gate, while all is as it was proven; None: not asked for
    ours: bool = True  # it is our site that answers; else `page` is what somebody else's said, who was shown no secret


class Proof:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads what is there; when it was proven before, also asks who answers, and if we do, through the gate.

        nginx does not log the second of these requests.
        """
        served = serving.certificate_for(answers, host)
        config = tree.read(host)
        gate = cookies.gate_text(host)
        site = host.look(facts.SITE_FILE)
        state = digests.digest(
            site.content if isinstance(site, File) else b"",
            gate,
            served.fingerprint if served else "",
            answers.domain.ascii,
        )
        stamp = host.look(stamps.PROOF)
        proven = stamp.content.decode(errors="replace") if isinstance(stamp, File) else ""
        token = cookies.program_cookie(gate)
        running = host.given(loading.RUNNING) or processes.workers(host, config.pid).master > 0
        if not (running and token and proven == state):
            return Facts(state, proven, running, token, None)
        shown = host.fetch(Request(LOOPBACK, 443, answers.domain.ascii, "/", tls=True, headers=BROWSER))
        if shown.status == 429:  # somebody asks too often from here
            return Facts(state, proven, running, token, None)
        ours = _is_ours(shown)
        page = _page_through_gate(host, answers, token, LOOPBACK) if ours else shown
        return Facts(state, proven, running, token, page, ours)

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """What was proven once still holds."""
        if not facts.proven:
            return ()
        if not facts.running:
            return [
                warn(
                    "proof.stopped",
                    "nginx is not running, so nothing is served.",
                    "It was stopped, or could not start.",
                    "Start it: sudo hermes-setup ; to see why it stopped: sudo tail /var/log/nginx/error.log",
                )
            ]
        if facts.page is None or (facts.ours and (facts.page.status in (200, 502) or _is_hermes_login(facts.page))):
            return ()
        return [_no_page(answers, facts.page, ours=facts.ours)]

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """Prove it whenever something that it depends on is not as it was proven."""
        if facts.proven == facts.state:
            return ()
        return (
            Probe(
                BrowserVisit(answers), f"open https://{answers.domain} as a browser would, with and without a password"
            ),
            Stamp(stamps.PROOF, File(facts.state.encode(), 0o600), "what was proven"),
        )


@dataclass(frozen=True)
class BrowserVisit:
    """The proof itself: requests to this server's own addresses, with the right name and with a wrong one."""

    answers: Answers

    def __call__(self, system: System) -> Sequence[Finding]:
        """Findings; one that blocks for each thing that does not hold."""
        token = cookies.program_cookie(cookies.gate_text(system))
        # those with a certificate of their own: the site serves them over HTTPS, too
        redirects = [
            name for name in self.answers.redirects if serving.certificate_for(self.answers.about(name), system)
        ]
        found: list[Finding] = []
        for address in (LOOPBACK, *[each for each in system.addresses() if ":" not in each][:1]):
            found += self._at(system, address, token, redirects)
            if any(each.severity is Severity.BLOCK for each in found):
                break
        return found

    def _at(self, system: System, address: str, token: str, https_redirects: Sequence[Domain]) -> list[Finding]:
        """What does not hold at one address of this server; the first failure ends it."""
        if failed := self._without_tls(system, address) or self._not_allowed(system, address, token):
            return failed
        if self.answers.allow and address != LOOPBACK:
            return []  # the bypass token is accepted from 127.0.0.1 only
        if failed := self._without_password(system, address, token) or self._under_another_name(system, address):
            return failed
        if failed := [
            *self._webhooks(system, address, https_redirects),
            *self._redirects(system, address, https_redirects),
        ]:
            return failed
        if address != LOOPBACK:
            return []  # so is its cookie
        return self._wrong_password(system, address, token) or self._with_cookie(system, address, token)

    def _without_tls(self, system: System, address: str) -> list[Finding]:
        """Plain HTTP redirects to HTTPS."""
        name = self.answers.domain.ascii
        plain = system.fetch(Request(address, 80, name, "/"))
        if plain.status == 301 and plain.header("Location") == f"https://{name}/":
            return []
        return [_failed("http", f"http://{name}/", plain, "a redirect (301) to https")]

    def _not_allowed(self, system: System, address: str, token: str) -> list[Finding]:
        """An address that is not among the allowed ones gets nothing, even with a cookie."""
        name = self.answers.domain.ascii
        # a request to our own address comes from one of our own, not always the same (its route decides which)
        sources = (LOOPBACK,) if address == LOOPBACK else system.addresses()
        if any(permits(self.answers.allow, source) for source in sources):
            return []
        # the token goes to nobody but our own site, which shows that it answers here by the words of its refusal
        for headers in ((), _with_token(token)) if address == LOOPBACK else ((),):
            response = system.fetch(Request(address, 443, name, "/", tls=True, headers=headers))
            if response.status != 403 or response.header("Set-Cookie") or not _is_ours(response):
                expected = f"a refusal (403), because {address} is not among the allowed addresses"
                return [_failed("addresses", f"https://{name}/", response, expected)]
        return []

    def _without_password(self, system: System, address: str, token: str) -> list[Finding]:
        """Without a password there is neither the page nor a cookie; a browser gets the page to sign in on."""
        name, bypass = self.answers.domain.ascii, _bypass(self.answers, token)
        response = system.fetch(Request(address, 443, name, "/", tls=True, headers=bypass))
        if response.status != 401:
            return [_failed("password", f"https://{name}/", response, "to be asked for a password (401)")]
        if response.header("Set-Cookie"):
            return [_failed("cookie", f"https://{name}/", response, "no cookie without a password")]
        response = system.fetch(Request(address, 443, name, "/", tls=True, headers=(*BROWSER, *bypass)))
        if response.status != 401 or response.header("WWW-Authenticate") or not _is_ours(response):
            return [_failed("sign-in", f"https://{name}/", response, "the page to sign in on (401)")]
        return []

    def _under_another_name(self, system: System, address: str) -> list[Finding]:
        """Our site does not answer to another name. No secret is sent: somebody else's site answers to it, by design."""
        headers = (("Host", FOREIGN), *BROWSER)
        foreign = system.fetch(Request(address, 443, self.answers.domain.ascii, "/", tls=True, headers=headers))
        if _is_hermes(foreign) or _is_ours(foreign):
            return [_failed("host", f"https://{FOREIGN}/", foreign, "never Hermes under another name")]
        return []

    def _wrong_password(self, system: System, address: str, token: str) -> list[Finding]:
        """A wrong password on the sign-in page is told as wrong. Asked with our own cookie, so nginx does not log it."""
        name, bypass = self.answers.domain.ascii, _bypass(self.answers, token)
        guess = base64.b64encode(f"{secrets.token_hex(8)}:{secrets.token_hex(8)}".encode()).decode()
        script = (("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors"), ("Authorization", f"Basic {guess}"))
        headers = _with_token(token, *script, *bypass)
        response = system.fetch(Request(address, 443, name, SIGN_IN, "POST", tls=True, headers=headers))
        told = response.status == 403 and response.body.strip() == b"wrong"
        if response.header("Set-Cookie") or not (told or response.status == 429):  # 429: somebody else guesses now
            expected = "that it is wrong (403), since it is a made-up name and password"
            return [_failed("wrong-password", f"https://{name}{SIGN_IN}", response, expected)]
        return []

    def _webhooks(self, system: System, address: str, https_redirects: Sequence[Domain]) -> list[Finding]:
        """Their paths ask for no password and give no cookie; a name of their own serves nothing else."""
        webhooks = self.answers.webhooks
        if webhooks is None:
            return []
        names = [webhooks.host] if webhooks.host else [self.answers.domain, *https_redirects]
        found: list[Finding] = []
        for name, endpoint in ((name, endpoint) for name in names for endpoint in webhooks.endpoints):
            path = endpoint.platform.probe_path
            response = system.fetch(Request(address, 443, name.ascii, path, "POST", tls=True))
            redirected = response.header("Location").startswith(f"https://{self.answers.domain}/")
            gated = response.header("WWW-Authenticate") or response.header("Set-Cookie")
            if not response.status or redirected or gated:
                expected = "the gateway's own answer, without a password and without a cookie"
                found.append(_failed("webhook", f"https://{name}{path}", response, expected))
        if webhooks.host:
            response = system.fetch(Request(address, 443, webhooks.host.ascii, "/", tls=True))
            if response.status != 404:
                expected = "nothing (404) but the webhooks' paths"
                found.append(_failed("webhook", f"https://{webhooks.host}/", response, expected))
        return found

    def _redirects(self, system: System, address: str, https_redirects: Sequence[Domain]) -> list[Finding]:
        """Each redirected domain redirects to the domain, and browsers do not keep that: the two may be swapped again."""
        found: list[Finding] = []
        asked = [(name, 80) for name in self.answers.redirects] + [(name, 443) for name in https_redirects]
        for name, port in asked:
            response = system.fetch(Request(address, port, name.ascii, "/", tls=port == 443))
            if response.status != 307 or response.header("Location") != f"https://{self.answers.domain}/":
                scheme = "http" if port == 80 else "https"
                expected = f"a redirect (307) to https://{self.answers.domain}/"
                found.append(_failed("redirect", f"{scheme}://{name}/", response, expected))
        return found

    def _with_cookie(self, system: System, address: str, token: str) -> list[Finding]:
        """The cookie opens the page, and the chat in it."""
        page = _page_through_gate(system, self.answers, token, address)
        if page.status == 502:
            return [
                note(
                    "proof.hermes-down",
                    "The site works, but Hermes doesn't answer behind it yet, so it shows a friendly page.",
                    "Hermes is not running, or listens somewhere else.",
                    "Start Hermes; you don't have to set anything up again. To check: sudo hermes-setup doctor",
                )
            ]
        if _is_hermes_login(page):
            return []  # a finding of Hermes's own stage says so; the chat opens only for who has signed in there
        if page.status != 200:
            return [_no_page(self.answers, page, ours=True)]
        return self._chat(system, address, token, page)

    def _chat(self, system: System, address: str, token: str, page: Response) -> list[Finding]:
        """The chat's WebSocket opens through the gate; Hermes's token for it is in the page (web_server.py)."""
        name = self.answers.domain.ascii
        session = re.search(rb"__HERMES_SESSION_TOKEN__[^\w.~-]{1,8}([A-Za-z0-9_~.-]{8,200})", page.body)
        if not session:
            return []
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        upgrade = (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key),
            ("Origin", f"https://{name}"),
            *_bypass(self.answers, token),
        )
        path = f"/api/ws?token={session.group(1).decode()}"
        headers = _with_token(token, *upgrade)
        # Hermes loads much of itself at its first WebSocket: seconds, on a small server
        chat = system.fetch(Request(address, 443, name, path, tls=True, headers=headers, seconds=20.0))
        if chat.status == 101:
            return []
        return [
            warn(
                "proof.chat",
                f"The page opens, but the chat's connection gets {chat.status or chat.error} instead of 101.",
                'The chat would stay at "connecting".',
                "Restart Hermes, then run: sudo hermes-setup doctor",
            )
        ]


def _failed(what: str, url: str, response: Response, expected: str) -> Finding:
    return block(
        f"proof.{what}",
        f"{url}, requested on this server, answers {response.status or response.error}; expected: {expected}.",
        "Another site, a proxy or a file edited by hand is in the way.",
        "To see which file answers: sudo nginx -T | grep -n -e server_name -e 'configuration file'",
        f"Server: {response.header('Server')}  Location: {response.header('Location')}",
    )


def _no_page(answers: Answers, page: Response, *, ours: bool) -> Finding:
    """`ours`: it is our site that answered so."""
    url, said = f"https://{answers.domain}/", page.status or page.error
    words = (
        (
            f"{url} answers {said} to this program's own cookie; expected: the page (200).",
            "nginx runs with a configuration other than the one on the disk, or Hermes refuses the request.",
            "Have nginx load what is on the disk: sudo nginx -t && sudo nginx -s reload",
        )
        if ours
        else (
            f"On this server itself (127.0.0.1), {url} is not answered by our site ({said}).",
            "A site or a program that listens on 127.0.0.1 alone comes before ours there.",
            "To see which: sudo ss -ltnp sport = :443 ; sudo nginx -T | grep -n -e listen -e 'configuration file'",
        )
    )
    return warn("proof.gate", *words)


def _page_through_gate(host: Host, answers: Answers, token: str, address: str) -> Response:
    headers = _with_token(token, *_bypass(answers, token))
    return host.fetch(Request(address, 443, answers.domain.ascii, "/", tls=True, headers=headers))


def _bypass(answers: Answers, token: str) -> Headers:
    """The header that lets this program in from here, where 127.0.0.1 is not among the allowed addresses."""
    return () if permits(answers.allow, LOOPBACK) else ((BYPASS_HEADER, token),)


def _with_token(token: str, *headers: tuple[str, str]) -> Headers:
    """The headers, and the cookie of the gate."""
    return (*headers, ("Cookie", f"{cookies.COOKIE}={token}"))


def _is_ours(response: Response) -> bool:
    """One of our site's pages, to sign in on or for a refused address (stages/site/pages.py), or with our cookie."""
    pages = (SIGN_IN.encode(), b"run <code>sudo hermes-setup</code>")
    return any(each in response.body for each in pages) or cookies.COOKIE in response.header("Set-Cookie")


def _is_hermes(response: Response) -> bool:
    return b"__HERMES_SESSION_TOKEN__" in response.body


def _is_hermes_login(page: Response) -> bool:
    """Hermes's own sign-in, which it asks for behind ours (hermes_cli/web_server.py: a redirect to /login)."""
    return page.status in (302, 303, 307) and page.header("Location").startswith("/login")
