"""Where the program keeps its notes, and what to say when it cannot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.table import from_json
from hermes_setup.errors import HermesSetupError, WrongInput

STATE = "/var/lib/hermes-setup"


def cannot(path: str, error: OSError) -> HermesSetupError:
    """The error for a file that could not be read or written."""
    words = os.strerror(error.errno or 0)
    return HermesSetupError(
        f"{path} could not be read or written: {words}.",
        hint="Run it with sudo, and see that the disk is not full: df -h /var",
    )


def read_answers(table: Mapping[str, Any]) -> Answers:
    """The answers that were kept. Raises HermesSetupError where the file was edited into something else."""
    try:
        return from_json(table)
    except WrongInput as error:
        raise HermesSetupError(
            f"{STATE}/answers.json is not as this program wrote it ({error}).",
            hint=f"Move it away (mv {STATE}/answers.json /root/) and run hermes-setup again; it asks everything again.",
        ) from None
