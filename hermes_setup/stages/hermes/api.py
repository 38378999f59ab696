"""How to know a Hermes dashboard: by what it answers, not by its name or its version.

Source: hermes-agent 0.19.0, `hermes_cli/web_server.py`: `/api/status` is public and says version and auth_required; the
page at `/` holds the session token, which is also the credential of its WebSockets.
"""

from __future__ import annotations

import json

from hermes_setup.values import dataclass

STATUS = "/api/status"
START = "hermes dashboard --host 127.0.0.1 --port 9119 --no-open"


@dataclass(frozen=True)
class Status:
    """What a dashboard says of itself. `login`: it asks for a login of its own."""

    version: str
    login: bool


def parse_status(body: bytes) -> Status | None:
    """The status in /api/status's answer; None when that is not Hermes's."""
    try:
        told = json.loads(body)
    except ValueError:
        return None
    if not isinstance(told, dict) or not isinstance(told.get("version"), str) or "auth_required" not in told:
        return None
    version = told["version"][:40]
    return Status(version if version.isprintable() else "", told["auth_required"] is True)


def headless(status: int, page: bytes) -> bool:
    """True when the answer at `/` shows `hermes serve`: the same server without pages (0.19.0 says so with a 404)."""
    return status == 404 or (status >= 400 and b"hermes serve" in page)
