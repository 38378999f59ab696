"""Real browsers out on a world's internet: Chromium, Firefox, and WebKit, which is Safari's engine."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lab import World

from .driver import ELEMENT, Driver, DriverError, Http, Marionette, free_port, listens

ENGINES = ("chromium", "firefox", "webkit")
WIDE, HIGH = 1200, 800
KEYS = {
    "Tab": "\ue004",
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Shift": "\ue008",
    "Space": "\ue00d",
}  # WebDriver, 17.4.2

CHROMIUM_FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"] + [
    "--disable-background-networking",
    "--password-store=basic",
    "--disable-dev-shm-usage",
]
FIREFOX_PREFERENCES = {
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.trr.mode": 5,
    "signon.autofillForms": False,
}
WINDOW = str(Path(__file__).with_name("webkit.py"))
# Everything that is a browser's dies with the shell; the world's resolver and roots stand where the system's do.
ROOM = """
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount --bind "$1/roots.pem" /etc/ssl/certs/ca-certificates.crt
shift; "$@" & wait $!
"""


class Browser:
    """An open browser with one window. What it does not find or reach in time is an AssertionError with what it shows."""

    def __init__(self, engine: str, driver: Driver, process: subprocess.Popen[bytes], log: Path) -> None:
        self.engine, self._driver, self._process, self._log = engine, driver, process, log
        driver.say("SetTimeouts", script=30_000, pageLoad=60_000, implicit=0)
        self.resize(WIDE, HIGH)

    def open(self, url: str) -> None:
        """The page has loaded, whatever its status."""
        self._driver.say("Navigate", url=url)

    def reload(self) -> None:
        """The same page, loaded again."""
        self._driver.say("Refresh")

    @property
    def url(self) -> str:
        return str(self._driver.say("GetCurrentURL"))

    @property
    def text(self) -> str:
        """All that stands in the page, as a reader sees it."""
        return str(self._driver.say("GetElementText", id=self._find("body")))

    def script(self, body: str) -> Any:
        """What the function body returns in the page; a promise's value."""
        wrapped = "const done = arguments[0]; (async () => { BODY })().then(done, error => done('error: ' + error));"
        return self._driver.say("ExecuteAsyncScript", script=wrapped.replace("BODY", body), args=[])

    def until(self, condition: str, seconds: float = 45) -> None:
        """The JavaScript expression holds in the page; pages may come and go before it does."""
        end, problem = time.monotonic() + seconds, ""
        while time.monotonic() < end:
            try:
                if self._driver.say("ExecuteScript", script=f"return Boolean({condition})", args=[]):
                    return
            except DriverError as error:  # between two pages
                problem = str(error)
            time.sleep(0.1)
        raise AssertionError(f"{self.engine}: not in {seconds} s: {condition}\n{problem}\n{self.url}\n{self.text}")

    def shows(self, words: str, seconds: float = 45) -> None:
        """The words stand in the page, whose scripts may run; pages may come and go before they do."""
        # Not by `text`: WebKit's driver never answers that where a page is on its way out.
        self.until(f"document.body.innerText.includes({json.dumps(words)})", seconds)

    def fill(self, field: str, text: str) -> None:
        """The field that the CSS selector names holds the text, as typed."""
        element = self._find(field)
        self._driver.say("ElementClear", id=element)
        self._driver.say("ElementSendKeys", id=element, text=text, value=list(text))

    def click(self, selector: str) -> None:
        """What the CSS selector names has been clicked with the mouse."""
        self._driver.say("ElementClick", id=self._find(selector))

    def press(self, *keys: str) -> None:
        """Each key ("Tab", of KEYS) or text has been typed, wherever the focus is; "Shift+Tab" is held together."""
        actions = []
        for key in keys:
            held = [KEYS[each] for each in key.split("+")] if all(each in KEYS for each in key.split("+")) else []
            if held:
                actions += [{"type": "keyDown", "value": each} for each in held]
                actions += [{"type": "keyUp", "value": each} for each in reversed(held)]
            else:
                actions += [{"type": kind, "value": each} for each in key for kind in ("keyDown", "keyUp")]
        self._driver.say("PerformActions", actions=[{"type": "key", "id": "keys", "actions": actions}])

    def shot(self, path: Path) -> None:
        """A PNG of what is to be seen."""
        path.write_bytes(base64.b64decode(self._driver.say("TakeScreenshot", **self._whole())))

    def resize(self, wide: int, high: int) -> None:
        """The page has that many CSS pixels: a window of that size, or what a phone's would be where windows are wider."""
        match self.engine:
            case "chromium":
                metrics = {"width": wide, "height": high, "deviceScaleFactor": 1, "mobile": wide < 500}
                self._driver.say("CDP", cmd="Emulation.setDeviceMetricsOverride", params=metrics)
            case "firefox":  # its windows have a least width, the page in them has not
                self._driver.say("Marionette:SetContext", value="chrome")
                look = "const s = gBrowser.selectedBrowser.style; s.width = `${arguments[0]}px`; s.height = `${arguments[1]}px`;"
                look += "s.flex = 'none';"
                self._driver.say("ExecuteScript", script=look, args=[wide, high])
                self._driver.say("Marionette:SetContext", value="content")
            case _:
                self._driver.say("SetWindowRect", x=0, y=0, width=wide, height=high)

    def prefer(self, colours: str) -> None:
        """Chromium's alone: the person likes pages "light" or "dark"."""
        features = [{"name": "prefers-color-scheme", "value": colours}]
        self._driver.say("CDP", cmd="Emulation.setEmulatedMedia", params={"features": features})

    def forget(self) -> None:
        """Its cookies for this page are gone, the page stays open."""
        self._driver.say("DeleteAllCookies")

    def cookies(self) -> list[dict[str, Any]]:
        """Those that are sent with this page."""
        return list(self._driver.say("GetCookies"))

    def sockets(self) -> list[tuple[str, str]]:
        """Chromium's alone: each WebSocket's URL without its query since the last call, and "open" or "closed"."""
        seen: dict[str, list[str]] = {}
        for entry in self._driver.say("GetLog", type="performance"):
            message = json.loads(entry["message"])["message"]
            number = message["params"].get("requestId", "")
            match message["method"]:
                case "Network.webSocketCreated":
                    seen[number] = [message["params"]["url"].partition("?")[0], "connecting"]
                case "Network.webSocketHandshakeResponseReceived" if number in seen:
                    seen[number][1] = "open"
                case "Network.webSocketClosed" if number in seen:
                    seen[number][1] = "closed"
        return [(url, state) for url, state in seen.values()]

    def close(self) -> None:
        """It has closed as a person closes it: what it keeps is on the disk."""
        if self._process.poll() is not None:
            return
        with contextlib.suppress(OSError, DriverError):
            self._driver.end()
        if self.engine == "firefox":
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
        _kill(self._process)

    def _find(self, selector: str) -> str:
        try:
            return str(self._driver.say("FindElement", using="css selector", value=selector)[ELEMENT])
        except DriverError as error:
            shown = "" if selector == "body" else self.text
            raise AssertionError(f"{self.engine}: no {selector} at {self.url}: {error}\n{shown}") from None

    def _whole(self) -> dict[str, object]:
        return {"full": False} if self.engine == "firefox" else {}


