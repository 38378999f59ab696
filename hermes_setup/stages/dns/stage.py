"""The name leads here: its A and AAAA records, past every cache, against this server's public addresses; and CAA.

Three parts. `Look` says, from the answers so far, which questions are still worth asking: a pure value, so that what
is asked is as easy to test as what is concluded. `ask_all` asks them side by side until nothing more is wanted or the
time is over. `Dns.check` reads the Facts that came of it.

Rules from Let's Encrypt's documentation (docs/ipv6.md, docs/caa.md): AAAA is tried first, and A only when connecting
over IPv6 times out; the nearest CAA set decides, and one that cannot be looked up refuses.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import queue
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import LETSENCRYPT, LETSENCRYPT_STAGING, worldwide
from hermes_setup.engine.changes import Change
from hermes_setup.engine.findings import Finding, Severity
from hermes_setup.host import Absent, File, Host, Records
from hermes_setup.parallel import in_parallel
from hermes_setup.stages.certificate import serving
from hermes_setup.state.places import STATE
from hermes_setup.values import dataclass, field

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

DEFINITE = ("ok", "nodata", "nxdomain")
FAILURES = ("servfail", "refused", "timeout", "error")  # the most telling first

# Never in the public DNS: RFC 6761, RFC 6762, RFC 8375, and ICANN's resolution of 29 July 2024 on .internal.
NOT_PUBLIC = ("localhost", "local", "test", "invalid", "internal", "home.arpa", "lan", "home")

AnyNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Trust = Literal["letsencrypt", "acme", "self-signed"]


class Question(NamedTuple):
    """One look-up; `server` "" is the machine's own resolver."""

    name: str
    kind: str
    server: str = ""


@dataclass(frozen=True)
class Family:
    """What was said of the name's A (or AAAA) records: by its zone's servers, by public resolvers, by our own."""

    kind: str
    zone: tuple[Records, ...] = ()
    public: tuple[Records, ...] = ()  # asked only where the others did not do
    own: Records = field(default_factory=lambda: Records("error"))

    @property
    def truth(self) -> Records:
        """What the world sees: the zone's servers together, else the first resolver that knows, else how it failed."""
        told = [said for said in self.zone if said.status in DEFINITE]
        if told:
            values = tuple(sorted({value for said in told for value in said.values}))
            gone = any(said.status == "nxdomain" for said in told)
            status = "ok" if values else "nxdomain" if gone else "nodata"
            return Records(status, values, max(said.ttl for said in told))
        every = (*self.public, self.own)
        return next((said for said in every if said.status in DEFINITE), _worst((*self.zone, *every)))

    @property
    def bogus(self) -> bool:
        """True when the zone's servers answer and resolvers, public ones too, refuse to pass it on: broken DNSSEC."""
        return (
            any(said.status in DEFINITE for said in self.zone)
            and self.own.status == "servfail"
            and any(said.status == "servfail" for said in self.public)
            and not any(said.status in DEFINITE for said in self.public)
        )


@dataclass(frozen=True)
class Facts:
    """What was seen. Addresses are in their short form."""

    a: Family = Family("A")
    aaaa: Family = Family("AAAA")
    chain: tuple[str, ...] = ()  # where CNAMEs lead, one after the other
    caa: tuple[tuple[str, Records], ...] = ()  # from the name upwards, to the first set found
    here: tuple[str, ...] = ()  # addresses of the interfaces
    outside: tuple[str, ...] = ()  # this server's addresses as others see them
    locally: tuple[str, ...] = ()  # what programs on this machine get for the name
    asked: bool = True  # False: a name that must not be asked for
    certificate: bool = False  # certbot has one for this name already


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
        if _inner_name(self.domain, ("localhost",)):
            return hosts if self.trust == "acme" else []
        found: list[Question] = []
        for kind in ("A", "AAAA", "CNAME"):
            found += self._want_resolved(self.domain, kind)
        for name in self._chain():
            found += self._want_zone(name)
        if self.trust == "letsencrypt":
            found += self._want_second_opinion()
        if self.trust == "letsencrypt":
            for name in _lineage(self.domain):
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
        if _inner_name(self.domain, ("localhost",)):
            return Facts(here=self.here, locally=self._hosts(), asked=False, certificate=certificate)
        chain = self._chain()
        alias = self._alias(chain[-1])
        caa: list[tuple[str, Records]] = []
        for name in _lineage(self.domain) if self.trust == "letsencrypt" else ():
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
        return _worst(self.known.get(question, Records("timeout")) for question in questions)

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
            ours = [address for address in self.here if _version(address) == version]
            if not ours and self.here:
                continue
            pointed = [value for value in self._values() if _version(value) == version]
            if any(worldwide(each) for each in ours) and all(value in ours for value in pointed):
                continue
            if self._seen_from_outside(version) or self.elapsed >= LATE:
                continue
            found += [Question(*mirror) for mirror in mirrors]
        return found

    def _seen_from_outside(self, version: int) -> tuple[str, ...]:
        found: list[str] = []
        for mirror in MIRRORS[version]:
            said = self.known.get(Question(*mirror))
            found += [each for value in (said.values if said else ()) if (each := _address(value.strip('"')))]
        return tuple(dict.fromkeys(each for each in found if _version(each) == version and worldwide(each)))

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
            values = tuple(dict.fromkeys(each for word in words if (each := _address(word))))
            said = Records("ok" if values else "nodata", values)
        else:
            said = host.dns(question.name, question.kind, server=question.server, seconds=seconds)
            if question.kind in ("A", "AAAA"):
                said = Records(
                    said.status, tuple(_address(value) or value for value in said.values), said.ttl, said.server
                )
    except Exception as error:  # noqa: BLE001 - raised again where the answer is read
        said = error
    inbox.put((question, said))


