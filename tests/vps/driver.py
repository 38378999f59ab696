"""How a browser is told what to do: WebDriver's commands, over HTTP or by Marionette, in a network namespace.

Commands have Marionette's names ("Navigate", "FindElement"), of which W3C, WebDriver 2, section 6.3 has the paths.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from pathlib import Path
from typing import Any, Protocol

from lab import spaces
from lab.web import open_socket

SECONDS = 60.0
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver, section 12: the key of an element's id

PATHS = {
    "Navigate": ("POST", "url"),
    "Refresh": ("POST", "refresh"),
    "GetCurrentURL": ("GET", "url"),
    "FindElement": ("POST", "element"),
    "ElementClick": ("POST", "element/{id}/click"),
    "ElementSendKeys": ("POST", "element/{id}/value"),
    "ElementClear": ("POST", "element/{id}/clear"),
    "GetElementText": ("GET", "element/{id}/text"),
    "ExecuteScript": ("POST", "execute/sync"),
    "ExecuteAsyncScript": ("POST", "execute/async"),
    "TakeScreenshot": ("GET", "screenshot"),
    "PerformActions": ("POST", "actions"),
    "DeleteAllCookies": ("DELETE", "cookie"),
    "GetCookies": ("GET", "cookie"),
    "GetWindowHandles": ("GET", "window/handles"),
    "SwitchToWindow": ("POST", "window"),
    "SetWindowRect": ("POST", "window/rect"),
    "SetTimeouts": ("POST", "timeouts"),
    # Chromium's own
    "GetLog": ("POST", "se/log"),
    "CDP": ("POST", "goog/cdp/execute"),
}


class DriverError(Exception):
    """The browser refused a command. The text has its error code and reason."""


class Driver(Protocol):
    """A session with a browser."""

    def say(self, command: str, **given: Any) -> Any:
        """What the command came to. Raises DriverError, and OSError where the browser is gone."""

    def end(self) -> None:
        """The browser has been told to close in good order, as a person closes it."""


class Http:
    """A session with what a WebDriver on that port starts."""

    def __init__(self, net: int, port: int, capabilities: dict[str, object]) -> None:
        self._net, self._port, self._path = net, port, "/session"
        value = self._ask("POST", "", {"capabilities": {"alwaysMatch": capabilities}})
        self._path = f"/session/{value['sessionId']}"

    def say(self, command: str, **given: Any) -> Any:
        method, path = PATHS[command]
        return self._ask(method, "/" + path.format(**given), {key: each for key, each in given.items() if key != "id"})

    def end(self) -> None:
        self._ask("DELETE", "", None)

    def _ask(self, method: str, path: str, body: object) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
        connection.sock = open_socket(self._net, "127.0.0.1", self._port, SECONDS)
        try:
            data = json.dumps(body) if method == "POST" else None
            connection.request(method, self._path + path, data, {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and isinstance(value.get("error"), str) and "message" in value:
            raise DriverError(f"{value['error']}: {value['message']}")
        return value


class Marionette:
    """A session with the Firefox that listens on that port (firefox-source-docs, Marionette, Protocol): LENGTH:JSON."""

    def __init__(self, net: int, port: int, capabilities: dict[str, object]) -> None:
        self._socket = open_socket(net, "127.0.0.1", port, SECONDS)
        self._file = self._socket.makefile("rb")
        self._number = 0
        self._receive()  # the greeting
        self._ask("WebDriver:NewSession", {"capabilities": {"alwaysMatch": capabilities}})

    def say(self, command: str, **given: Any) -> Any:
        result = self._ask(f"WebDriver:{command}" if ":" not in command else command, given)
        return result["value"] if isinstance(result, dict) and list(result) == ["value"] else result

    def end(self) -> None:
        self._ask("Marionette:Quit", {"flags": ["eAttemptQuit"]})
        self._file.close()
        self._socket.close()

    def _ask(self, name: str, given: dict[str, Any]) -> Any:
        self._number += 1
        data = json.dumps([0, self._number, name, given]).encode()
        self._socket.sendall(b"%d:%s" % (len(data), data))
        _, number, error, result = self._receive()
        assert number == self._number, (name, number)
        if error:
            raise DriverError(f"{error['error']}: {error['message']}")
        return result

    def _receive(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            byte = self._file.read(1)
            if not byte:
                raise ConnectionError("Firefox is gone")
            length += byte
        return json.loads(self._file.read(int(length[:-1])))


def free_port(net: int) -> int:
    """A port of 127.0.0.1 where nobody listens."""

    def look() -> int:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            return int(one.getsockname()[1])

    return spaces.in_net(net, look)


def listens(net: int, port: int, log: Path) -> None:
    """Somebody does. Raises AssertionError with the log where nobody does in time."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            open_socket(net, "127.0.0.1", port, 1).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on port {port}:\n{log.read_text('utf-8', 'replace')[-3000:]}")
