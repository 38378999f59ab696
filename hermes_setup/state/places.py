"""Where the program keeps its notes, and what to say when it cannot."""

from __future__ import annotations

import os

from hermes_setup.errors import HermesSetupError

STATE = "/var/lib/hermes-setup"


def cannot(path: str, error: OSError) -> HermesSetupError:
    """The error for a file that could not be read or written."""
    words = os.strerror(error.errno or 0)
    return HermesSetupError(
        f"{path} could not be read or written: {words}.",
        hint="Run it with sudo, and see that the disk is not full: df -h /var",
    )
