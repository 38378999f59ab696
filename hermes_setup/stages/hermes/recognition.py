"""What listens at an address: Hermes's dashboard, Hermes without pages, or something else. Told by what it answers.

This is the one place that decides it. A name of a process, a port or a version is never enough.
"""

from __future__ import annotations

from enum import Enum

from hermes_setup.answers.backend import Backend
from hermes_setup.host import Host, Response
from hermes_setup.stages.hermes import api
from hermes_setup.stages.hermes.api import Status
from hermes_setup.values import dataclass

PAGE_SECONDS = 1.0


class Kind(Enum):
    """What a listener is."""

    DASHBOARD = "dashboard"
    HEADLESS = "headless"  # `hermes serve`: the same server without pages
    OTHER = "other"  # it answers, and is not Hermes
    UNKNOWN = "unknown"  # it does not answer, or refuses to as Hermes would


@dataclass(frozen=True)
class Recognized:
    """What was found at an address. `status` is Hermes's, None for what is not Hermes; `answer` is that to /api/status."""

    kind: Kind
    answer: Response
    status: Status | None = None


def recognize(host: Host, at: Backend) -> Recognized:
    """What listens there. Asks for /api/status, and for the page of what proves to be Hermes; 3 s at most."""
    answer = api.ask(host, at)
    status = api.status_in(answer)
    if status is None:
        return Recognized(Kind.OTHER if answer.status and not _refuses_host(answer) else Kind.UNKNOWN, answer)
    page = api.ask(host, at, "/", PAGE_SECONDS)
    return Recognized(Kind.HEADLESS if _is_headless(page) else Kind.DASHBOARD, answer, status)


def _is_headless(page: Response) -> bool:
    """True when the answer at `/` shows `hermes serve` (0.19.0 says so with a 404)."""
    return page.status == 404 or (page.status >= 400 and b"hermes serve" in page.body)


def _refuses_host(answer: Response) -> bool:
    """True for Hermes's own refusal of a Host header that it was not started with."""
    return answer.status == 400 and b"Invalid Host header" in answer.body
