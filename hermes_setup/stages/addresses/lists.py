"""The two lists of allowed addresses: who may open the dashboard, and who may send webhooks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.values import dataclass


@dataclass(frozen=True)
class AllowList:
    """One of the two, and what DNS says of the name that it is for."""

    allow: tuple[str, ...]
    name: Domain
    cloudflare: tuple[str, ...]
    ipv6: tuple[str, ...]
    of_webhooks: bool = False

    @property
    def title(self) -> str:
        """The subject of a sentence about it."""
        return "The addresses that webhooks may come from" if self.of_webhooks else "The allowed addresses"

    @property
    def client(self) -> str:
        """Who connects, and may be turned away."""
        return "sender" if self.of_webhooks else "browser"

    @property
    def clients(self) -> str:
        """The same, of many."""
        return "senders of webhooks" if self.of_webhooks else "visitors"


def webhooks_domain(answers: Answers) -> Domain | None:
    """The name under which the webhooks are served; None where there is no list of their senders."""
    webhooks = answers.webhooks
    return (webhooks.host or answers.domain) if webhooks and webhooks.allow else None


def in_a_line(allow: Sequence[str]) -> str:
    """The first of the list, and how many more."""
    return ", ".join(allow) if len(allow) < 5 else f"{', '.join(allow[:3])} and {len(allow) - 3} more"


def allowed_in(site: str) -> tuple[str, ...]:
    """The allowed addresses in the text of a site that we wrote, () when it opens to all."""
    block = re.search(r"^geo \$hermes_from \{\n(.*?)^\}", site, re.M | re.S)
    return tuple(re.findall(r"^ +(\S+) allowed;", block.group(1), re.M)) if block else ()
