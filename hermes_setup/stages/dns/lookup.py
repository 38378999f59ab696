"""The look-ups: which questions are still worth asking of whom, and asking them side by side until the time is over.

`Look` is a pure value: what is asked is as easy to test as what is concluded.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hermes_setup.answers.networks import is_public
from hermes_setup.host import Host, Records
from hermes_setup.stages.dns.caa import refusal
from hermes_setup.stages.dns.facts import DEFINITE, Facts, Family, Trust, worst
from hermes_setup.stages.dns.names import canonical, inner_name, ip_version
from hermes_setup.values import dataclass

DEADLINE = 4.0  # seconds for all look-ups together


QUICK = 1.5  # the same where the answer is only good to know


# Moments, as shares of the deadline.
HEDGE = 0.25  # a resolver that was silent until now gets company


PATIENCE = 0.35  # name servers that are silent while others have answered are not waited for


LATE = 0.6  # what would only confirm something known is not waited for


MOMENTS = (HEDGE, PATIENCE, LATE, 1.0)


PUBLIC = ("1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "2001:4860:4860::8888")


# Names whose records are the address of whoever asks; each is asked at its own service only.
MIRRORS = {
    4: (("myip.opendns.com", "A", "208.67.222.222"), ("o-o.myaddr.l.google.com", "TXT", "216.239.32.10")),
    6: (("myip.opendns.com", "AAAA", "2620:119:35::35"), ("o-o.myaddr.l.google.com", "TXT", "2001:4860:4802:32::a")),
}


MOST_HOPS = 8  # as resolvers have it; a longer chain of CNAMEs is a loop


MOST_SERVERS = 13  # as many as the root has; more are never needed to see that they differ


HOSTS = "ahosts"  # not a record: what this machine's own programs get to see, /etc/hosts included


class Question(NamedTuple):
    """One look-up; `server` "" is the machine's own resolver."""

    name: str
    kind: str
    server: str = ""


