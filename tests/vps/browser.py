"""A real Chromium out on a world's internet, by Playwright. Run as a program it is that browser, for one page."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab import World

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")


@dataclass(frozen=True)
class Page:
    """What a browser showed. `sockets`: (URL without its query, "open" or "closed") of each WebSocket, as it was last."""

    status: int
    text: str
    sockets: tuple[tuple[str, str], ...] = ()
    failures: tuple[str, ...] = field(default=())


def browse(
    world: World,
    url: str,
    *,
    user: tuple[str, str] | None = None,
    until: str = "true",
    press: str = "",
    shot: Path | None = None,
    roots: str = "",
    seconds: float = 45,
) -> Page:
    """The page, once the JavaScript expression `until` holds in it (AssertionError after `seconds`).

    `user` signs in as a person does: by the browser's own dialog's credentials. `roots` (PEM) is what the browser
    trusts besides its own list. `press` is typed before the look. `shot` is a PNG of what was to be seen.
    """
    name = urlsplit(url).hostname or ""
    with tempfile.TemporaryDirectory(prefix="browser-") as home:
        wish = {"url": url, "user": user, "until": until, "press": press, "seconds": seconds}
        wish |= {"shot": str(shot) if shot else "", "home": home, "name": name, "address": world.resolve(name)}
        _trust(Path(home), roots)
        done = subprocess.run(
            world.command([sys.executable, __file__]),
            input=json.dumps(wish),
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            check=False,
            env={
                "HOME": home,
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "PYTHONPATH": ":".join(p for p in sys.path if p),
            },
        )
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)
    return Page(seen["status"], seen["text"], tuple(map(tuple, seen["sockets"])), tuple(seen["failures"]))


def _trust(home: Path, roots: str) -> None:
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    subprocess.run(["certutil", "-d", f"sql:{store}", "-N", "--empty-password"], check=True)
    for number, pem in enumerate(roots.split("-----END CERTIFICATE-----")[:-1]):
        subprocess.run(
            ["certutil", "-d", f"sql:{store}", "-A", "-t", "C,,", "-n", f"lab {number}"],
            input=f"{pem}-----END CERTIFICATE-----\n",
            text=True,
            check=True,
        )


def main() -> None:
    """One page, as the wish on stdin says; what was seen goes to stdout."""
    from playwright.sync_api import sync_playwright

    wish = json.load(sys.stdin)
    sockets: dict[int, list[str]] = {}
    failures: list[str] = []
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            f"{wish['home']}/profile",
            executable_path=CHROMIUM,
            headless=True,
            args=[*FLAGS, f"--host-resolver-rules=MAP {wish['name']} {wish['address']}"],
            viewport={"width": 1200, "height": 800},
            http_credentials={"username": wish["user"][0], "password": wish["user"][1]} if wish["user"] else None,
        )
        page = context.new_page()
        page.set_default_timeout(wish["seconds"] * 1000)

        def opened(socket: Any) -> None:
            sockets[id(socket)] = [socket.url.partition("?")[0], "open"]
            socket.on("close", lambda _: sockets[id(socket)].__setitem__(1, "closed"))

        page.on("websocket", opened)
        page.on("requestfailed", lambda request: failures.append(f"{request.url.partition('?')[0]}: {request.failure}"))
        answer, problem = None, ""
        try:
            answer = page.goto(wish["url"])
            page.wait_for_function(wish["until"])
            if wish["press"]:
                page.keyboard.type(wish["press"])
                page.wait_for_timeout(1000)
        except Exception as error:  # noqa: BLE001 - told below, with the picture
            problem = str(error).partition("Call log")[0].strip()
        if wish["shot"]:
            page.screenshot(path=wish["shot"])
        text = page.inner_text("body")
        context.close()
    if problem:
        sys.exit(f"{problem}\nsockets: {list(sockets.values())}\nfailures: {failures}\n{text}")
    json.dump(
        {
            "status": answer.status if answer else 0,
            "text": text,
            "sockets": [*sockets.values()],
            "failures": failures,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
