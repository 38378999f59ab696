"""Certificates that this server signs itself: where they are, and how one is made."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.engine.changes import Change, Place, Run
from hermes_setup.host import Absent, Folder, Host

FOLDER = "/etc/ssl/hermes-setup"
"""Self-signed certificates: FOLDER/<domain>/<number>/{fullchain,privkey}.pem. A new one is a new number, so that there is
never a moment without a complete pair; the newest complete pair is served."""

DAYS = 825
"""Lifetime: the longest that Apple's systems accept (support.apple.com/103769)."""


def pairs(host: Host, domain: Domain) -> list[tuple[int, str]]:
    """(number, folder) of each self-signed pair that was started for that name, newest first."""
    folder = f"{FOLDER}/{domain.ascii}"
    numbers = sorted((int(name) for name in host.names(folder) if name.isdigit()), reverse=True)
    return [(number, f"{folder}/{number}") for number in numbers]


def next_number(host: Host, domain: Domain) -> int:
    """The number of the next self-signed pair: no certificate has it yet. (A folder may: openssl was interrupted.)"""
    made = [n for n, folder in pairs(host, domain) if not isinstance(host.look(f"{folder}/fullchain.pem"), Absent)]
    return max(made, default=0) + 1


def make(answers: Answers, number: int, gives: str, reason: str) -> Sequence[Change]:
    """Makes that pair for all names of the answers; `gives` is the name of the fact that it is there (see `Run`)."""
    folder = f"{FOLDER}/{answers.domain}/{number}"
    # The name is in subjectAltName only: a common name holds 64 characters at most (X.520), a domain 253.
    names = ",".join(f"DNS:{name}" for name in answers.names)
    argv = (
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256"),
        *("-days", str(DAYS), "-subj", "/O=hermes-setup/CN=self-signed", "-addext", f"subjectAltName={names}"),
        *("-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"),
        *("-keyout", f"{folder}/privkey.pem", "-out", f"{folder}/fullchain.pem"),
    )
    why = f"make a self-signed certificate for {DAYS} days{reason}"
    return (
        Place(folder, Folder(0o700), "for the new certificate and its key"),
        Run(argv, why, gives=gives, irreversible=True, seconds=60),
    )
