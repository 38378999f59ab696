"""Who signs the certificate: a certificate authority (CA), where an account may have an e-mail address; or this machine itself."""

from __future__ import annotations

import difflib
import re

from hermes_setup.answers.domain import Domain
from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass

LETSENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
LETSENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"


def parse_email(text: str) -> str:
    """An address for the CA's account, "" for none. Not RFC 5321 in full: what Let's Encrypt accepts. Raises WrongInput."""
    text = text.strip()
    if not text:
        return ""
    hint = "Type an address like me@example.com, or nothing."
    if len(text) > 254 or not text.isascii() or not text.isprintable():
        raise WrongInput("That is not an e-mail address that a certificate authority accepts.", hint=hint)
    local, at, host = text.rpartition("@")
    if (
        not at
        or not re.fullmatch(r"[A-Za-z0-9_%+=~^{}|/*!?&#'`.$-]{1,64}", local)
        or local[0] in "-."
        or local[-1] == "."
    ):
        raise WrongInput(f"{text} is not an e-mail address.", hint=hint)
    if ".." in local or "'" in local or "`" in local or "$" in local:
        raise WrongInput(f"{text} is not an e-mail address.", hint=hint)
    try:
        Domain.parse(host)
    except WrongInput as error:
        words = f"{text} is not an e-mail address that a certificate authority accepts"
        raise WrongInput(f"{words}: {host} is not a full domain.", hint=hint) from error
    return f"{local}@{host.lower()}"


@dataclass(frozen=True)
class Issuer:
    """Who signs the certificate. `directory` is the ACME directory URL, "" for self-signed."""

    text: str
    directory: str

    @classmethod
    def parse(cls, text: str) -> Issuer:
        """One of the three words, or the https URL of an ACME directory (RFC 8555 section 7.1.1). Raises WrongInput."""
        word = text.strip()
        known = {"letsencrypt": LETSENCRYPT, "letsencrypt-staging": LETSENCRYPT_STAGING, "self-signed": ""}
        if word.lower() in known:
            return cls(word.lower(), known[word.lower()])
        for name, url in known.items():
            if url and word == url:
                return cls(name, url)
        hint = "Type letsencrypt, letsencrypt-staging, self-signed, or the https:// address of an ACME directory."
        if "://" not in word:
            near = difflib.get_close_matches(word.lower(), known, 1)
            raise WrongInput(
                f'"{word}" is not a kind of certificate.', hint=f"Did you mean {near[0]}?" if near else hint
            )
        if not re.fullmatch(
            r"https://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~%+=&?/-]*)?", word
        ):
            raise WrongInput(f"{word} is not a usable address of an ACME directory.", hint=hint)
        return cls(word, word)

    @property
    def self_signed(self) -> bool:
        """True when this machine signs it itself."""
        return not self.directory

    @property
    def production(self) -> bool:
        """True for Let's Encrypt's production, whose rate limits count."""
        return self.directory == LETSENCRYPT


def ca_name(server: str) -> str:
    """A CA as a person calls it."""
    known = {LETSENCRYPT: "Let's Encrypt", LETSENCRYPT_STAGING: "Let's Encrypt's staging"}
    return known.get(server, server or "nobody")
