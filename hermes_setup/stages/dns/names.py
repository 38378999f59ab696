"""Names and addresses, as DNS has them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

# Never in the public DNS: RFC 6761, RFC 6762, RFC 8375, and ICANN's resolution of 29 July 2024 on .internal.
NOT_PUBLIC = ("localhost", "local", "test", "invalid", "internal", "home.arpa", "lan", "home")


def ip_version(address: str) -> int:
    """4 or 6."""
    return 6 if ":" in address else 4


def short_form(text: str) -> str:
    """The address in its short form, "" for text that is not an address."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def is_or_below(name: str, endings: Iterable[str]) -> bool:
    """True for a name that is one of these, or below one of them."""
    return any(name == ending or name.endswith(f".{ending}") for ending in endings)


def upwards(name: str) -> list[str]:
    """The name and all that are above it, the root left out."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]