def glance(answers: Answers, host: Host) -> tuple[Facts, ...]:
    """Every name's addresses as this machine's resolver gives them, all of them this server's; () where more is to be asked.

    More is asked where a CA is to be asked, now or soon: it looks past every cache, and for CAA. And where this server
    knows its own address only from others, and where the name stands in a file of this machine. A family that cannot be
    looked up counts as one without addresses. getent leaves no family out with -A (getent(1)); where it does not know that
    flag it refuses, and then more is asked, too.
    """
    here = tuple(_address(address) or address for address in host.addresses())
    ours = {*(answers.public_addresses or (each for each in here if worldwide(each)))}
    files = [host.look(path) for path in ("/etc/hosts", "/etc/hostname", "/proc/sys/kernel/hostname")]
    words = {
        word.lower()
        for file in files
        if isinstance(file, File)
        for word in file.content.decode(errors="replace").split()
    }
    if not ours or any(name.ascii in words for name in answers.names):
        return ()
    if not answers.issuer.self_signed:
        rehearsed = host.look(f"{STATE}/stamps/renewal")
        if not isinstance(rehearsed, File) or not rehearsed.content or rehearsed.content.startswith(b"{"):  # it failed
            return ()
    found: list[Facts] = []
    for name in answers.names:
        # With the dot at its end it is nobody's suffix (resolv.conf(5), "search").
        said = host.ask(("getent", "-s", "dns", "-A", "ahosts", f"{name.ascii}."), seconds=QUICK)
        values = {each for line in said.out.splitlines() if line.strip() and (each := _address(line.split()[0]))}
        if not said.ok or not values or not values <= ours:
            return ()
        families = [tuple(sorted(each for each in values if _version(each) == version)) for version in (4, 6)]
        a, aaaa = (Records("ok" if family else "nodata", family) for family in families)
        found.append(Facts(Family("A", own=a), Family("AAAA", own=aaaa), here=here, certificate=True))
    served, now = serving.served(answers, host), host.now()
    if not served or not served.leaf or served.leaf.left(now) < 1 / 3 or serving.flaws(answers, served, now):
        return ()  # from a third on certbot asks the CA; where it still does, something keeps it from being heard
    return tuple(found)


class Dns:
    """See the module."""

    def __init__(self, seconds: float = DEADLINE, *, glance: bool = False) -> None:
        """`glance`: where no certificate is to be asked for, a look is enough that finds all names leading here."""
        self._seconds = seconds
        self._glance = glance

    def inspect(self, answers: Answers, host: Host) -> tuple[Facts, ...]:
        """All that can be learned in the time, for each name; what could not be learned, the facts say."""
        if self._glance and (seen := glance(answers, host)):
            return seen
        return in_parallel(lambda name: self._look(answers.about(name), host), answers.names)

    def _look(self, answers: Answers, host: Host) -> Facts:
        trust = _trust(answers)
        here = tuple(_address(address) or address for address in host.addresses())
        told = bool(answers.public_addresses)
        seconds = min(self._seconds, QUICK) if trust == "self-signed" else self._seconds
        look = ask_all(host, Look(answers.domain.ascii, trust, here, told, {}), seconds)
        live = f"/etc/letsencrypt/live/{answers.domain.ascii}/fullchain.pem"
        return look.facts(not isinstance(host.look(live), Absent))

    def check(self, answers: Answers, facts: tuple[Facts, ...]) -> Sequence[Finding]:
        """Each name leads to this server over every family it has records for, and the CA may sign for it."""
        return [
            finding
            for name, seen in zip(answers.names, facts, strict=True)
            for finding in _Judge(answers.about(name), seen).findings()
        ]

    def plan(self, answers: Answers, facts: tuple[Facts, ...]) -> Sequence[Change]:  # noqa: ARG002 - records are set elsewhere
        """Nothing: records are set at the DNS provider."""
        return ()


