"""Which cached directories a machine is made of; tests/run builds them and says where they are."""

from __future__ import annotations

import os

VARIABLE = "HERMES_SETUP_LAYERS"

STACKS: dict[str, tuple[str, ...]] = {
    "debian13": ("debian13",),
    "debian12": ("debian12",),
    "debian13-ready": ("debian13-ready", "debian13"),
    "debian12-ready": ("debian12-ready", "debian12"),
    "debian13-fail2ban": ("fail2ban", "debian13-ready", "debian13"),
    "debian12-fail2ban": ("fail2ban12", "debian12-ready", "debian12"),
}


def known() -> dict[str, str]:
    """Layer name to directory, as the runner said; empty outside it."""
    return dict(pair.split("=", 1) for pair in os.environ.get(VARIABLE, "").split())


def layers(system: str, *, hermes: bool = False) -> tuple[str, ...]:
    """The directories of a system, top first."""
    have = known()
    dashboard = "hermes12" if system.startswith("debian12") else "hermes"  # built with that system's Python
    return tuple(have[name] for name in (*((dashboard,) if hermes else ()), *STACKS[system]))
