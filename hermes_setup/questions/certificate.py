"""Who signs the certificate, and for whose account."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.issuer import Issuer, ca_name, parse_email
from hermes_setup.questions.domain import is_private
from hermes_setup.questions.draft import Draft, Known
from hermes_setup.questions.prompt import Choice, Prompt, chosen
from hermes_setup.questions.question import Question
from hermes_setup.values import replace

CHOICES = (
    Choice("letsencrypt", "Let's Encrypt: free, browsers trust it"),
    Choice("letsencrypt-staging", "Let's Encrypt staging: for testing, browsers warn"),
    Choice("self-signed", "Self-signed: no authority, browsers warn"),
    Choice("other", "Another ACME authority"),
)
WORDS = tuple(choice.value for choice in CHOICES)


class Authority(Question):
    """Which certificate authority signs; "other" leads to `OtherAuthority`."""

    key = "certificate"

    def is_open(self, draft: Draft, known: Known) -> bool:
        """Once the domain is known."""
        return draft.issuer is None and not draft.other_ca and draft.domain is not None

    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """A name that no public authority signs for is signed by this server."""
        default, about = (
            "letsencrypt",
            "It proves to browsers that this is your server. Let's Encrypt suits nearly everyone.",
        )
        if draft.domain and is_private(draft.domain):
            default = "self-signed"
            about = f"No public authority signs names like {draft.domain.shown}, so this server signs it itself."
        elif known.previous:
            default = known.previous.issuer.text if known.previous.issuer.text in WORDS else "other"
        return Prompt("certificate", "Certificate", about, "certificate", "choice", default, choices=CHOICES)

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """One of them."""
        value = chosen(self.prompt(draft, known), text)
        return replace(draft, other_ca=True) if value == "other" else replace(draft, issuer=Issuer.parse(value))

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """As it was, whichever it was."""
        return replace(now, issuer=final.issuer) if final.issuer else None

    def answered(self, draft: Draft, number: int) -> str:
        """Its word."""
        if draft.issuer is None:
            return ""
        return draft.issuer.text if draft.issuer.text in WORDS else "other"

    def kept(self, draft: Draft) -> str:
        """Its word, or its address."""
        return f"Certificate: {draft.issuer.text}" if draft.issuer else ""

    def review(self, answers: Answers, found: str) -> Sequence[tuple[str, str]]:
        """With the account."""
        by = "self-signed" if answers.issuer.self_signed else ca_name(answers.issuer.directory)
        return (("Certificate", by + (f", account of {answers.email}" if answers.email else "")),)


class OtherAuthority(Question):
    """The address of an authority that is none of the known ones."""

    key = "ca"

    def is_open(self, draft: Draft, known: Known) -> bool:
        """Where "other" was chosen."""
        return draft.issuer is None and draft.other_ca

    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """The address of before stands there."""
        before = known.previous.issuer if known.previous else None
        return Prompt(
            "ca",
            "ACME directory",
            "The https:// address that your certificate authority gives for ACME clients.",
            "certificate",
            typed=before.directory if before and not before.production else "",
        )

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """An address, or the word of a known one."""
        return replace(draft, issuer=Issuer.parse(text), other_ca=False)

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """As it was."""
        return replace(now, issuer=final.issuer, other_ca=False) if final.issuer else None

    def answered(self, draft: Draft, number: int) -> str:
        """Its address."""
        return draft.issuer.directory if draft.issuer and draft.issuer.text not in WORDS else ""


class Email(Question):
    """The address of the account at the authority."""

    key = "email"

    def is_open(self, draft: Draft, known: Known) -> bool:
        """Only where there is an authority."""
        return draft.email is None and draft.issuer is not None and not draft.issuer.self_signed

    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """Empty is an answer, too; where an address stands already, a "-" is typed for it."""
        before = known.previous.email if known.previous else ""
        about = f"Only the certificate authority gets it. May stay empty{' (type -)' if before else ''}."
        return Prompt("email", "E-mail", about, "email", typed=before)

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """An address, or none."""
        return replace(draft, email=parse_email("" if text.strip() == "-" else text))

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """As it was."""
        return None if final.email is None else replace(now, email=final.email)

    def answered(self, draft: Draft, number: int) -> str:
        """The address."""
        return draft.email or ""

    def kept(self, draft: Draft) -> str:
        """The address."""
        return "" if draft.email is None else f"E-mail: {draft.email or 'none'}"
