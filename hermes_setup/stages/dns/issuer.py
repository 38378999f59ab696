"""What kind of authority signs the certificate: it decides what DNS has to show, and to whom."""

from __future__ import annotations

from typing import Literal

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.issuer import LETSENCRYPT, LETSENCRYPT_STAGING

IssuerKind = Literal["letsencrypt", "acme", "self-signed"]


def issuer_kind(answers: Answers) -> IssuerKind:
    """Let's Encrypt (its staging too), another ACME authority, or this server itself."""
    if answers.issuer.self_signed:
        return "self-signed"
    return "letsencrypt" if answers.issuer.directory in (LETSENCRYPT, LETSENCRYPT_STAGING) else "acme"
