"""The domain, and the earlier ones that redirect to it."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.allowed_addresses import is_public
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.errors import WrongInput
from hermes_setup.questions.draft import Draft, Known
from hermes_setup.questions.prompt import Asker, Prompt, says_yes
from hermes_setup.questions.question import Question
from hermes_setup.values import replace

PRIVATE_ENDINGS = ("localhost", "local", "test", "internal", "home.arpa", "lan", "invalid", "example", "onion")
"""No public CA signs names under these (RFC 2606, 6761, 6762, 7686, 8375; ICANN's .internal); .lan is only custom."""


class DomainName(Question):
    """Under which name the dashboard is opened."""

    key = "domain"

    def is_open(self, draft: Draft, known: Known) -> bool:
        """It comes first."""
        return draft.domain is None

    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """This server's own name is proposed where it could be one."""
        outer = [each for each in known.addresses if is_public(each)]  # not Docker's own, nor a private network's
        here = " or ".join((outer or known.addresses)[:2])
        about = "The name that you will open in the browser, like hermes.example.com."
        if known.moving:
            about = (
                "The new name; its DNS record has to point to this server. The old one keeps working until the new one has "
                "its certificate."
            )
        elif here:
            about += f" Its DNS record has to point to this server ({here})."
        before = known.previous.domain.shown if known.previous else ""
        return Prompt("domain", "Domain", about, "domain", default="" if before else _usable(known.fqdn), typed=before)

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """Not the webhooks' own name, which serves nothing else."""
        domain = Domain.parse(text)
        hooks = known.previous.webhooks if known.previous else None
        if hooks and hooks.host == domain:
            raise WrongInput(
                f"{domain} is the webhooks' own name, which serves nothing else.",
                hint="Type another name; or first take it from the webhooks (menu, Webhooks).",
            )
        return replace(draft, domain=domain)

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """As it was."""
        return replace(now, domain=final.domain) if final.domain else None

    def answered(self, draft: Draft, number: int) -> str:
        """As a person reads it."""
        return draft.domain.shown if draft.domain else ""

    def kept(self, draft: Draft) -> str:
        """In both scripts, where there are two."""
        return f"Domain: {draft.domain.label}" if draft.domain else ""

    def review(self, answers: Answers, found: str) -> Sequence[tuple[str, str]]:
        """Likewise."""
        return (("Domain", answers.domain.label),)


class Redirect(Question):
    """Whether the earlier domains are to redirect to this one."""

    key = "redirect"

    def is_open(self, draft: Draft, known: Known) -> bool:
        """Only where there are any."""
        return bool(draft.redirect is None and draft.domain and _earlier(draft, known))

    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """Names them."""
        names = " and ".join(each.shown for each in _earlier(draft, known))
        to = draft.domain.shown if draft.domain else ""
        return Prompt(
            "redirect",
            f"Redirect {names} to {to}?",
            "y: an earlier name redirects to this one, as long as its DNS record points to this server. n: nothing answers "
            "under it any more.",
            "redirect_from",
            "confirm",
            "yes",
        )

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """A clear yes or no."""
        return replace(draft, redirect=says_yes(text))

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """As it was."""
        return None if final.redirect is None else replace(now, redirect=final.redirect)

    def answered(self, draft: Draft, number: int) -> str:
        """Yes or no."""
        return "" if draft.redirect is None else "yes" if draft.redirect else "no"

    def review(self, answers: Answers, found: str) -> Sequence[tuple[str, str]]:
        """Those that redirect."""
        return redirect_row(answers)


def redirect_row(answers: Answers) -> Sequence[tuple[str, str]]:
    """The row of a list that names the redirected domains; () where there are none."""
    names = ", ".join(each.ascii for each in answers.redirects)
    return (("Earlier names", f"{names}: redirect to the address"),) if names else ()


def tell_ascii(domain: Domain, asker: Asker) -> None:
    """A name in another script is told as DNS has it."""
    if domain.ascii != domain.shown:
        asker.tell(f"{domain.shown} is written {domain.ascii} in DNS and in the certificate.")


def is_private(domain: Domain) -> bool:
    """True for a name that no public CA signs."""
    return any(domain.ascii.endswith(f".{ending}") for ending in PRIVATE_ENDINGS)


def _earlier(draft: Draft, known: Known) -> tuple[Domain, ...]:
    return known.previous.earlier_domains(draft.domain) if known.previous and draft.domain else ()


def _usable(text: str) -> str:
    """The text, where it could be the domain; else ""."""
    try:
        domain = Domain.parse(text)
    except WrongInput:
        return ""
    return "" if domain.ascii.endswith((".localdomain", ".internal", ".local")) else domain.shown
