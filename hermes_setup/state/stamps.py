"""Where the stamps are: notes of effects that no one can see afterwards (`engine.changes.Stamp`)."""

from __future__ import annotations

from hermes_setup.state.notes import FOLDER

_STAMPS = f"{FOLDER}/stamps"

NGINX = f"{_STAMPS}/nginx"
"""The configuration that nginx loaded last."""

PROOF = f"{_STAMPS}/proof"
"""What was proven to work: see `stages.proof`."""

RENEWAL = f"{_STAMPS}/renewal"
"""The rehearsal of a renewal, and how it ended: see `stages.renewal.rehearsal`."""

UNDONE = f"{_STAMPS}/undone"
"""The name of the run that was undone last."""


def outside(name: object) -> str:
    """That this name was reached from outside once: see `stages.outside`."""
    return f"{_STAMPS}/outside-{name}"