class _Judge:
    """The findings for these answers and facts. One finding a cause."""

    def __init__(self, answers: Answers, facts: Facts) -> None:
        self.trust = _trust(answers)
        self.facts = facts
        self.name = answers.domain.ascii
        self.label = answers.domain.label
        self.told = tuple(answers.public_addresses)
        self.stops = Severity.NOTE if self.trust == "self-signed" else Severity.BLOCK
        self.warns = Severity.NOTE if self.trust == "self-signed" else Severity.WARN
        self.families = (facts.a, facts.aaaa)
        inner = facts.here if self.trust != "letsencrypt" else ()
        outer = tuple(address for address in facts.here if worldwide(address))
        self.ours = tuple(dict.fromkeys(self.told or (*outer, *facts.outside, *inner)))
        self.lagging, self.values = self.weighed()

    def findings(self) -> tuple[Finding, ...]:
        """In the order in which one would mend them."""
        if not self.facts.asked:
            return (self.missing(),) if self.trust != "self-signed" else ()
        if silent := self.unanswered():
            return silent
        if not self.values:
            return (self.missing(), *self.caa())
        wrong = self.misdirected()
        rest = () if wrong else (*self.inconsistent(), *self.stale())
        return (*wrong, *self.half_answered(), *self.bogus(), *rest, *self.caa())

    # -- no answer --------------------------------------------------------------------------------------------------

    def unanswered(self) -> tuple[Finding, ...]:
        """Neither family, or only an empty one, was answered."""
        failed = [family.truth for family in self.families if family.truth.status not in DEFINITE]
        if not failed or self.values:
            return ()
        # A site that has its certificate goes on serving; a DNS outage must not keep its owner from mending it.
        severity = min(self.stops, Severity.WARN) if self.facts.certificate else self.stops
        return (self.failure(_worst(failed).status, severity, "A and AAAA"),)

    def half_answered(self) -> tuple[Finding, ...]:
        """One family's addresses are there, the other's cannot be looked up."""
        for family in self.families:
            if family.truth.status not in DEFINITE:
                return (self.failure(family.truth.status, self.warns, family.kind),)
        return ()

    def failure(self, status: str, severity: Severity, kinds: str) -> Finding:
        """Why there was no answer, by its kind."""
        zone = self.zone_name()
        if status == "servfail":
            return self.finding(
                "dns.servfail",
                severity,
                f"The {kinds} records of {self.label} cannot be looked up: the name servers report a failure (SERVFAIL).",
                "Mostly the domain's DNSSEC entry at the registrar does not fit its zone, or its name servers do not know "
                "the zone. Nobody can look up the name until that is mended, the certificate authority included.",
                f"At your domain seller, compare the name servers and the DNSSEC (DS) entry of {zone} with what your DNS "
                f"provider shows; then run this again. A full report: https://dnsviz.net/d/{self.name}/",
            )
        if status == "refused":
            return self.finding(
                "dns.refused",
                severity,
                f"The name servers refuse to answer for the {kinds} records of {self.label} (REFUSED).",
                "They are named as the servers of this domain, but they do not have it: mostly the zone was never made at "
                "the DNS provider, or was deleted there.",
                f"Add the zone {zone} at your DNS provider, or set the right name servers at your domain seller; then run "
                "this again.",
            )
        everyone = [said for family in self.families for said in (*family.zone, *family.public, family.own)]
        if all(said.status in ("timeout", "error") for said in everyone) and not self.facts.a.zone:
            return self.finding(
                "dns.timeout",
                severity,
                f"No DNS server answered this machine, so {self.label} could not be looked up.",
                "Neither the resolver in /etc/resolv.conf nor public ones could be reached. That is this server's network, "
                "not your domain.",
                "Try: getent ahosts letsencrypt.org    If that prints nothing, mend the network or /etc/resolv.conf "
                "(your provider's panel shows its resolvers), then run this again.",
            )
        return self.finding(
            "dns.timeout",
            severity,
            f"The {kinds} records of {self.label} could not be looked up: no answer in time.",
            "The domain's name servers are silent, and the certificate authority would wait for them in vain as well.",
            f"Look whether the name servers of {zone} at your domain seller are the ones your DNS provider names; if they "
            "are, try again in a few minutes.",
        )

    def bogus(self) -> tuple[Finding, ...]:
        """The servers answer, and resolvers that check signatures do not believe them."""
        if not any(family.bogus for family in self.families):
            return ()
        zone = self.zone_name()
        return (
            self.finding(
                "dns.servfail",
                self.stops,
                f"Resolvers that check DNSSEC signatures reject the records of {self.label} (SERVFAIL).",
                "The name servers do answer, but the signatures do not fit the DS entry at the registrar. The certificate "
                "authority checks them too, so it would refuse.",
                f"At your domain seller, remove the DNSSEC (DS) entry of {zone}, or replace it by the one your DNS provider "
                f"shows; then run this again. A full report: https://dnsviz.net/d/{self.name}/",
            ),
        )

    # -- no address -------------------------------------------------------------------------------------------------

    def missing(self) -> Finding:
        """The name, or an address behind it, does not exist."""
        here = tuple(each for each in self.facts.locally if self.mine(each))
        if self.trust != "letsencrypt" and here:
            return self.finding(
                "dns.missing",
                self.warns,
                f"Only this machine knows {self.label} (as {_and(here)}); the DNS has no address for it.",
                "It stands in /etc/hosts or in a resolver of your own network. Others, the certificate authority among "
                "them, must be able to look it up too.",
                "Nothing to do if your certificate authority and your browsers know the name; else "
                f"{_low(self.settings())}",
            )
        if _inner_name(self.name, NOT_PUBLIC):
            return self.finding(
                "dns.missing",
                self.stops,
                f"{self.label} has no address in the public DNS, and can have none.",
                f"Names that end in .{self.name.rpartition('.')[2]} exist only inside one network or machine; no public "
                "certificate authority signs for them.",
                'Take a name of a domain that you own; or choose the certificate "self-signed".',
            )
        gone = self.facts.a.truth.status == "nxdomain"
        what = f"{self.label} does not exist in the DNS." if gone else f"{self.label} has no address in the DNS."
        if self.facts.chain:
            what = f"{self.label} is an alias (CNAME) for {self.facts.chain[-1]}, which has no address."
        return self.finding(
            "dns.missing",
            self.stops,
            what,
            "Without an A or AAAA record nobody finds this server, and no certificate can be had for the name."
            if self.trust != "self-signed"
            else "Browsers find this server under the name only where it is entered by hand, as in their /etc/hosts.",
            f"{self.settings()}{self._drop_alias()}\nThen wait a few minutes and run this again.",
        )

    # -- the wrong address ------------------------------------------------------------------------------------------

    def misdirected(self) -> tuple[Finding, ...]:
        """Addresses that are not this server's, by what they are."""
        wrong = [value for value in self.values if not self.mine(value)]
        good = tuple(value for value in self.values if self.mine(value))
        proxied = tuple(value for value in wrong if _cloudflares(value))
        inner = tuple(value for value in wrong if not worldwide(value))
        rest = [value for value in wrong if value not in proxied and value not in inner]
        found: list[Finding] = []
        if proxied:
            found.append(self.cloudflare(proxied))
        if inner:
            found.append(self.inner(inner))
        unknown = tuple(value for value in rest if self.may_be_nat(_version(value)))
        if unknown:
            found.append(self.unknown(unknown))
        rest = [value for value in rest if value not in unknown]
        sixes = tuple(value for value in rest if _version(value) == 6)
        if rest and len(sixes) == len(rest) and not self.has(6) and not proxied:
            found.append(self.no_ipv6(sixes))
        elif rest:
            found.append(self.one_wrong(good, tuple(rest)) if good else self.foreign(tuple(rest)))
        return tuple(found)

    def foreign(self, wrong: tuple[str, ...]) -> Finding:
        """All of them lead elsewhere."""
        return self.finding(
            "dns.foreign",
            self.stops,
            f"{self.label} points to {_and(wrong)}, not to this server ({_or(self.candidates()) or 'address unknown'}).",
            "Visitors and the certificate authority would reach another machine.",
            f"{self.corrections(wrong)}{self._wait()}{self.overrule()}",
        )

    def one_wrong(self, good: tuple[str, ...], wrong: tuple[str, ...]) -> Finding:
        """Some lead here and some do not."""
        if all(_version(each) == 6 for each in wrong) and any(_version(each) == 4 for each in good):
            why = (
                "The certificate authority and most browsers try IPv6 (the AAAA record) first, so they reach another "
                "machine although the A record is right."
            )
        elif all(_version(each) == 4 for each in wrong) and all(_version(each) == 6 for each in good):
            why = "Whoever has no IPv6 reaches another machine."
        else:
            why = "Each visit takes one of the addresses by chance, the certificate authority's too, and may reach another machine."
        return self.finding(
            "dns.one-wrong",
            self.stops,
            f"{self.label} points to this server ({_and(good)}), but also to {_and(wrong)}, which is not this server.",
            why,
            f"{self.corrections(wrong)}{self._wait()}{self.overrule()}",
        )

    def no_ipv6(self, wrong: tuple[str, ...]) -> Finding:
        """An AAAA record, and no IPv6 here."""
        address = "that address" if len(wrong) == 1 else "those addresses"
        return self.finding(
            "dns.no-ipv6-here",
            self.stops,
            f"{self.label} has an IPv6 address ({_and(wrong)}), but this server has no IPv6.",
            "The certificate authority and most browsers try IPv6 (the AAAA record) first, and reach nothing or another "
            "machine.",
            f"At your DNS provider, {_deletions(self.name, wrong)}, or give the server {address} (most providers have a switch for "
            f"IPv6).{self._wait()}",
        )

    def cloudflare(self, proxied: tuple[str, ...]) -> Finding:
        """Cloudflare's proxy stands between."""
        severity = min(self.stops, Severity.WARN) if self.facts.certificate else self.stops
        return self.finding(
            "dns.cloudflare",
            severity,
            f"{self.label} points to Cloudflare's proxy ({_and(proxied)}), not straight to this server.",
            "Then the certificate authority asks Cloudflare instead of this server; and with Cloudflare's SSL mode "
            '"Flexible" the browser is sent in circles.',
            f"In Cloudflare's panel, under DNS, set the record of {self.name} to this server's address "
            f"({_or(self.candidates()) or 'see your provider'}) and switch its cloud from orange (Proxied) to grey (DNS only). "
            'When the set-up is done you may switch it back, with SSL/TLS mode "Full (strict)", never "Flexible".',
        )

    def inner(self, inner: tuple[str, ...]) -> Finding:
        """An address that only one network or machine knows."""
        return self.finding(
            "dns.private",
            self.stops,
            f"{self.label} points to {_and(inner)}, which is only valid inside a private network.",
            "From the internet nobody can reach such an address, the certificate authority included.",
            f"{self.corrections(inner)}{self._wait()}",
        )

    def unknown(self, wrong: tuple[str, ...]) -> Finding:
        """It may be right: the server stands behind an address translation that could not be seen through."""
        private = _and(
            [each for each in self.facts.here if _version(each) == _version(wrong[0]) and not worldwide(each)]
        )
        here = f"only private addresses ({private})" if private else "no address that could be seen"
        told = ", ".join(f'"{value}"' for value in wrong)
        return self.finding(
            "dns.unknown-address",
            self.stops,
            f"{self.label} points to {_and(wrong)}; whether that is this server could not be found out.",
            f"This server has {here}, so it stands behind address translation (NAT), as in many clouds, and the look from "
            "outside, which would have shown its public address, was not answered.",
            f"Compare with the public address in your provider's panel. If it is {_or(wrong)}, put this into the answers "
            f"file:  public_addresses = [{told}]\nIf it is not: set the record to the address that the panel shows.",
        )

    # -- caches and copies ------------------------------------------------------------------------------------------

    def weighed(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The name servers that lag behind the right ones, and the addresses that count.

        Where some servers give only addresses of ours and others do not, the right ones are the newer ones: nobody sets
        a record to this server by mistake.
        """
        by_server: dict[str, list[Records]] = {}
        for family in self.families:
            for said in family.zone:
                by_server.setdefault(said.server, []).append(said)
        told = {
            server: tuple(value for said in every for value in said.values)
            for server, every in by_server.items()
            if all(said.status in DEFINITE for said in every)
        }
        right = [server for server, values in told.items() if values and all(map(self.mine, values))]
        wrong = tuple(server for server in told if server not in right)
        if right and wrong:
            return wrong, tuple(dict.fromkeys(value for server in right for value in told[server]))
        return (), tuple(value for family in self.families for value in family.truth.values)

    def inconsistent(self) -> tuple[Finding, ...]:
        """Some of the zone's servers have the right addresses, and others have not."""
        if not self.lagging:
            return ()
        old = {value for f in self.families for said in f.zone if said.server in self.lagging for value in said.values}
        says = _and(sorted(value for value in old if not self.mine(value))) or "no address"
        return (
            self.finding(
                "dns.inconsistent",
                self.warns,
                f"The name servers of {self.zone_name()} do not agree on {self.label}: {_and(self.lagging)} still says {says}.",
                "Mostly a change that has not reached all of them yet. Whoever asks the one that lags behind does not find "
                "this server; the certificate authority may be among them.",
                "Wait some minutes and run this again. If it stays so, tell your DNS provider that its name servers differ.",
            ),
        )

    def stale(self) -> tuple[Finding, ...]:
        """The zone is right, and this machine's own resolver does not know yet."""
        old: list[Records] = []
        for family in self.families:
            zone_knows = any(said.status in DEFINITE for said in family.zone)
            missed = bool(family.truth.values) and family.own.status in ("nodata", "nxdomain")
            # A network may have a view of its own, in which the name is one of our inner addresses: that is not old.
            other = any(not self.mine(value) and value not in self.facts.here for value in family.own.values)
            if zone_knows and (missed or other):
                old.append(family.own)
        if not old:
            return ()
        ttl = max(said.ttl for said in old)
        values = tuple(value for said in old for value in said.values)
        return (
            self.finding(
                "dns.stale-cache",
                self.warns,
                f"This machine's own resolver still has an old answer for {self.label}: {_and(values) or 'no such name'}.",
                f"The name servers of the domain already have the right one. Caches keep the old one for up to {_span(ttl)} more.",
                "Nothing to do: the certificate authority asks the name servers themselves. Your browser may need as long.",
            ),
        )

    # -- CAA --------------------------------------------------------------------------------------------------------

    def caa(self) -> tuple[Finding, ...]:
        """Whether the CA may sign for this name (RFC 8659)."""
        if not self.facts.caa or self.trust != "letsencrypt":
            return ()
        at, said = self.facts.caa[-1]
        if said.status in ("nodata", "nxdomain"):
            return ()
        evidence = "\n".join(f"{name}. CAA: {_told(records)}" for name, records in self.facts.caa)
        if said.status != "ok":
            how = {"timeout": "no answer in time", "error": "no usable answer"}.get(said.status, said.status.upper())
            return (
                self.finding(
                    "dns.caa-servfail",
                    self.stops,
                    f"Whether Let's Encrypt may sign for {self.label} could not be looked up: CAA of {at}: {how}.",
                    "CAA records say which certificate authorities may sign. When they cannot be looked up, Let's Encrypt "
                    "must refuse, even if there are none.",
                    f"Tell your DNS provider that its name servers must answer questions of type CAA for {at} (an empty "
                    "answer is enough). Broken DNSSEC shows like this, too.",
                    evidence,
                ),
            )
        refused = refusal(said.values)
        record = f'{at}.  CAA  0 issue "letsencrypt.org"'
        own = f'\nor, only for this name:  {self.name}.  CAA  0 issue "letsencrypt.org"' if at != self.name else ""
        if refused is None:
            if not _accounts(said.values):
                return ()
            return (
                self.finding(
                    "dns.caa",
                    Severity.NOTE,
                    f"The CAA record of {at} lets only one account at Let's Encrypt sign (accounturi).",
                    "Whether this server's account is that one shows when the certificate is ordered.",
                    f"If the order is refused, add at your DNS provider:  {record}{own}",
                    evidence,
                ),
            )
        what, do = {
            "issuer": ("names other certificate authorities", f"Add at your DNS provider:  {record}{own}"),
            "nobody": ("lets no certificate authority sign", f"Replace it at your DNS provider by:  {record}{own}"),
            "method": (
                "lets Let's Encrypt sign, but not by the way used here (http-01)",
                f'Add at your DNS provider:  {at}.  CAA  0 issue "letsencrypt.org; validationmethods=http-01"\nor widen the record that is there.',
            ),
            "critical": (
                "holds a property marked critical which Let's Encrypt does not know",
                f"Delete that record at your DNS provider ({_and(said.values)}).",
            ),
        }[refused]
        return (
            self.finding(
                "dns.caa",
                self.stops,
                f"Let's Encrypt may not sign for {self.label}: the CAA record of {at} {what}.",
                "CAA records say which certificate authorities may sign for a domain and everything below it; the others "
                "must refuse.",
                f"{do}\nThen wait a few minutes and run this again.",
                evidence,
            ),
        )

    # -- words ------------------------------------------------------------------------------------------------------

    def finding(self, code: str, severity: Severity, what: str, why: str, do: str, evidence: str = "") -> Finding:
        """A finding with what everybody said as its evidence."""
        return Finding(code, severity, what, why, do, evidence or self.evidence())

    def evidence(self) -> str:
        """Who said what, a line each."""
        lines = []
        for family in self.families if self.facts.asked else ():
            lines += [f"{family.kind} at {said.server}: {_told(said)}" for said in family.zone]
            lines += [f"{family.kind} at public resolver {said.server}: {_told(said)}" for said in family.public]
            lines.append(f"{family.kind} at this machine's resolver: {_told(family.own)}")
        if self.facts.chain:
            lines.append(f"CNAME: {' -> '.join((self.name, *self.facts.chain))}")
        lines.append(f"this server's interfaces: {', '.join(self.facts.here) or 'none'}")
        if self.facts.outside:
            lines.append(f"this server from outside: {', '.join(self.facts.outside)}")
        if self.told:
            lines.append(f"this server by the answers: {', '.join(self.told)}")
        return "\n".join(lines)

    def mine(self, address: str) -> bool:
        """True for an address of this server, as far as the certificate's authority is concerned."""
        loops = self.trust != "letsencrypt" and not self.told and ipaddress.ip_address(address).is_loopback
        return loops or address in self.ours

    def candidates(self) -> tuple[str, ...]:
        """The addresses to put into records: one a family, if possible one that the internet can reach."""
        usable = sorted(self.ours, key=lambda each: not worldwide(each))
        return tuple(each for v in (4, 6) for each in [a for a in usable if _version(a) == v][:1])

    def has(self, version: int) -> bool:
        """True when this server has an address of that family which others can reach."""
        outer = (each for each in self.facts.here if worldwide(each))
        return any(_version(each) == version for each in (*outer, *self.candidates()))

    def may_be_nat(self, version: int) -> bool:
        """True when this server may have a public address of that family which nobody could tell."""
        if self.told or any(_version(each) == version and worldwide(each) for each in self.ours):
            return False
        # Address translation is rare for IPv6, and a private IPv6 address common: every VPN gives one.
        private = version == 4 and any(_version(each) == 4 for each in self.facts.here)
        return private or not self.facts.here

    def settings(self) -> str:
        """The records to set, for a name that has none."""
        records = [_record(self.name, each) for each in self.candidates()]
        if not records:
            records = [f"{self.name}.  A  (this server's public address: your provider's panel shows it)"]
        return "Set at your DNS provider:  " + "\nand  ".join(records)

    def corrections(self, wrong: tuple[str, ...]) -> str:
        """For each family in the records: the record to set, or to delete where this server has no such address."""
        parts: list[str] = []
        known = {_version(each): each for each in self.candidates() if worldwide(each) or self.trust != "letsencrypt"}
        for version in (4, 6):
            bad = tuple(each for each in wrong if _version(each) == version)
            if not bad:
                continue
            fits = known.get(version)
            if (
                fits
                and fits not in self.values
                and not any(self.mine(v) and _version(v) == version for v in self.values)
            ):
                parts.append(f"Set at your DNS provider:  {_record(self.name, fits)}  (instead of {_and(bad)})")
                if version == 6:
                    parts[-1] += f", or {_deletions(self.name, bad)}"
            elif version == 6 and not fits:
                parts.append(f"At your DNS provider, {_deletions(self.name, bad)}, or give the server that address")
            else:
                parts.append(f"At your DNS provider, {_deletions(self.name, bad)}")
        others = [each for v, each in known.items() if v not in {_version(w) for w in wrong}]
        if others and not any(self.mine(value) for value in self.values):
            parts.insert(0, f"Set at your DNS provider:  {_record(self.name, others[0])}")
        return "\n".join(parts) + self._drop_alias()

    def overrule(self) -> str:
        """How to say that the program is wrong."""
        if self.told:
            return ""
        return '\nIf an address in the record does lead to this server, list all of its addresses in the answers file:  public_addresses = ["..."]'

    def zone_name(self) -> str:
        """A name for the domain as a whole, good enough for talk."""
        return ".".join(self.name.split(".")[-2:]) if self.name.count(".") == 1 else self.name.partition(".")[2]

    def _drop_alias(self) -> str:
        if not self.facts.chain:
            return ""
        return f"\nDelete the record  {self.name}.  CNAME  {self.facts.chain[0]}.  first: a name has either a CNAME or addresses."

    def _wait(self) -> str:
        ttl = max((family.truth.ttl for family in self.families if family.truth.values), default=0)
        return (
            f"\nThen run this again; caches keep the old record for up to {_span(ttl)}."
            if ttl
            else "\nThen run this again."
        )


def refusal(records: Iterable[str], issuer: str = "letsencrypt.org", method: str = "http-01") -> str | None:
    """Why that CA may not sign for a host name under this CAA set (RFC 8659, RFC 8657); None: it may.

    "critical": an unknown property is marked critical; "nobody": the set forbids everyone; "issuer": it names others;
    "method": it names this CA, for other methods only. issuewild says nothing about host names (section 4.3).
    """
    parsed = [_parse_caa(record) for record in records]
    if any(flags & 128 and tag not in ("issue", "issuewild", "iodef") for flags, tag, _, _ in parsed):
        return "critical"
    issue = [(name, parameters) for _, tag, name, parameters in parsed if tag == "issue"]
    if not issue:
        return None
    ours = [parameters for name, parameters in issue if name == issuer]
    if not ours:
        return "issuer" if any(name for name, _ in issue) else "nobody"
    for parameters in ours:
        methods = parameters.get("validationmethods")
        if methods is None or method in (each.strip() for each in methods.split(",")):
            return None
    return "method"


def _accounts(records: Iterable[str], issuer: str = "letsencrypt.org") -> bool:
    """True when every record that lets this CA sign by http-01 is bound to an account."""
    fits = [
        p
        for r in records
        if refusal((r,)) is None
        for _, tag, name, p in [_parse_caa(r)]
        if tag == "issue" and name == issuer
    ]
    return bool(fits) and all("accounturi" in parameters for parameters in fits)


def _parse_caa(record: str) -> tuple[int, str, str, dict[str, str]]:
    """Flags, tag, issuer and parameters of `0 issue "ca.example; key=value"`; an issuer that does not parse is ""."""
    flags, _, rest = record.partition(" ")
    tag, _, value = rest.partition(" ")
    issuer, *parameters = value.strip().strip('"').split(";")
    pairs = (each.partition("=") for each in parameters)
    return (
        int(flags) if flags.isdigit() else 0,
        tag.lower(),
        issuer.strip().rstrip(".").lower(),
        {key.strip().lower(): text.strip().lower() for key, _, text in pairs if key.strip()},
    )


@functools.cache
def cloudflare() -> tuple[AnyNetwork, ...]:
    """The ranges of Cloudflare's proxy, from the list that travels with the program."""
    with open(os.path.join(os.path.dirname(__file__), "cloudflare.txt"), encoding="ascii") as file:
        lines = file.read().splitlines()
    return tuple(ipaddress.ip_network(line.strip()) for line in lines if line.strip() and not line.startswith("#"))


def _cloudflares(address: str) -> bool:
    return any(ipaddress.ip_address(address) in net for net in cloudflare())


def public_address(host: Host) -> str:
    """An address of this machine's interfaces that the internet can reach, IPv4 if possible; "" behind NAT."""
    return next((each for each in host.addresses() if worldwide(each)), "")


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _trust(answers: Answers) -> Trust:
    if answers.issuer.self_signed:
        return "self-signed"
    return "letsencrypt" if answers.issuer.directory in (LETSENCRYPT, LETSENCRYPT_STAGING) else "acme"


def _lineage(name: str) -> list[str]:
    """The name and all that are above it, the root left out."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _zones(name: str) -> list[str]:
    """Names that may be the zone's: top-level domains delegate, they do not answer."""
    return _lineage(name)[:-1] or [name]


def _inner_name(name: str, ends: Iterable[str]) -> bool:
    return any(name == end or name.endswith(f".{end}") for end in ends)


def _worst(every: Iterable[Records]) -> Records:
    """The most telling of these failures."""
    failed = [said for said in every if said.status in FAILURES]
    return min(failed, key=lambda said: FAILURES.index(said.status), default=Records("error"))


def _record(name: str, address: str) -> str:
    return f"{name}.  {'AAAA' if _version(address) == 6 else 'A'}  {address}"


def _deletions(name: str, addresses: tuple[str, ...]) -> str:
    kind = "AAAA" if _version(addresses[0]) == 6 else "A"
    return f"delete the {kind} record{'s' if len(addresses) > 1 else ''} {_and(addresses)} of {name}"


def _told(said: Records) -> str:
    if said.status != "ok":
        return {"nodata": "none", "nxdomain": "no such name", "timeout": "no answer", "error": "not reachable"}.get(
            said.status, said.status.upper()
        )
    return f"{', '.join(said.values)} (TTL {said.ttl} s)"


def _and(words: Sequence[str]) -> str:
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"


def _or(words: Sequence[str]) -> str:
    return " or ".join(words)


def _low(text: str) -> str:
    return text[:1].lower() + text[1:]


def _span(seconds: int) -> str:
    """As one says it: "40 seconds", "5 minutes", "3 hours"."""
    for size, word in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{-(-seconds // size)} {word}"
    return f"{seconds} seconds"