@dataclass(frozen=True)
class Look:
    """The answers so far; `elapsed` is the share of the time that is gone. Pure: says what is still wanted, and why not."""

    domain: str
    trust: Trust
    here: tuple[str, ...]
    told: bool  # the user has said which addresses are this server's
    known: Mapping[Question, Records]
    elapsed: float = 0.0

    def wanted(self) -> list[Question]:
        """Every question whose answer still counts; when all of them are answered, all is known that can be."""
        hosts = [Question(self.domain, HOSTS)]
        if inner_name(self.domain, ("localhost",)):
            return hosts if self.trust == "acme" else []
        found: list[Question] = []
        for kind in ("A", "AAAA", "CNAME"):
            found += self._want_resolved(self.domain, kind)
        for name in self._chain():
            found += self._want_zone(name)
        if self.trust == "letsencrypt":
            found += self._want_second_opinion()
        if self.trust == "letsencrypt":
            for name in _upwards(self.domain):
                found += self._want_resolved(name, "CAA")
                said = self._caa(name)
                if said and said.status == "ok":
                    if refusal(said.values):
                        found += self._want_first(name, "CAA", self._servers(self.domain))
                    break
        if not self.told:
            found += self._want_mirrors()
        if self.trust != "letsencrypt" and not self._values():
            found += hosts
        return list(dict.fromkeys(found))

    def facts(self, certificate: bool) -> Facts:
        """What these answers come to; a question that was asked and not answered counts as a time-out."""
        if inner_name(self.domain, ("localhost",)):
            return Facts(here=self.here, locally=self._hosts(), asked=False, certificate=certificate)
        chain = self._chain()
        alias = self._alias(chain[-1])
        caa: list[tuple[str, Records]] = []
        for name in _upwards(self.domain) if self.trust == "letsencrypt" else ():
            caa.append((name, self._caa(name) or Records("timeout")))
            if caa[-1][1].status not in ("nodata", "nxdomain"):
                break
        return Facts(
            a=self._family("A", chain[-1]),
            aaaa=self._family("AAAA", chain[-1]),
            chain=(*chain[1:], alias) if alias and alias not in chain else chain[1:],
            caa=tuple(caa),
            here=self.here,
            outside=self._outside(),
            locally=self._hosts(),
            certificate=certificate,
        )

    # -- resolvers --------------------------------------------------------------------------------------------------

    def _want_resolved(self, name: str, kind: str) -> list[Question]:
        """Our own resolver; where it fails, or is silent for long, the public ones side by side, until one knows."""
        own = Question(name, kind)
        said = self.known.get(own)
        if (said and said.status in DEFINITE) or (said is None and self.elapsed < HEDGE):
            return [own]
        if self._public_knows(name, kind):
            return []
        return [own] if said and self.elapsed >= LATE else [own, *self._want_public(name, kind)]

    def _want_public(self, name: str, kind: str) -> list[Question]:
        return [Question(name, kind, server) for server in PUBLIC]

    def _public_knows(self, name: str, kind: str) -> Records | None:
        every = (self.known.get(question) for question in self._want_public(name, kind))
        return next((said for said in every if said and said.status in DEFINITE), None)

    def _resolved(self, name: str, kind: str) -> Records | None:
        """What resolvers say; None while that is open."""
        own = self.known.get(Question(name, kind))
        if own and own.status in DEFINITE:
            return own
        if knows := self._public_knows(name, kind):
            return knows
        questions = self._want_resolved(name, kind)
        if any(question not in self.known for question in questions) and self.elapsed < 1:
            return None
        return worst(self.known.get(question, Records("timeout")) for question in questions)

    def _want_second_opinion(self) -> list[Question]:
        """Public resolvers, where the zone's own servers cannot be asked: port 53 outward may be closed here."""
        found: list[Question] = []
        for kind in ("A", "AAAA"):
            if self._zone_may_answer(kind) or self._public_knows(self.domain, kind) or self.elapsed >= LATE:
                continue
            found += self._want_public(self.domain, kind)
        return found

    # -- the zone's own servers -------------------------------------------------------------------------------------

    def _chain(self) -> tuple[str, ...]:
        """The name, and behind it every alias that has to be followed, as its own servers do not know the end."""
        chain = [self.domain]
        while len(chain) <= MOST_HOPS:
            alias = self._alias(chain[-1])
            if not alias or alias in chain or self._zone_values(chain[-1]):
                break
            chain.append(alias)
        return tuple(chain)

    def _alias(self, name: str) -> str:
        """Where the name's CNAME leads, "" where it has none or that is not known yet."""
        told = [self.known.get(Question(name, "CNAME", server)) for server in self._servers(name)]
        sure = [said for said in told if said and said.status in DEFINITE]
        said = next((said for said in sure if said.values), None) if sure else self._resolved(name, "CNAME")
        return said.values[0].rstrip(".").lower() if said and said.values else ""

    def _want_zone(self, name: str) -> list[Question]:
        found: list[Question] = []
        for zone in _zones(name):
            found += self._want_resolved(zone, "NS")
        for server in self._server_names(name):
            found += [*self._want_resolved(server, "A"), *self._want_resolved(server, "AAAA")]
        if name != self.domain:
            found += self._want_resolved(name, "CNAME")
        servers = self._servers(name)
        aliased = bool((said := self._resolved(name, "CNAME")) and said.values)
        direct: list[Question] = []
        for server in servers:
            direct += [Question(name, "A", server), Question(name, "AAAA", server)]
            both = [self.known.get(question) for question in direct[-2:]]
            if aliased or all(each and each.status in DEFINITE and not each.values for each in both):
                direct.append(Question(name, "CNAME", server))
        answered = any(self._definite(name, "A", server) and self._definite(name, "AAAA", server) for server in servers)
        if self.elapsed >= (PATIENCE if answered else LATE):
            direct = [question for question in direct if question in self.known]
            found = [question for question in found if question in self.known] if answered else found
        return found + direct

    def _want_first(self, name: str, kind: str, servers: Sequence[str]) -> list[Question]:
        """These servers side by side; the first answer will do."""
        if self.elapsed >= LATE or any(self._definite(name, kind, server) for server in servers):
            return []
        return [Question(name, kind, server) for server in servers]

    def _server_names(self, name: str) -> tuple[str, ...]:
        for zone in _zones(name):
            said = self._resolved(zone, "NS")
            if said is None:
                return ()
            if said.status == "ok":
                return tuple(value.rstrip(".").lower() for value in said.values)[:MOST_SERVERS]
        return ()

    def _servers(self, name: str) -> tuple[str, ...]:
        found: list[str] = []
        for server in self._server_names(name):
            for kind in ("A", "AAAA"):
                said = self._resolved(server, kind)
                found += said.values if said else ()
        return tuple(dict.fromkeys(found))[: 2 * MOST_SERVERS]

    def _definite(self, name: str, kind: str, server: str) -> bool:
        said = self.known.get(Question(name, kind, server))
        return bool(said and said.status in DEFINITE)

    def _zone_values(self, name: str) -> bool:
        return any(
            (said := self.known.get(Question(name, kind, server))) and said.values
            for kind in ("A", "AAAA")
            for server in self._servers(name)
        )

    def _zone_may_answer(self, kind: str) -> bool:
        """False once it is clear, or likely after this time, that the zone's servers will say nothing."""
        last = self._chain()[-1]
        servers = self._servers(last)
        if any(self._definite(last, kind, server) for server in servers):
            return True
        if self.elapsed >= PATIENCE:
            return False
        if not servers:
            asked = [question for question in self._want_zone(last) if question.kind in ("NS", "A", "AAAA")]
            return any(question not in self.known for question in asked)
        return any(Question(last, kind, server) not in self.known for server in servers)

    # -- this server ------------------------------------------------------------------------------------------------

    def _values(self) -> tuple[str, ...]:
        chain = self._chain()
        families = (self._family("A", chain[-1]), self._family("AAAA", chain[-1]))
        return tuple(value for family in families for value in family.truth.values)

    def _want_mirrors(self) -> list[Question]:
        found: list[Question] = []
        for version, mirrors in MIRRORS.items():
            ours = [address for address in self.here if ip_version(address) == version]
            if not ours and self.here:
                continue
            pointed = [value for value in self._values() if ip_version(value) == version]
            if any(is_public(each) for each in ours) and all(value in ours for value in pointed):
                continue
            if self._seen_from_outside(version) or self.elapsed >= LATE:
                continue
            found += [Question(*mirror) for mirror in mirrors]
        return found

    def _seen_from_outside(self, version: int) -> tuple[str, ...]:
        found: list[str] = []
        for mirror in MIRRORS[version]:
            said = self.known.get(Question(*mirror))
            found += [each for value in (said.values if said else ()) if (each := canonical(value.strip('"')))]
        return tuple(dict.fromkeys(each for each in found if ip_version(each) == version and is_public(each)))

    def _outside(self) -> tuple[str, ...]:
        return (*self._seen_from_outside(4), *self._seen_from_outside(6))

    def _hosts(self) -> tuple[str, ...]:
        said = self.known.get(Question(self.domain, HOSTS))
        return said.values if said else ()

    # -- what it comes to -------------------------------------------------------------------------------------------

    def _family(self, kind: str, last: str) -> Family:
        public = [self.known.get(question) for question in self._want_public(self.domain, kind)]
        return Family(
            kind,
            tuple(
                self.known.get(Question(last, kind, server), Records("timeout", server=server))
                for server in self._servers(last)
            ),
            tuple(said for said in public if said),
            self.known.get(Question(self.domain, kind), Records("timeout")),
        )

    def _caa(self, name: str) -> Records | None:
        if not self._alias(self.domain):
            for server in self._servers(self.domain):
                if self._definite(name, "CAA", server):
                    return self.known[Question(name, "CAA", server)]
        return self._resolved(name, "CAA")


