"""Hermes's HTTP interface, as far as it is asked here.

Source: hermes-agent 0.19.0, `hermes_cli/web_server.py`: `/api/status` is public and says version and auth_required; the
page at `/` holds the session token, which is also the credential of its WebSockets.
"""

from __future__ import annotations

import json

from hermes_setup.answers.backend import Backend
from hermes_setup.host import Host, Request, Response
from hermes_setup.values import dataclass

STATUS = "/api/status"
START = "hermes dashboard --host 127.0.0.1 --port 9119 --no-open"
SECONDS = 2.0


@dataclass(frozen=True)
class Status:
    """What Hermes says of itself. `login`: it asks for a login of its own."""

    version: str
    login: bool


def ask(host: Host, at: Backend, path: str = STATUS, seconds: float = SECONDS) -> Response:
    """The answer of what listens there, asked under its own address: Hermes refuses other Host headers."""
    name = f"[{at.address}]" if ":" in at.address else at.address
    headers = (("Host", f"{name}:{at.port}"),)
    return host.fetch(Request(at.address, at.port, at.address, path, headers=headers, seconds=seconds))


def status_in(answer: Response) -> Status | None:
    """The status that an answer to /api/status holds; None when it is not Hermes's."""
    return parse_status(answer.body) if answer.status == 200 else None


def parse_status(body: bytes) -> Status | None:
    """The status in the body of /api/status; None when that is not Hermes's."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):  # nested without end
        return None
    if not isinstance(said, dict) or not isinstance(said.get("version"), str) or "auth_required" not in said:
        return None
    version = said["version"][:40]
    return Status(version if version.isprintable() else "", said["auth_required"] is True)
