"""The A and AAAA records of a name, as this machine's resolver gives them: what other stages may ask of DNS."""

from __future__ import annotations

from collections.abc import Iterable

from hermes_setup.host import Host, Records
from hermes_setup.parallel import in_parallel
from hermes_setup.stages.dns.cloudflare import is_cloudflare
from hermes_setup.stages.dns.facts import DEFINITE
from hermes_setup.stages.dns.names import NOT_PUBLIC, is_or_below
from hermes_setup.values import dataclass

SECONDS = 2.0  # for one look-up
NODATA = Records("nodata")


@dataclass(frozen=True)
class NameRecords:
    """The replies for one name."""

    a: Records = NODATA
    aaaa: Records = NODATA

    @property
    def complete(self) -> bool:
        """True when both were answered, if only by "there is none"."""
        return self.a.status in DEFINITE and self.aaaa.status in DEFINITE

    @property
    def cloudflare(self) -> tuple[str, ...] | None:
        """The addresses of Cloudflare's proxy among them; None when there may be some, but DNS did not answer."""
        found = tuple(address for address in (*self.a.values, *self.aaaa.values) if is_cloudflare(address))
        return found if found or self.complete else None


def of(host: Host, names: Iterable[str]) -> dict[str, NameRecords]:
    """The records of each name, looked up side by side. Names that are never public (`.local`) are not asked for."""

    def look_up(query: tuple[str, str]) -> Records:
        name, kind = query
        return NODATA if is_or_below(name, NOT_PUBLIC) else host.dns(name, kind, seconds=SECONDS)

    unique = tuple(dict.fromkeys(names))
    replies = in_parallel(look_up, [(name, kind) for name in unique for kind in ("A", "AAAA")])
    return {name: NameRecords(a, aaaa) for name, a, aaaa in zip(unique, replies[::2], replies[1::2], strict=True)}


def has_no_address(host: Host, name: str) -> bool:
    """True when DNS says that the name has neither an A nor an AAAA record. A look-up that fails says nothing."""
    replies = [host.dns(name, kind) for kind in ("A", "AAAA")]
    return all(reply.status in DEFINITE and not reply.values for reply in replies)
