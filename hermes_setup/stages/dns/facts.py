"""What was seen of a name: who answered what about its A and AAAA records, its aliases (CNAME), its CAA records."""

from __future__ import annotations

from collections.abc import Iterable

from hermes_setup.host import Records
from hermes_setup.values import dataclass, field

DEFINITE = ("ok", "nodata", "nxdomain")  # a reply about the name, not about the server that was asked
FAILURES = ("servfail", "refused", "timeout", "error")  # the most telling first


@dataclass(frozen=True)
class Family:
    """The replies about the name's A (or AAAA) records: of its zone's name servers, of public resolvers, of our own."""

    kind: str
    zone: tuple[Records, ...] = ()
    public: tuple[Records, ...] = ()  # asked only where the others did not do
    own: Records = field(default_factory=lambda: Records("error"))

    @property
    def actual(self) -> Records:
        """What the world sees: the zone's servers together, else the first resolver that knows, else how it failed."""
        definite = [reply for reply in self.zone if reply.status in DEFINITE]
        if definite:
            values = tuple(sorted({value for reply in definite for value in reply.values}))
            nxdomain = any(reply.status == "nxdomain" for reply in definite)
            status = "ok" if values else "nxdomain" if nxdomain else "nodata"
            return Records(status, values, max(reply.ttl for reply in definite))
        resolvers = (*self.public, self.own)
        return next((reply for reply in resolvers if reply.status in DEFINITE), worst((*self.zone, *resolvers)))

    @property
    def bogus(self) -> bool:
        """True when the zone's servers answer and resolvers, public ones too, reject that: broken DNSSEC (RFC 4033)."""
        return (
            any(reply.status in DEFINITE for reply in self.zone)
            and self.own.status == "servfail"
            and any(reply.status == "servfail" for reply in self.public)
            and not any(reply.status in DEFINITE for reply in self.public)
        )


@dataclass(frozen=True)
class Facts:
    """What was seen of one name. Addresses are in their short form."""

    a: Family = Family("A")
    aaaa: Family = Family("AAAA")
    chain: tuple[str, ...] = ()  # the CNAMEs, one after the other
    caa: tuple[tuple[str, Records], ...] = ()  # from the name upwards, to the first set found
    interfaces: tuple[str, ...] = ()  # this server's own addresses
    outside: tuple[str, ...] = ()  # this server's addresses as others see them
    getent: tuple[str, ...] = ()  # what programs on this machine get for the name, /etc/hosts included
    asked: bool = True  # False: a name that must not be asked for
    certificate: bool = False  # certbot has one for this name already


def worst(replies: Iterable[Records]) -> Records:
    """The most telling of these failures."""
    failed = [reply for reply in replies if reply.status in FAILURES]
    return min(failed, key=lambda reply: FAILURES.index(reply.status), default=Records("error"))
