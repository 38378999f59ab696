"""The `listen` lines: everywhere, or by address where a neighbour does so (nginx docs, request_processing)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from hermes_setup.nginx import tree
from hermes_setup.nginx.tree import Server
from hermes_setup.stages.site.facts import Facts
from hermes_setup.values import replace


def listens_on(port: int, options: str, neighbours: Sequence[Server], facts: Facts) -> list[str]:
    """Where to listen: everywhere, unless nginx holds that port by address already.

    A request to an address that a neighbour listens on by number is only ever given to servers that name it as well
    (nginx docs, request_processing), so we name it, too. And while nginx holds 203.0.113.5:80, the kernel refuses it a
    socket for all addresses (seen: the reload fails), and the other way round; then every address of this machine is
    named instead.
    """
    taken = [
        listen
        for server in neighbours
        for listen in map(_numeric, server.listens)
        if listen and listen.port == port and not listen.address.startswith("unix:") and "quic" not in listen.options
    ]
    held = [each.address for each in facts.held if each.port == port]
    dual = any(listen.address == "[::]" and "ipv6only=off" in listen.options for listen in taken)
    found: list[str] = []
    for everywhere, family in (("", 4), ("[::]:", 6)):
        if family == 6 and not facts.ipv6:
            continue
        named = [
            each.address for each in taken if _family(each.address) == family and each.address not in ("*", "[::]")
        ]
        open_now = [address for address in held if (":" in address) == (family == 6)]
        if family == 4 and dual and not any(each.address == "*" for each in taken):
            pass  # the neighbour's [::] takes IPv4 as well
        elif _by_address(family, open_now, named, taken):
            own = ["127.0.0.1" if family == 4 else "[::1]"]
            own += [_bracketed(each) for each in facts.addresses if (":" in each) == (family == 6)]
            named = list(dict.fromkeys([*named, *own]))
        else:
            found.append(f"{everywhere}{port}")
        found += dict.fromkeys(f"{address}:{port}" for address in named)
    return [f"{each}{options}" for each in found]


def _numeric(listen: tree.Listen) -> tree.Listen | None:
    """The listen with its address in figures; None for a name that only its resolver knows."""
    if listen.address == "localhost":
        return replace(listen, address="127.0.0.1")  # nginx asks getaddrinfo; hosts(5) has it
    try:
        ipaddress.ip_address(listen.address.strip("[]"))
    except ValueError:
        return listen if listen.address == "*" else None
    return listen


def _by_address(family: int, open_now: Sequence[str], named: Sequence[str], taken: Sequence[tree.Listen]) -> bool:
    """True when nginx holds the port by address: as it runs now, else as the neighbours' files have it."""
    if open_now:
        return not any(address in ("0.0.0.0", "::") for address in open_now)  # noqa: S104 - compared, not bound
    everywhere = "*" if family == 4 else "[::]"
    return bool(named) and not any(each.address == everywhere for each in taken)


def _family(address: str) -> int:
    return 6 if address.startswith("[") else 4


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
