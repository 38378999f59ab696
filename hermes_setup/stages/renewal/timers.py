"""What starts certbot's renewal: a systemd timer, or cron."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hermes_setup.host import File, Host, has_systemd
from hermes_setup.nginx import tree
from hermes_setup.values import dataclass

TIMERS = ("certbot.timer", "snap.certbot.renew.timer")
CRONTABS = ("/etc/crontab", "/etc/cron.d/*", "/etc/cron.daily/*", "/var/spool/cron/crontabs/root")
ENABLED = "renewal timer"  # the fact that enabling a timer gives


@dataclass(frozen=True)
class Schedule:
    """What starts the renewal, and what could be made to."""

    by: str = ""  # "timer", "cron", or "" where nothing does
    timer_off: str = ""  # a timer that exists and is off, or will be after a restart; "" for none
    timer_masked: str = ""  # a timer that systemd was told never to start


def schedule(host: Host) -> Schedule:
    """What starts certbot's renewal on this machine."""
    systemd = has_systemd(host)
    off = masked = ""
    if systemd:
        if host.given(ENABLED) or host.given("packages"):  # Debian's package starts its timer
            return Schedule("timer")
        shown = host.ask(["systemctl", "show", "--property=Id,LoadState,ActiveState,UnitFileState", *TIMERS]).out
        for timer in parse_units(shown):
            if timer["LoadState"] == "masked":
                masked = masked or timer["Id"]
            elif timer["LoadState"] == "loaded":
                # "disabled" and running: off after the next restart
                if timer["ActiveState"] == "active" and timer["UnitFileState"] != "disabled":
                    return Schedule("timer")
                off = off or timer["Id"]
    if any(_renews(text, systemd=systemd) for text in _crontabs(host)) and _cron_runs(host):
        return Schedule("cron")
    return Schedule("", off, masked)


def parse_units(text: str) -> list[Mapping[str, str]]:
    """`systemctl show` of several units: KEY=value lines, an empty line between two units (systemctl(1))."""
    blank = {"Id": "", "LoadState": "", "ActiveState": "", "UnitFileState": ""}
    blocks = re.split(r"\n\s*\n", text.strip())
    return [{**blank, **dict(re.findall(r"^(\w+)=(.*)$", block, re.M))} for block in blocks if block]


def _crontabs(host: Host) -> Iterator[str]:
    """The text of each crontab and of each script that cron runs daily."""
    for pattern in CRONTABS:
        for path in tree.glob(host, pattern):
            if file := tree.file_at(host, path):
                yield file.content.decode(errors="replace")


def _renews(text: str, *, systemd: bool) -> bool:
    """True when a line of that crontab or script has certbot renew. Debian's own leaves it to systemd where that runs."""
    lines = [line for line in text.splitlines() if re.match(r"\s*[^#\s]", line)]
    return any(
        re.search(r"certbot(-auto)?\b.*\brenew\b", line) and not (systemd and "/run/systemd/system" in line)
        for line in lines
    )


def _cron_runs(host: Host) -> bool:
    for pid in host.names("/proc"):
        if pid.isdigit():
            node = host.look(f"/proc/{pid}/comm")
            if isinstance(node, File) and node.content.strip() in (b"cron", b"crond", b"anacron", b"fcron"):
                return True
    return False
