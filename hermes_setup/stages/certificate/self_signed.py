"""Certificates that this server signs itself: where they are."""

from __future__ import annotations

from hermes_setup.answers.domain import Domain
from hermes_setup.host import Absent, Host

FOLDER = "/etc/ssl/hermes-setup"
"""Self-signed certificates: FOLDER/<domain>/<number>/{fullchain,privkey}.pem. A new one is a new number, so that there is
never a moment without a complete pair; the newest complete pair is served."""


def pairs(host: Host, domain: Domain) -> list[tuple[int, str]]:
    """(number, folder) of each self-signed pair that was started for that name, newest first."""
    folder = f"{FOLDER}/{domain.ascii}"
    numbers = sorted((int(name) for name in host.names(folder) if name.isdigit()), reverse=True)
    return [(number, f"{folder}/{number}") for number in numbers]


def next_number(host: Host, domain: Domain) -> int:
    """The number of the next self-signed pair: no certificate has it yet. (A folder may: openssl was interrupted.)"""
    made = [n for n, folder in pairs(host, domain) if not isinstance(host.look(f"{folder}/fullchain.pem"), Absent)]
    return max(made, default=0) + 1
