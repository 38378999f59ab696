"""The real Hermes dashboard in a machine that was made with the "hermes" layer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .machine import Daemon, Machine

HERMES = "/opt/hermes/bin/hermes"


def start_hermes(
    machine: Machine,
    *,
    host: str = "127.0.0.1",
    port: int = 9119,
    options: Sequence[str] = (),
    timeout: float = 60,
    user: str | None = None,
) -> Daemon:
    """The dashboard answers /api/status at that address; it dies with the machine or by stop(). `user`: None is root."""
    argv = [HERMES, "dashboard", "--host", host, "--port", str(port), "--no-open", "--skip-build", *options]
    daemon = machine.start(argv, user=user, env={"HOME": f"/home/{user}"} if user else None)
    address = "127.0.0.1" if host in ("0.0.0.0", "::") else host

    def answers() -> bool:
        if daemon.code is not None:
            raise AssertionError(f"hermes ended with {daemon.code}:\n{daemon.output}")
        try:
            return machine.fetch(f"http://{address}:{port}/api/status", timeout=5).status == 200
        except OSError:
            return False

    machine.wait_for(answers, f"hermes answers on port {port}", timeout)
    return daemon


def start_gateway(machine: Machine, config: str, *, port: int = 8644, timeout: float = 60) -> Daemon:
    """The gateway runs with that config.yaml, and listens on that port."""
    machine.write("/root/.hermes/config.yaml", config, mode=0o600)
    daemon = machine.start([HERMES, "gateway", "run"])

    def listens() -> bool:
        if daemon.code is not None:
            raise AssertionError(f"hermes gateway ended with {daemon.code}:\n{daemon.output}")
        return any(each.port == port for each in machine.listeners())

    machine.wait_for(listens, f"hermes gateway listens on port {port}", timeout)
    return daemon


def session_token(machine: Machine, port: int = 9119) -> str:
    """The WebSocket credential that stands in the dashboard's page, read past any gate."""
    page = machine.fetch(f"http://127.0.0.1:{port}/").text
    found = re.search(r"__HERMES_SESSION_TOKEN__\s*=\s*[\"']([^\"']+)", page)
    assert found, "no session token in the page"
    return found[1]
