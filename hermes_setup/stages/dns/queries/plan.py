"""Which look-ups are still worth making, and what the replies come to. Pure: what is asked is as easy to test as what is concluded."""

from __future__ import annotations

from collections.abc import Mapping

from hermes_setup.host import Records
from hermes_setup.stages.dns import caa
from hermes_setup.stages.dns.facts import Facts, Family
from hermes_setup.stages.dns.issuer import IssuerKind
from hermes_setup.stages.dns.names import is_or_below, upwards
from hermes_setup.stages.dns.queries import outside_view
from hermes_setup.stages.dns.queries.name_servers import NameServers
from hermes_setup.stages.dns.queries.query import GETENT, LATE, Query
from hermes_setup.stages.dns.queries.resolvers import Resolvers, public_queries
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class QueryPlan:
    """The replies so far; `elapsed` is the share of the time that has passed."""

    domain: str
    issuer: IssuerKind
    interfaces: tuple[str, ...]  # this server's own addresses
    addresses_given: bool  # by the answers: public_addresses
    known: Mapping[Query, Records]
    elapsed: float = 0.0

    def wanted(self) -> list[Query]:
        """Every query whose reply still counts; once all of them are answered, all is known that can be."""
        getent = [Query(self.domain, GETENT)]
        if is_or_below(self.domain, ("localhost",)):
            return getent if self.issuer == "acme" else []
        found: list[Query] = []
        for kind in ("A", "AAAA", "CNAME"):
            found += self._resolvers.wanted(self.domain, kind)
        for name in self._name_servers.chain():
            found += self._name_servers.wanted(name)
        if self.issuer == "letsencrypt":
            found += [*self._second_opinion(), *self._caa_wanted()]
        if not self.addresses_given:
            found += outside_view.wanted(self.interfaces, self._addresses(), self.known, self.elapsed)
        if self.issuer != "letsencrypt" and not self._addresses():
            found += getent
        return list(dict.fromkeys(found))

    def facts(self, certificate: bool) -> Facts:
        """What these replies come to; a query that was sent and not answered counts as a time-out."""
        if is_or_below(self.domain, ("localhost",)):
            return Facts(interfaces=self.interfaces, getent=self._getent(), asked=False, certificate=certificate)
        chain = self._name_servers.chain()
        alias = self._name_servers.alias(chain[-1])
        return Facts(
            a=self._family("A", chain[-1]),
            aaaa=self._family("AAAA", chain[-1]),
            chain=(*chain[1:], alias) if alias and alias not in chain else chain[1:],
            caa=self._caa_upwards() if self.issuer == "letsencrypt" else (),
            interfaces=self.interfaces,
            outside=tuple(each for version in (4, 6) for each in outside_view.seen_addresses(version, self.known)),
            getent=self._getent(),
            certificate=certificate,
        )

    @property
    def _resolvers(self) -> Resolvers:
        return Resolvers(self.known, self.elapsed)

    @property
    def _name_servers(self) -> NameServers:
        return NameServers(self.domain, self._resolvers)

    def _second_opinion(self) -> list[Query]:
        """Public resolvers, where the zone's own servers cannot be asked: port 53 outward may be closed here."""
        found: list[Query] = []
        for kind in ("A", "AAAA"):
            answered = self._name_servers.may_answer(kind) or self._resolvers.public_reply(self.domain, kind)
            if not answered and self.elapsed < LATE:
                found += public_queries(self.domain, kind)
        return found

    # -- CAA ----------------------------------------------------------------------------------------------------------

    def _caa_wanted(self) -> list[Query]:
        """CAA from the domain upwards to the first set; one that refuses is looked up past the cache as well."""
        found: list[Query] = []
        for name in upwards(self.domain):
            found += self._resolvers.wanted(name, "CAA")
            reply = self._caa(name)
            if reply and reply.status == "ok":
                if caa.refusal(reply.values):
                    found += self._name_servers.wanted_of_any(name, "CAA")
                break
        return found

    def _caa(self, name: str) -> Records | None:
        if not self._name_servers.alias(self.domain):
            for server in self._name_servers.servers(self.domain):
                if self._name_servers.definite(name, "CAA", server):
                    return self.known[Query(name, "CAA", server)]
        return self._resolvers.reply(name, "CAA")

    def _caa_upwards(self) -> tuple[tuple[str, Records], ...]:
        found: list[tuple[str, Records]] = []
        for name in upwards(self.domain):
            found.append((name, self._caa(name) or Records("timeout")))
            if found[-1][1].status not in ("nodata", "nxdomain"):
                break
        return tuple(found)

    # -- addresses ----------------------------------------------------------------------------------------------------

    def _family(self, kind: str, last: str) -> Family:
        """The replies about the last name of the chain, and those of resolvers, who follow the chain themselves."""
        public = tuple(reply for query in public_queries(self.domain, kind) if (reply := self.known.get(query)))
        own = self.known.get(Query(self.domain, kind), Records("timeout"))
        return Family(kind, self._name_servers.replies(last, kind), public, own)

    def _addresses(self) -> tuple[str, ...]:
        last = self._name_servers.chain()[-1]
        return tuple(value for kind in ("A", "AAAA") for value in self._family(kind, last).actual.values)

    def _getent(self) -> tuple[str, ...]:
        reply = self.known.get(Query(self.domain, GETENT))
        return reply.values if reply else ()
