"""Phrases that several parts of the screen use."""

from __future__ import annotations

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.issuer import LETSENCRYPT_STAGING


def count_of(count: int, thing: str) -> str:
    """As "1 change", "2 changes", "" for none."""
    return "" if not count else f"1 {thing}" if count == 1 else f"{count} {thing}s"


def trust_note(answers: Answers) -> str:
    """What the browser will say about the certificate, "" for nothing."""
    if answers.issuer.self_signed:
        return (
            "Your browser warns at the first visit, because this server signed its certificate itself. That is expected: "
            'choose "Advanced", then continue. With a public domain, run hermes-setup again and choose Let\'s Encrypt.'
        )
    if answers.issuer.directory == LETSENCRYPT_STAGING:
        return (
            "Your browser warns: this is a test certificate (Let's Encrypt staging). When everything works, run hermes-setup again and "
            "choose Let's Encrypt."
        )
    return ""
