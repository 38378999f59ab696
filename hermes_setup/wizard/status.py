"""The status of what is set up here, in a few lines: what someone who comes back after a month wants to see first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hermes_setup import phrases
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.issuer import ca_name
from hermes_setup.questions.domain import redirect_row
from hermes_setup.questions.webhooks import webhooks_row
from hermes_setup.stages.addresses.lists import in_a_line
from hermes_setup.stages.certificate import stage as certificate
from hermes_setup.stages.hermes import stage as backend
from hermes_setup.stages.renewal import stage as renewal
from hermes_setup.stages.users.accounts import origins


def lines(answers: Answers, facts: Iterable[Any], users: Mapping[str, str]) -> list[tuple[str, str]]:
    """(what, how it is), a row each. `facts` are those of all stages, `users` the lines of the users' file."""
    found: list[tuple[str, str]] = [("Address", f"https://{answers.domain}/")]
    by_kind = {type(each): each for each in facts}
    cert, renew, hermes = (by_kind.get(kind) for kind in (certificate.Facts, renewal.Facts, backend.Facts))
    if cert:
        found.append(("Certificate", _certificate(answers, cert, renew)))
    found.append(("Users", _users(answers, list(users))))
    found.append(("Open to", in_a_line(answers.allow) or "every address, with a password"))
    if hermes:
        found.append(("Hermes", _hermes(hermes)))
    return [*found, *webhooks_row(answers), *redirect_row(answers)]


def _certificate(answers: Answers, facts: certificate.Facts, renew: renewal.Facts | None) -> str:
    shown = facts.served.x509 if facts.served else None
    if shown is None:
        return "none yet"
    issuer = "signed by this server itself" if answers.issuer.self_signed else ca_name(answers.issuer.directory)
    days = (shown.not_after - facts.now).days
    left = (
        f"{days} days left (until {shown.not_after:%Y-%m-%d})"
        if days >= 0
        else f"expired on {shown.not_after:%Y-%m-%d}"
    )
    renewed = {"timer": "renewed by systemd's timer", "cron": "renewed by cron"}.get(
        renew.schedule.by if renew else "", ""
    )
    if answers.issuer.self_signed:
        renewed = "made again by hermes-setup"
    return f"{issuer}, {left}, {renewed or 'nothing renews it'}"


def _users(answers: Answers, lines: Sequence[str]) -> str:
    notes = {"answers": " (from the file)", "menu": "", "hand": " (by hand)"}
    return phrases.listed([name + notes[how] for name, how in origins(answers, lines).items()]) or "nobody"


def _hermes(facts: backend.Facts) -> str:
    at, running = facts.found.chosen, facts.found.running
    if running is None:
        return "not running" + (f" at {at}" if at else "")
    unit = f", unit {running.listener.unit}" if running.listener.unit else ""
    return f"{running.status.version or 'of unknown version'}, running at {at}{unit}"
