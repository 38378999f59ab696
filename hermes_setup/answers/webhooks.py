"""Which gateway platforms of Hermes can be reached from the internet, and under which name."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_setup.answers.domain import Domain
from hermes_setup.answers.webhook_platforms import Endpoint
from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class Webhooks:
    """Which gateway platforms can be reached from the internet, without a password: they check their senders themselves."""

    endpoints: tuple[Endpoint, ...]
    host: Domain | None = None  # a name of their own, in the same certificate; None: the dashboard's
    allow: tuple[str, ...] = ()  # the networks that senders come from; (): all


def webhooks_host(text: str, domain: Domain, redirects: Sequence[Domain]) -> Domain | None:
    """The webhooks' own name; None when it is the dashboard's. Raises WrongInput, also for a redirected domain."""
    host = Domain.parse(text)
    if host in redirects:
        raise WrongInput(
            f"{host} can't be the webhooks' host: it is an earlier name of the dashboard, and redirects to {domain}.",
            hint="Give the webhooks another name; or first give up the earlier one (redirect_from; in the menu: Domain).",
        )
    return None if host.ascii == domain.ascii else host
