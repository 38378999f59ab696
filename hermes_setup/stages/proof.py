"""The proof: this server is asked as a browser would ask it, through the gate too, with the program's own cookie."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Sequence

from hermes_setup import digests
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import Domain, permits
from hermes_setup.engine.changes import Change, Probe, Stamp
from hermes_setup.engine.findings import Finding, block, note, warn
from hermes_setup.host import File, Host, Request, Response, System
from hermes_setup.nginx import processes, tree
from hermes_setup.stages.certificate import serving
from hermes_setup.stages.site import facts, loading
from hermes_setup.stages.users import cookies
from hermes_setup.stages.users.cookies import GATE_FILE
from hermes_setup.state.places import STATE
from hermes_setup.values import dataclass

STAMP = f"{STATE}/stamps/proof"
LOOK = "X-Hermes-Look"  # from this machine itself, past the allowed addresses, as the site's template has it
LOCAL = "127.0.0.1"
FOREIGN = "not-this-name.invalid"  # RFC 2606: a name that can be nobody's


@dataclass(frozen=True)
class Facts:
    """What the proof would be about, and what was proven last."""

    state: str
    proven: str
    running: bool
    token: str
    page: Response | None  # through the gate, while all is as it was proven; None: not looked


class Proof:
    """See the module."""

    def inspect(self, answers: Answers, host: Host) -> Facts:
        """Reads what is there; when it was proven before, also looks through the gate (which nginx does not log)."""
        served = serving.served(answers, host)
        config = tree.read(host)
        gate = host.look(GATE_FILE)
        text = gate.content.decode("utf-8", "surrogateescape") if isinstance(gate, File) else ""
        ours = host.look(facts.AVAILABLE)
        state = digests.digest(
            ours.content if isinstance(ours, File) else b"",
            text,
            served.fingerprint if served else "",
            answers.domain.ascii,
        )
        stamp = host.look(STAMP)
        proven = stamp.content.decode(errors="replace") if isinstance(stamp, File) else ""
        token = cookies.program_token(text)
        running = host.given(loading.RUNS) or processes.workers(host, config.pid).master > 0
        page = _through(host, answers, token, LOCAL) if running and token and proven == state else None
        return Facts(state, proven, running, token, page)

    def check(self, answers: Answers, facts: Facts) -> Sequence[Finding]:
        """What was proven once still holds."""
        if not facts.proven:
            return ()
        if not facts.running:
            return [
                warn(
                    "proof.stopped",
                    "nginx does not run, so nothing is served.",
                    "It was stopped, or could not start.",
                    "Start it: sudo hermes-setup ; why it stopped: sudo tail /var/log/nginx/error.log",
                )
            ]
        if facts.page is None or facts.page.status in (200, 502) or _own_login(facts.page):
            return ()
        return [_gate_shut(answers, facts.page)]

    def plan(self, answers: Answers, facts: Facts) -> Sequence[Change]:
        """Prove it whenever something that it depends on is not as it was proven."""
        if facts.proven == facts.state:
            return ()
        return (
            Probe(Look(answers), f"ask https://{answers.domain} as a browser would, with and without a password"),
            Stamp(STAMP, File(facts.state.encode(), 0o600), "what was proven"),
        )


@dataclass(frozen=True)
class Look:
    """The proof itself: requests to this server's own address, with the right name and with a wrong one."""

    answers: Answers

    def __call__(self, system: System) -> Sequence[Finding]:
        """Findings; one that blocks for each thing that does not hold."""
        gate = system.look(GATE_FILE)
        token = cookies.program_token(gate.content.decode("utf-8", "surrogateescape") if isinstance(gate, File) else "")
        found: list[Finding] = []
        # those with a certificate of their own, as the site has them
        earlier = [name for name in self.answers.redirects if serving.served(self.answers.about(name), system)]
        for address in (LOCAL, *[a for a in system.addresses() if ":" not in a][:1]):
            found += self._at(system, address, token, earlier)
            if found:
                break
        return found

    def _at(self, system: System, address: str, token: str, earlier: Sequence[Domain]) -> list[Finding]:
        name = self.answers.domain.ascii
        plain = system.fetch(Request(address, 80, name, "/"))
        if plain.status != 301 or plain.header("Location") != f"https://{name}/":
            return [self._wrong("http", f"http://{name}/", plain, "a redirect (301) to https")]
        # what we ask at our own address comes from one of our own, not always the same (its route says from which)
        ours = (LOCAL,) if address == LOCAL else system.addresses()
        if not any(permits(self.answers.allow, each) for each in ours):
            away = system.fetch(Request(address, 443, name, "/", tls=True, headers=_gate(token)))
            if away.status != 403 or away.header("Set-Cookie"):
                wanted = f"to be turned away (403), as {address} is not among the allowed addresses"
                return [self._wrong("addresses", f"https://{name}/", away, wanted)]
        if self.answers.allow and address != LOCAL:
            return []  # the pass is good on the way in from nowhere else
        look = _look(self.answers, token)
        shut = system.fetch(Request(address, 443, name, "/", tls=True, headers=look))
        if shut.status != 401:
            return [self._wrong("password", f"https://{name}/", shut, "to be asked for a password (401)")]
        if shut.header("Set-Cookie"):
            return [self._wrong("cookie", f"https://{name}/", shut, "no cookie without a password")]
        foreign = system.fetch(
            Request(address, 443, name, "/", tls=True, headers=_gate(token, ("Host", FOREIGN), *look))
        )
        if _is_hermes(foreign) or foreign.header("Set-Cookie"):
            return [self._wrong("host", f"https://{FOREIGN}/", foreign, "never Hermes under another name")]
        if wrong := [*self._webhooks(system, address, earlier), *self._redirects(system, address, earlier)]:
            return wrong
        page = _through(system, self.answers, token, address)
        if page.status == 502:
            return [
                note(
                    "proof.hermes-down",
                    "The site works; Hermes does not answer behind it yet, so it shows a friendly page.",
                    "It is not running, or listens elsewhere.",
                    "Start Hermes; nothing has to be set up again. Check: sudo hermes-setup doctor",
                )
            ]
        if _own_login(page):
            return []  # the stage before this told of it; the chat opens only for who has signed in there
        if page.status != 200:
            return [_gate_shut(self.answers, page)]
        return self._chat(system, address, token, page)

    def _webhooks(self, system: System, address: str, earlier: Sequence[Domain]) -> list[Finding]:
        """Their paths ask for no password and give no cookie; a name of their own serves nothing else."""
        hooks = self.answers.webhooks
        if hooks is None:
            return []
        names = [hooks.host] if hooks.host else [self.answers.domain, *earlier]
        found: list[Finding] = []
        for name, hook in ((name, hook) for name in names for hook in hooks.endpoints):
            path = hook.platform.probe
            seen = system.fetch(Request(address, 443, name.ascii, path, "POST", tls=True))
            away = seen.header("Location").startswith(f"https://{self.answers.domain}/")
            if not seen.status or away or seen.header("WWW-Authenticate") or seen.header("Set-Cookie"):
                wanted = "the gateway's own answer, without a password and without a cookie"
                found.append(self._wrong("webhook", f"https://{name}{path}", seen, wanted))
        if hooks.host:
            seen = system.fetch(Request(address, 443, hooks.host.ascii, "/", tls=True))
            if seen.status != 404:
                found.append(
                    self._wrong("webhook", f"https://{hooks.host}/", seen, "nothing (404) but the webhooks' paths")
                )
        return found

    def _redirects(self, system: System, address: str, earlier: Sequence[Domain]) -> list[Finding]:
        """Each earlier name leads to the domain, and browsers do not keep that: the names may be exchanged again."""
        found: list[Finding] = []
        asked = [(name, 80) for name in self.answers.redirects] + [(name, 443) for name in earlier]
        for name, port in asked:
            seen = system.fetch(Request(address, port, name.ascii, "/", tls=port == 443))
            if seen.status != 307 or seen.header("Location") != f"https://{self.answers.domain}/":
                wanted = f"a redirect (307) to https://{self.answers.domain}/"
                scheme = "http" if port == 80 else "https"
                found.append(self._wrong("redirect", f"{scheme}://{name}/", seen, wanted))
        return found

    def _chat(self, system: System, address: str, token: str, page: Response) -> list[Finding]:
        """The chat's WebSocket opens through the gate; Hermes's token for it stands in the page (web_server.py)."""
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
            *_look(self.answers, token),
        )
        path = f"/api/ws?token={session.group(1).decode()}"
        # Hermes loads much of itself at its first WebSocket: seconds, on a small server
        chat = system.fetch(Request(address, 443, name, path, tls=True, headers=_gate(token, *upgrade), seconds=20.0))
        if chat.status != 101:
            return [
                warn(
                    "proof.chat",
                    f"The page opens, but the chat's connection is answered with {chat.status or chat.error}, not 101.",
                    'The chat would stay at "connecting".',
                    "Restart Hermes and run: sudo hermes-setup doctor",
                )
            ]
        return []

    def _wrong(self, what: str, url: str, seen: Response, wanted: str) -> Finding:
        return block(
            f"proof.{what}",
            f"{url}, asked on this server, answers {seen.status or seen.error}; wanted: {wanted}.",
            "Another site, a proxy or a file made by hand is in the way.",
            "See which file answers: sudo nginx -T | grep -n -e server_name -e 'configuration file'",
            f"Server: {seen.header('Server')}  Location: {seen.header('Location')}",
        )


