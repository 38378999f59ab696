"""The domain does not point to this server yet: how to reach the dashboard until then, and a wait that ends when it does."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import DEFAULT_BACKEND, Backend
from hermes_setup.host import Host
from hermes_setup.stages.dns.own_addresses import public_address
from hermes_setup.stages.dns.waiting import still_blocking
from hermes_setup.stages.hermes import dashboards, unix_users
from hermes_setup.stages.local_users import table
from hermes_setup.ui.screen import Screen

SECONDS = 30.0
"""Between two checks. They ask the zone's own name servers, so no cache is in between."""


def ssh_tunnel(answers: Answers, host: Host, login: str) -> str:
    """How to open the dashboard until the domain points here: through ssh, which needs no domain and no certificate."""
    found = dashboards.local(host)
    at = answers.backend or dashboards.set_upstream(host) or next(iter(found), DEFAULT_BACKEND)
    ports = {each.port for each in host.listeners() if each.process == "sshd" and not each.contained} or {22}
    port = "" if 22 in ports else f" -p {min(ports)}"
    host_part = f"[{at.address}]" if ":" in at.address else at.address
    who, why = _ssh_user(host, at, login)
    return (
        f"Until then you can reach the dashboard through ssh{'' if found else ', once Hermes runs'}. On your own computer, "
        f"not here: ssh{port} -L 9119:{host_part}:{at.port} {who}@{public_address(host) or 'SERVER'}\n"
        f"and then, in the browser there: http://localhost:9119/{why}"
    )


def _ssh_user(host: Host, at: Backend, login: str) -> tuple[str, str]:
    """As whom to come by ssh, whose user then connects to Hermes: `login`, unless `local_users` is in force and keeps that one
    out. Then someone with a shell who is let in, root last; and why, as the text's next line.
    """
    let_in = table.uids_let_in(host.look(table.FILE), at)
    if let_in is None or let_in & {*unix_users.uids(host, [login]).values()}:
        return login, ""
    people = [each.name for each in unix_users.people(host) if each.uid in let_in and each.has_shell]
    who = min(people, key=lambda name: name == "root", default="root")
    return who, f"\nNot as {login}: local_users keeps {login} out of Hermes on this server."


def wait(answers: Answers, host: Host, screen: Screen, seconds: float = SECONDS) -> None:
    """DNS does not block any more. Checked every so many seconds, and at once when Enter is pressed."""
    screen.say(
        "Waiting for the record; it can take from a minute to a few hours. Enter looks now. Ctrl-C stops: your answers "
        "are kept, and sudo hermes-setup continues from here."
    )
    last = ""
    while True:
        blocks = still_blocking(answers, host)
        if not blocks:
            _redraw_line(screen, "")
            screen.say(f"There it is: {answers.domain.label} points to this server.", "bold")
            return
        now = screen.clean(blocks[0].what)
        if screen.terminal.moves:
            _redraw_line(screen, f"{time.strftime('%H:%M:%S')}  {now}")
        elif now != last:
            screen.say(f"{time.strftime('%H:%M:%S')}  {now}")
        last = now
        if select.select([sys.stdin], [], [], seconds)[0] and not os.read(sys.stdin.fileno(), 4096):
            raise KeyboardInterrupt  # Ctrl-D, or the terminal is gone


def _redraw_line(screen: Screen, text: str) -> None:
    """The line of the last check is replaced, where the cursor may be moved."""
    if screen.terminal.moves:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"\r\x1b[2K{text[: max(10, screen.console.width - 1)]}")
            sys.stderr.flush()
