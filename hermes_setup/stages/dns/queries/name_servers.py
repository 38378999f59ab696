"""The zone's own name servers: who they are, what is asked of them, and where aliases (CNAME) go."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.host import Records
from hermes_setup.stages.dns.facts import DEFINITE
from hermes_setup.stages.dns.names import upwards
from hermes_setup.stages.dns.queries.query import LATE, PATIENCE, Query
from hermes_setup.stages.dns.queries.resolvers import Resolvers
from hermes_setup.values import dataclass

MOST_ALIASES = 8  # as resolvers have it; a longer chain of CNAMEs is a loop
MOST_SERVERS = 13  # as many as the root has; more are never needed to see that they differ


@dataclass(frozen=True)
class NameServers:
    """The servers of the zones that the domain and its aliases are in, and what they replied so far."""

    domain: str
    resolvers: Resolvers

    def wanted(self, name: str) -> list[Query]:
        """Who the servers are, and the name's addresses from each of them; its alias where it may have one."""
        known, elapsed = self.resolvers.known, self.resolvers.elapsed
        to_resolvers: list[Query] = []
        for zone in _zones(name):
            to_resolvers += self.resolvers.wanted(zone, "NS")
        for server in self._server_names(name):
            to_resolvers += [*self.resolvers.wanted(server, "A"), *self.resolvers.wanted(server, "AAAA")]
        if name != self.domain:
            to_resolvers += self.resolvers.wanted(name, "CNAME")
        servers = self.servers(name)
        aliased = bool((reply := self.resolvers.reply(name, "CNAME")) and reply.values)
        to_servers: list[Query] = []
        for server in servers:
            to_servers += [Query(name, "A", server), Query(name, "AAAA", server)]
            both = [known.get(query) for query in to_servers[-2:]]
            if aliased or all(reply and reply.status in DEFINITE and not reply.values for reply in both):
                to_servers.append(Query(name, "CNAME", server))
        answered = any(self.definite(name, "A", server) and self.definite(name, "AAAA", server) for server in servers)
        if elapsed >= (PATIENCE if answered else LATE):
            to_servers = [query for query in to_servers if query in known]
            to_resolvers = [query for query in to_resolvers if query in known] if answered else to_resolvers
        return to_resolvers + to_servers

    def wanted_of_any(self, name: str, kind: str) -> list[Query]:
        """The domain's servers side by side; the first reply will do."""
        servers = self.servers(self.domain)
        if self.resolvers.elapsed >= LATE or any(self.definite(name, kind, server) for server in servers):
            return []
        return [Query(name, kind, server) for server in servers]

    def chain(self) -> tuple[str, ...]:
        """The domain, and behind it every alias that has to be followed, as its own servers do not know the end."""
        chain = [self.domain]
        while len(chain) <= MOST_ALIASES:
            alias = self.alias(chain[-1])
            if not alias or alias in chain or self._have_addresses(chain[-1]):
                break
            chain.append(alias)
        return tuple(chain)

    def alias(self, name: str) -> str:
        """Which name the CNAME gives, "" where there is none or that is not known yet."""
        replies = [self.resolvers.known.get(Query(name, "CNAME", server)) for server in self.servers(name)]
        definite = [reply for reply in replies if reply and reply.status in DEFINITE]
        reply = (
            next((reply for reply in definite if reply.values), None)
            if definite
            else self.resolvers.reply(name, "CNAME")
        )
        return reply.values[0].rstrip(".").lower() if reply and reply.values else ""

    def servers(self, name: str) -> tuple[str, ...]:
        """The addresses of the servers of that name's zone, as far as they are known."""
        found: list[str] = []
        for server in self._server_names(name):
            for kind in ("A", "AAAA"):
                reply = self.resolvers.reply(server, kind)
                found += reply.values if reply else ()
        return tuple(dict.fromkeys(found))[: 2 * MOST_SERVERS]

    def definite(self, name: str, kind: str, server: str) -> bool:
        """True once that server has replied about the name."""
        reply = self.resolvers.known.get(Query(name, kind, server))
        return bool(reply and reply.status in DEFINITE)

    def may_answer(self, kind: str) -> bool:
        """False once it is clear, or likely after this time, that the servers will say nothing of the domain."""
        known, elapsed = self.resolvers.known, self.resolvers.elapsed
        last = self.chain()[-1]
        servers = self.servers(last)
        if any(self.definite(last, kind, server) for server in servers):
            return True
        if elapsed >= PATIENCE:
            return False
        if not servers:
            asked = [query for query in self.wanted(last) if query.kind in ("NS", "A", "AAAA")]
            return any(query not in known for query in asked)
        return any(Query(last, kind, server) not in known for server in servers)

    def replies(self, name: str, kind: str) -> tuple[Records, ...]:
        """What each server says; one that did not answer has timed out."""
        known = self.resolvers.known
        return tuple(
            known.get(Query(name, kind, server), Records("timeout", server=server)) for server in self.servers(name)
        )

    def _server_names(self, name: str) -> tuple[str, ...]:
        for zone in _zones(name):
            reply = self.resolvers.reply(zone, "NS")
            if reply is None:
                return ()
            if reply.status == "ok":
                return tuple(value.rstrip(".").lower() for value in reply.values)[:MOST_SERVERS]
        return ()

    def _have_addresses(self, name: str) -> bool:
        return any(
            (reply := self.resolvers.known.get(Query(name, kind, server))) and reply.values
            for kind in ("A", "AAAA")
            for server in self.servers(name)
        )


def _zones(name: str) -> Sequence[str]:
    """Names that may be the zone's: top-level domains delegate, they do not answer."""
    return upwards(name)[:-1] or [name]