def ask_all(host: Host, look: Look, seconds: float) -> Look:
    """The look with every answer it wanted, or with those that came within `seconds`.

    Each question has a thread of its own, which is left behind when the time is over: it ends by the look-up's own
    deadline, and keeps nobody from leaving the program.
    """
    inbox: queue.SimpleQueue[tuple[Question, Records | Exception]] = queue.SimpleQueue()
    known: dict[Question, Records] = {}
    started: set[Question] = set()
    began = time.monotonic()
    while True:
        gone = time.monotonic() - began
        now = Look(look.domain, look.trust, look.here, look.told, known, gone / seconds)
        wanted = now.wanted()
        if now.elapsed >= 1 or all(question in known for question in wanted):
            return now
        for question in wanted:
            if question not in started:
                started.add(question)
                left = max(0.05, seconds - gone)
                threading.Thread(target=_ask, args=(host, question, left, inbox), daemon=True).start()
        moment = next(moment for moment in MOMENTS if moment > now.elapsed)
        try:
            answer = inbox.get(timeout=max(0.001, moment * seconds - gone))
            while True:
                question, said = answer
                if isinstance(said, Exception):
                    raise said
                known[question] = said
                answer = inbox.get_nowait()
        except queue.Empty:
            pass


def _ask(
    host: Host, question: Question, seconds: float, inbox: queue.SimpleQueue[tuple[Question, Records | Exception]]
) -> None:
    said: Records | Exception
    try:
        if question.kind == HOSTS:
            ran = host.ask(("getent", "ahosts", question.name), seconds=seconds)
            words = [line.split()[0] for line in ran.out.splitlines() if line.strip()]
            values = tuple(dict.fromkeys(each for word in words if (each := canonical(word))))
            said = Records("ok" if values else "nodata", values)
        else:
            said = host.dns(question.name, question.kind, server=question.server, seconds=seconds)
            if question.kind in ("A", "AAAA"):
                said = Records(
                    said.status, tuple(canonical(value) or value for value in said.values), said.ttl, said.server
                )
    except Exception as error:  # noqa: BLE001 - raised again where the answer is read
        said = error
    inbox.put((question, said))


def public_address(host: Host) -> str:
    """An address of this machine's interfaces that the internet can reach, IPv4 if possible; "" behind NAT."""
    return next((each for each in host.addresses() if is_public(each)), "")


def _upwards(name: str) -> list[str]:
    """The name and all that are above it, the root left out."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _zones(name: str) -> list[str]:
    """Names that may be the zone's: top-level domains delegate, they do not answer."""
    return _upwards(name)[:-1] or [name]
