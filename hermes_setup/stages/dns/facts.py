"""What was seen of a name: who said what of its A and AAAA records, where its aliases lead, its CAA records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from hermes_setup.host import Records
from hermes_setup.values import dataclass, field

DEFINITE = ("ok", "nodata", "nxdomain")


FAILURES = ("servfail", "refused", "timeout", "error")  # the most telling first


Trust = Literal["letsencrypt", "acme", "self-signed"]


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
        return next((said for said in every if said.status in DEFINITE), worst((*self.zone, *every)))

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


def worst(every: Iterable[Records]) -> Records:
    """The most telling of these failures."""
    failed = [said for said in every if said.status in FAILURES]
    return min(failed, key=lambda said: FAILURES.index(said.status), default=Records("error"))
