"""The `listen` lines: for all addresses, or address by address where a neighbour does so (nginx docs, request_processing)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from hermes_setup.nginx.tree import Listen
from hermes_setup.stages.site.facts import Facts
from hermes_setup.values import replace

HTTP2_DIRECTIVE = (1, 25, 1)
"""From here on http2 is a directive of its own (nginx CHANGES, 1.25.1)."""


def listens_http(facts: Facts) -> list[str]:
    """Where to listen for HTTP."""
    return _listens(80, "", facts)


def listens_https(facts: Facts) -> list[str]:
    """Where to listen for HTTPS.

    Before HTTP2_DIRECTIVE, http2 is an option of the socket: it would be switched on for the neighbours on it, too.
    """
    on_443 = [listen for server in facts.config.others() for listen in server.listens if listen.port == 443]
    option = facts.version < HTTP2_DIRECTIVE and all("http2" in listen.options for listen in on_443)
    return _listens(443, " ssl http2" if option else " ssl", facts)


def _listens(port: int, options: str, facts: Facts) -> list[str]:
    """Where to listen: for all addresses, unless nginx has that port address by address already.

    A request to an address that a neighbour listens on by number is only ever given to servers that name it as well
    (nginx docs, request_processing), so we name it, too. And while nginx holds 203.0.113.5:80, the kernel refuses it a
    socket for all addresses (seen: the reload fails), and the other way round; then every address of this machine is
    named instead.
    """
    taken = [
        listen
        for server in facts.config.others()
        for listen in map(_with_number, server.listens)
        if listen and listen.port == port and not listen.address.startswith("unix:") and "quic" not in listen.options
    ]
    open_addresses = [each.address for each in facts.sockets if each.port == port]
    dual = any(listen.address == "[::]" and "ipv6only=off" in listen.options for listen in taken)
    found: list[str] = []
    for all_addresses, family in (("", 4), ("[::]:", 6)):
        if family == 6 and not facts.ipv6:
            continue
        named = [
            each.address for each in taken if _family(each.address) == family and each.address not in ("*", "[::]")
        ]
        open_now = [address for address in open_addresses if (":" in address) == (family == 6)]
        if family == 4 and dual and not any(each.address == "*" for each in taken):
            pass  # the neighbour's [::] takes IPv4 as well
        elif _by_address(family, open_now, named, taken):
            own = ["127.0.0.1" if family == 4 else "[::1]"]
            own += [_bracketed(each) for each in facts.addresses if (":" in each) == (family == 6)]
            named = list(dict.fromkeys([*named, *own]))
        else:
            found.append(f"{all_addresses}{port}")
        found += dict.fromkeys(f"{address}:{port}" for address in named)
    return [f"{each}{options}" for each in found]


def _with_number(listen: Listen) -> Listen | None:
    """The listen with its address in numbers; None for a name that only its resolver knows."""
    if listen.address == "localhost":
        return replace(listen, address="127.0.0.1")  # nginx asks getaddrinfo; hosts(5) has it
    try:
        ipaddress.ip_address(listen.address.strip("[]"))
    except ValueError:
        return listen if listen.address == "*" else None
    return listen


def _by_address(family: int, open_now: Sequence[str], named: Sequence[str], taken: Sequence[Listen]) -> bool:
    """True when nginx has the port address by address: as it runs now, else as the neighbours' files have it."""
    if open_now:
        return not any(address in ("0.0.0.0", "::") for address in open_now)  # noqa: S104 - compared, not bound
    all_addresses = "*" if family == 4 else "[::]"
    return bool(named) and not any(each.address == all_addresses for each in taken)


def _family(address: str) -> int:
    return 6 if address.startswith("[") else 4


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
