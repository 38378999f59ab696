"""Resolvers: this machine's own, and public ones where it fails or is silent for long."""

from __future__ import annotations

from collections.abc import Mapping

from hermes_setup.host import Records
from hermes_setup.stages.dns.facts import DEFINITE, worst
from hermes_setup.stages.dns.queries.query import HEDGE, LATE, Query
from hermes_setup.values import dataclass

PUBLIC = ("1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "2001:4860:4860::8888")


@dataclass(frozen=True)
class Resolvers:
    """What resolvers replied so far; `elapsed` is the share of the time that has passed."""

    known: Mapping[Query, Records]
    elapsed: float

    def wanted(self, name: str, kind: str) -> list[Query]:
        """Our own resolver; where it fails, or is silent for long, the public ones side by side, until one knows."""
        own = Query(name, kind)
        reply = self.known.get(own)
        if (reply and reply.status in DEFINITE) or (reply is None and self.elapsed < HEDGE):
            return [own]
        if self.public_reply(name, kind):
            return []
        return [own] if reply and self.elapsed >= LATE else [own, *public_queries(name, kind)]

    def reply(self, name: str, kind: str) -> Records | None:
        """What resolvers say; None while that is open."""
        own = self.known.get(Query(name, kind))
        if own and own.status in DEFINITE:
            return own
        if public := self.public_reply(name, kind):
            return public
        queries = self.wanted(name, kind)
        if any(query not in self.known for query in queries) and self.elapsed < 1:
            return None
        return worst(self.known.get(query, Records("timeout")) for query in queries)

    def public_reply(self, name: str, kind: str) -> Records | None:
        """What the first public resolver says that knows."""
        replies = (self.known.get(query) for query in public_queries(name, kind))
        return next((reply for reply in replies if reply and reply.status in DEFINITE), None)


def public_queries(name: str, kind: str) -> list[Query]:
    """One for each public resolver."""
    return [Query(name, kind, server) for server in PUBLIC]
