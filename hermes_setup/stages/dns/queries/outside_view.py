"""This server's addresses as others see them: names whose records are the address that asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hermes_setup.answers.allowed_addresses import is_public
from hermes_setup.host import Records
from hermes_setup.stages.dns.names import ip_version, short_form
from hermes_setup.stages.dns.queries.query import LATE, Query

# Each is asked at its own service only.
MIRRORS = {
    4: (("myip.opendns.com", "A", "208.67.222.222"), ("o-o.myaddr.l.google.com", "TXT", "216.239.32.10")),
    6: (("myip.opendns.com", "AAAA", "2620:119:35::35"), ("o-o.myaddr.l.google.com", "TXT", "2001:4860:4802:32::a")),
}


def wanted(
    interfaces: Sequence[str], records: Sequence[str], known: Mapping[Query, Records], elapsed: float
) -> list[Query]:
    """The mirrors of each family in which the interfaces alone do not tell whether the records point to this server."""
    found: list[Query] = []
    for version, mirrors in MIRRORS.items():
        own = [address for address in interfaces if ip_version(address) == version]
        if not own and interfaces:
            continue
        of_family = [address for address in records if ip_version(address) == version]
        if any(is_public(address) for address in own) and all(address in own for address in of_family):
            continue
        if seen_addresses(version, known) or elapsed >= LATE:
            continue
        found += [Query(*mirror) for mirror in mirrors]
    return found


def seen_addresses(version: int, known: Mapping[Query, Records]) -> tuple[str, ...]:
    """The addresses of that family that a mirror has shown."""
    replies = [known.get(Query(*mirror)) for mirror in MIRRORS[version]]
    values = [value for reply in replies if reply for value in reply.values]
    found = [address for value in values if (address := short_form(value.strip('"')))]
    return tuple(dict.fromkeys(each for each in found if ip_version(each) == version and is_public(each)))
