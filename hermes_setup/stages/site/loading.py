"""nginx loads the site: the reload, and the stamp of what it has loaded."""

from __future__ import annotations

from hermes_setup.digests import digest
from hermes_setup.engine.changes import Change, Run, Stamp, Until
from hermes_setup.host import ABSENT, File
from hermes_setup.nginx import processes
from hermes_setup.stages.site.facts import Facts
from hermes_setup.state import stamps
from hermes_setup.values import replace

RUNNING = "nginx runs"  # the fact that a start or a reload gives


def load(facts: Facts, text: str, *, changed: bool = False) -> list[Change]:
    """nginx runs with that text of the site, with the cookies, and with the certificate; [] when it does already.

    `changed`: files are about to be placed. First the stamp is cleared, then nginx loads, then the stamp says what it
    has loaded.
    """
    stamp = digest(text, facts.gate_text)
    old_certificate = facts.served is not None and facts.shown_certificate != facts.served.fingerprint
    if facts.running and not changed and not old_certificate and facts.loaded == stamp:
        return []
    if facts.running:
        run = reload(facts.config.pid, systemd=facts.unit_active)
    else:
        argv = ("systemctl", "enable", "--now", "nginx") if facts.systemd else ("nginx",)
        run = replace(reload(facts.config.pid, systemd=facts.systemd), argv=argv, why="start nginx")
    return [
        Stamp(stamps.NGINX, ABSENT, "what nginx has loaded"),
        run,
        Stamp(stamps.NGINX, File(stamp.encode(), 0o600), "what nginx has loaded"),
    ]


def reload(pid: str, *, systemd: bool) -> Run:
    """The command after which nginx's new workers answer. It is its own undo: the files are put back first."""
    argv = ("systemctl", "reload", "nginx") if systemd else ("nginx", "-s", "reload")
    until = Until(
        "nginx's new workers answer",
        before=lambda host: processes.workers(host, pid),
        holds=lambda host, before: processes.reload_finished(before, processes.workers(host, pid)),
        hint="Look at: sudo nginx -t; sudo tail /var/log/nginx/error.log",
    )
    why = "have nginx load the new configuration, without dropping a connection"
    hint = f"Look at: sudo nginx -t{'; sudo systemctl status nginx' if systemd else ''}"
    return Run(argv, why, gives=RUNNING, undo_argv=argv, until=until, seconds=60, hint=hint)