def _through(host: Host, answers: Answers, token: str, address: str) -> Response:
    headers = _gate(token, *_look(answers, token))
    return host.fetch(Request(address, 443, answers.domain.ascii, "/", tls=True, headers=headers))


def _look(answers: Answers, token: str) -> tuple[tuple[str, str], ...]:
    """The header that lets this program look from here, where that is not among the allowed addresses."""
    return () if permits(answers.allow, LOCAL) else ((LOOK, token),)


def _gate(token: str, *headers: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (*headers, ("Cookie", f"hermes_gate={token}"))


def _is_hermes(response: Response) -> bool:
    return b"__HERMES_SESSION_TOKEN__" in response.body


def _own_login(page: Response) -> bool:
    """Hermes's own sign-in, which it asks for behind ours (hermes_cli/web_server.py: a redirect to /login)."""
    return page.status in (302, 303, 307) and page.header("Location").startswith("/login")


def _gate_shut(answers: Answers, page: Response) -> Finding:
    return warn(
        "proof.gate",
        f"https://{answers.domain}/ answers {page.status or page.error} to this program's own cookie; wanted: the page (200).",
        "nginx runs with another configuration than the one on the disk, or Hermes refuses the request.",
        "Have nginx load what is on the disk: sudo nginx -t && sudo nginx -s reload",
    )
