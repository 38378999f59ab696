"""The pictures in docs/pictures are what a real run shows today; where they are not, the new ones are in the cache.

To take them over: cp "$CACHE"/state/pictures/*.svg docs/pictures/   (CACHE is /var/cache/hermes-setup-tests)
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from conftest import DOMAIN
from hermes_setup.stages import all_steps
from lab import Machine, World
from real.program import install
from real.terminal import Terminal
from real.test_wizard_real import GO_AHEAD, LETSENCRYPT, answer, waits

KEPT = Path("/repo/docs/pictures")
MADE = Path("/state/pictures")
WIDE, HIGH = 9.0, 19.0  # of a character, in pixels
COLOURS = {"red": "#f2777a", "green": "#99cc99", "brown": "#ffcc66", "yellow": "#ffcc66", "cyan": "#66cccc"}
# What differs from day to day, and what stands for it.
MOVES = (
    (r"\d+ days left \(until \d{4}-\d\d-\d\d\)", "89 days left (until 2027-02-21)"),
    (r"(?<=steps, in )\d+ s", "14 s"),
    (r"\d\d:\d\d:\d\d", "12:00:00"),
)


def picture(here: Terminal, title: str) -> str:
    """What stands on the terminal, as SVG (W3C, SVG 1.1), with the colours and the bold type it has there."""
    rows = []
    last = max((number for number, line in enumerate(here.screen.display) if line.strip()), default=0)
    for number in range(last + 1):
        cells = [here.screen.buffer[number][column] for column in range(here.screen.columns)]
        spans, text, before = [], "", ("", False)
        for cell in [*cells, None]:
            look = (COLOURS.get(cell.fg, ""), cell.bold) if cell else ("end", False)
            if look != before:
                if text.strip():
                    fill = f' fill="{before[0]}"' if before[0] else ""
                    bold = ' font-weight="bold"' if before[1] else ""
                    spans.append(f"<tspan{fill}{bold}>{escape(text)}</tspan>")
                elif text:
                    spans.append(f"<tspan>{text}</tspan>")
                text, before = "", look
            text += cell.data if cell else ""
        y = 30 + number * HIGH
        rows.append(
            f'<text x="12" y="{y:g}" xml:space="preserve">{"".join(spans)}</text>'.replace(
                " </tspan></text>", "</tspan></text>"
            )
        )
    width, height = 24 + here.screen.columns * WIDE, 28 + (last + 1) * HIGH
    svg = (
        f'<svg role="img" aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">\n'
        f'<rect width="100%" height="100%" rx="8" fill="#202329"/>\n'
        '<g fill="#d3d0c8" font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="15">\n'
        + "\n".join(re.sub(r" +</tspan></text>", "</tspan></text>", row) for row in rows)
        + "\n</g>\n</svg>\n"
    )
    for moving, still in MOVES:
        svg = re.sub(moving, still, svg)
    return svg


def test_the_pictures_are_of_today(world: World, machine: Machine) -> None:
    world.give_packages(machine)
    machine.trust(*world.acme.trusted)
    install(machine)
    machine.run(["apt-get", "-q", "update"])
    machine.start(["cron", "-f"])
    made: dict[str, str] = {}

    world.dns.host(DOMAIN)
    here = Terminal(machine, env={"SUDO_USER": "admin"}, rows=48)
    answer(here, [*LETSENCRYPT[:3], ("? User name [admin]:", "alice\r"), *LETSENCRYPT[4:7]])
    waits(here, "? Another user? [y/N]")
    made["questions"] = picture(here, "The questions: domain, certificate, e-mail, user, password")
    here.type("\r")
    here.waits(lambda text: "5) Stop here" in text)
    made["no-record-yet"] = picture(
        here, "The name has no record yet: what to set, the ssh line until then, and a wait"
    )
    world.dns.host(DOMAIN, *machine.addresses)
    here.type("2\r")
    waits(here, GO_AHEAD)
    made["plan"] = picture(here, "Every change, before anything is done")
    here.type("y\r")
    assert here.ended(120) == 0, here.text
    made["end"] = picture(
        here, f"The end of a run in the terminal: {len(all_steps())} steps, then the address of the dashboard"
    )

    def menu(number: int) -> Terminal:
        again = Terminal(machine, rows=40, env={"SSH_CONNECTION": f"203.0.113.7 50000 {machine.addresses[0]} 22"})
        waits(again, "q) Quit")
        made.setdefault("second-visit", picture(again, "Coming back: how it is, and the menu"))
        again.type(f"{number}\r")
        return again

    def shows(name: str, title: str, number: int, *steps: tuple[str, str], last: str, typed: str = "") -> None:
        """The picture of what the menu leads to, once `last` stands there and `typed` behind it; then ^C."""
        again = menu(number)
        answer(again, list(steps))
        again.waits(lambda text: last in text)
        again.type(typed)
        if typed:
            again.until(typed.lstrip("\x15"))
        made[name] = picture(again, title)
        again.interrupt()
        again.ended()

    shows("users", "The menu, users", 1, last="<) go back")
    shows(
        "addresses",
        "The menu, allowed addresses: this session's own is offered first",
        2,
        last="<) go back",
    )
    shows(
        "webhooks",
        "The menu, webhooks: which platforms, and a name of their own",
        3,
        ("1) Type a list\n  <) go back", "1\r"),
        ("? Platforms:", "webhook sms\r"),
        last="? Name for webhooks:",
        typed="\x15hooks.example.com",
    )
    shows(
        "domain",
        "The menu, domain: the new name, and what becomes of the old one",
        4,
        ("? Domain: hermes.example.com", "\x15chat.example.com\r"),
        last="? Redirect hermes.example.com to chat.example.com? [Y/n]",
    )
    shows("certificate", "The menu, certificate: who is to sign", 5, last="<) go back")
    shows("undo", "The menu, undo: what would be put back", 9, last=GO_AHEAD)
    site = machine.text("/etc/nginx/sites-available/hermes")
    machine.write("/etc/nginx/sites-available/hermes", site.replace("110m", "1m"))
    shows("drift", "The menu, where a file was edited by hand: what would fix it", 8, last=GO_AHEAD)
    machine.write("/etc/nginx/sites-available/hermes", site)
    again = menu(7)
    again.waits(lambda text: "no change pending" in text and text.endswith("q) Quit"))
    made["check"] = picture(again, "The menu, check everything: what was found, and the menu again")
    again.interrupt()
    again.ended()

    MADE.mkdir(exist_ok=True)
    for name, svg in made.items():
        (MADE / f"{name}.svg").write_text(svg, "utf-8")
    stale = [name for name, svg in made.items() if not _same(KEPT / f"{name}.svg", svg)]
    if stale:
        pytest.fail(
            f"docs/pictures: {', '.join(stale)} show another program than this one. {__doc__.split(chr(10), 2)[2]}"
        )


def _same(path: Path, svg: str) -> bool:
    return path.exists() and path.read_text("utf-8") == svg
