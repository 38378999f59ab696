"""The real Hermes dashboard in a machine that was made with the "hermes" layer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from . import model
from .machine import Daemon, Machine

HERMES = "/opt/hermes/bin/hermes"
MODEL_PORT = 4010
MODEL_CONFIG = f"""\
model:
  default: {model.NAME}
  provider: custom
  base_url: http://127.0.0.1:{MODEL_PORT}/v1
  api_key: none
  context_length: 200000
approvals:
  mode: "off"
"""
"""A config.yaml for a Hermes that asks the stand-in, and runs what that says without asking anybody."""


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


def start_model(machine: Machine) -> Daemon:
    """The stand-in for a model's API answers on the machine's loopback, where MODEL_CONFIG looks for it."""
    machine.write("/run/model.py", Path(model.__file__).read_bytes())
    daemon = machine.start(["python3", "/run/model.py", str(MODEL_PORT)])
    machine.wait_for_port(MODEL_PORT)
    return daemon


def have_hermes_run(machine: Machine, command: str, port: int = 9119, timeout: float = 90) -> str:
    """What the command printed that Hermes has run with its own tool, told in the dashboard's chat to do so.

    The model that decides it is the stand-in: see `start_model`. Raises where the command failed.
    """
    at = f"127.0.0.1:{port}"
    url = f"ws://{at}/api/ws?token={session_token(machine, port)}"
    with machine.websocket(url, origin=f"http://{at}") as socket:

        def call(number: int, method: str, **params: str) -> None:
            socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))

        call(1, "session.create")
        while True:
            said = json.loads(socket.receive(timeout))
            event = said.get("params", {})
            if said.get("id") == 1:
                call(2, "prompt.submit", session_id=said["result"]["session_id"], text=command)
            elif event.get("type") == "tool.complete":
                result = event["payload"]["result"]
                assert result["exit_code"] == 0, result
                return str(result["output"])
            elif "error" in said or event.get("type") in ("message.complete", "sudo.request", "approval.request"):
                raise AssertionError(f"Hermes ran nothing: {said}")
