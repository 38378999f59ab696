"""nginx loads the site: the reload, and the stamp of what it has loaded."""

from __future__ import annotations

from hermes_setup.engine.changes import Change, Run, Stamp, Until
from hermes_setup.host import ABSENT, File
from hermes_setup.nginx import processes
from hermes_setup.stages.site.facts import Facts
from hermes_setup.state.places import STATE
from hermes_setup.values import replace

STAMP = f"{STATE}/stamps/nginx"


RUNS = "nginx runs"


def load(facts: Facts, stamp: str) -> list[Change]:
    """nginx runs with what is on the disk: the stamp is cleared, nginx loads, the stamp says what it loaded."""
    if facts.running:
        run = reload(facts.config.pid, systemd=facts.unit_active)
    else:
        again = reload(facts.config.pid, systemd=facts.systemd)
        argv = ("systemctl", "enable", "--now", "nginx") if facts.systemd else ("nginx",)
        run = replace(again, argv=argv, why="start nginx")
    return [
        Stamp(STAMP, ABSENT, "what nginx has loaded"),
        run,
        Stamp(STAMP, File(stamp.encode(), 0o600), "what nginx has loaded"),
    ]


def reload(pid: str, *, systemd: bool) -> Run:
    """The command after which nginx's new workers answer. Its way back is itself: the files are put back first."""
    argv = ("systemctl", "reload", "nginx") if systemd else ("nginx", "-s", "reload")
    until = Until(
        "nginx's new workers answer",
        before=lambda host: processes.workers(host, pid),
        holds=lambda host, before: processes.reload_finished(before, processes.workers(host, pid)),
        hint="Look at: sudo nginx -t; sudo tail /var/log/nginx/error.log",
    )
    why = "have nginx load the new configuration, without dropping a connection"
    hint = f"Look at: sudo nginx -t{'; sudo systemctl status nginx' if systemd else ''}"
    return Run(argv, why, gives=RUNS, undo_argv=argv, until=until, seconds=60, hint=hint)