@contextlib.contextmanager
def opened(world: World, engine: str, profile: Path, *, roots: str = "", scripts: bool = True) -> Iterator[Browser]:
    """A browser out there that keeps what it keeps in the folder `profile`, and trusts `roots` (PEM) beside its own list.

    `scripts=False`: pages have no JavaScript, as some people set it.
    """
    profile.mkdir(parents=True, exist_ok=True)
    browser = {"chromium": _chromium, "firefox": _firefox, "webkit": _webkit}[engine](world, profile, roots, scripts)
    try:
        yield browser
    finally:
        browser.close()


def _chromium(world: World, profile: Path, roots: str, scripts: bool) -> Browser:
    _trust(profile / ".pki/nssdb", roots)
    port = free_port(world.net)
    process, log = _start(world, profile, roots, ["chromedriver", f"--port={port}"])
    listens(world.net, port, log)
    options: dict[str, object] = {"args": [*CHROMIUM_FLAGS, f"--user-data-dir={profile}/chromium"]}
    if not scripts:
        options["prefs"] = {"profile.managed_default_content_settings.javascript": 2}
    logs = {"performance": "ALL"}
    return Browser(
        "chromium",
        Http(world.net, port, {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": logs}),
        process,
        log,
    )


def _firefox(world: World, profile: Path, roots: str, scripts: bool) -> Browser:
    folder = profile / "firefox"
    _trust(folder, roots)
    port = free_port(world.net)
    wanted = {**FIREFOX_PREFERENCES, "marionette.port": port, "javascript.enabled": scripts}
    lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in wanted.items()]
    (folder / "user.js").write_text("".join(lines), "utf-8")
    argv = ["firefox-esr", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote"]
    process, log = _start(
        world, profile, roots, [*argv, f"--width={WIDE}", f"--height={HIGH}", "--profile", str(folder)]
    )
    listens(world.net, port, log)
    return Browser("firefox", Marionette(world.net, port, {}), process, log)


def _webkit(world: World, profile: Path, roots: str, scripts: bool) -> Browser:
    (profile / "webkit").mkdir(exist_ok=True)
    port = free_port(world.net)
    argv = ["sh", "-ec", SCREEN, "sh", "WebKitWebDriver", f"--port={port}", "--host=127.0.0.1"]
    process, log = _start(world, profile, roots, argv)
    listens(world.net, port, log)
    window = ["-I", "-B", WINDOW, f"{profile}/webkit", "scripts" if scripts else "no-scripts"]
    options = {"binary": "/usr/bin/python3", "args": window}
    return Browser("webkit", Http(world.net, port, {"webkitgtk:browserOptions": options}), process, log)


SCREEN = """
Xvfb -displayfd 3 -screen 0 1400x1000x24 -nolisten tcp 3>"$HOME/display" & until [ -s "$HOME/display" ]; do sleep 0.05; done
DISPLAY=:$(cat "$HOME/display"); export DISPLAY; rm "$HOME/display"; exec "$@"
"""


def _start(world: World, profile: Path, roots: str, argv: Sequence[str]) -> tuple[subprocess.Popen[bytes], Path]:
    """The process that all of a browser's die with, and its log."""
    own = Path("/etc/ssl/certs/ca-certificates.crt").read_text("utf-8")
    (profile / "roots.pem").write_text(f"{own}\n{roots}", "utf-8")
    (profile / "resolv.conf").write_text("nameserver 1.1.1.1\n", "ascii")
    room = [
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-ec",
        ROOM,
        "sh",
        str(profile),
    ]
    log = profile / "log"
    with log.open("ab") as file:
        process = subprocess.Popen(
            world.command(["setpriv", "--pdeathsig", "KILL", *room, *argv]),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={
                "HOME": str(profile),
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "LANG": "C.UTF-8",
                "XDG_RUNTIME_DIR": str(profile),
                "NO_AT_BRIDGE": "1",
                "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
            },
        )
    return process, log


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _trust(store: Path, roots: str) -> None:
    if store.joinpath("cert9.db").exists():
        return
    store.mkdir(parents=True)
    subprocess.run(["certutil", "-d", f"sql:{store}", "-N", "--empty-password"], check=True)
    for number, pem in enumerate(roots.split("-----END CERTIFICATE-----")[:-1]):
        subprocess.run(
            ["certutil", "-d", f"sql:{store}", "-A", "-t", "C,,", "-n", f"lab {number}"],
            input=f"{pem}-----END CERTIFICATE-----\n",
            text=True,
            check=True,
        )
