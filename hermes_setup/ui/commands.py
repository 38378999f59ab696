"""Commands as they could be typed."""

from __future__ import annotations

import re
import shlex

from hermes_setup.engine.changes import Run


def command(run: Run) -> str:
    """The command as it could be typed."""
    given = [f"{key}={shlex.quote(value)}" for key, value in run.env.items()]
    return " ".join([*given, shlex.join(run.argv)])


def finality(run: Run) -> str:
    """What is said of commands whose effect stays when the files are put back: packages and certificates."""
    return " (cannot be undone)" if not run.undo_argv and run.gives.startswith(("package", "certificate")) else ""


def program(run: Run) -> str:
    """The program and its verb: "apt-get install", "certbot certonly", "systemctl reload"."""
    name = run.argv[0].rpartition("/")[2]
    verb = next((word for word in run.argv[1:] if re.fullmatch(r"[a-z][a-z-]+", word)), "")
    return f"{name} {verb}".strip()
