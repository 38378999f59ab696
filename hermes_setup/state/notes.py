"""The program's own folder, and the JSON files in it."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Mapping
from typing import Any

from hermes_setup import durable
from hermes_setup.errors import HermesSetupError

FOLDER = "/var/lib/hermes-setup"


def need_own(folder: str) -> None:
    """Raises HermesSetupError where others can write the folder: what stands in it is done as root (an undo, above all).

    One that is not there yet is nobody else's.
    """
    try:
        status = os.lstat(folder)
    except OSError:
        return
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise HermesSetupError(
            f"{folder} is not root's alone: others can change what hermes-setup keeps there, and does as root.",
            hint=f"Look at it: sudo ls -la {folder} ; if nobody has changed it: sudo chown -R root:root {folder} && sudo chmod "
            f"-R go= {folder} ; otherwise: sudo mv {folder} /root/ (then everything is asked again).",
        )


def make(folder: str) -> None:
    """The folder is there, and only root can look into it. Raises HermesSetupError."""
    need_own(folder)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.chmod(folder, 0o700)
    except OSError as error:
        raise unusable(folder, error) from error


def load(path: str) -> dict[str, Any] | None:
    """What the file holds; None where there is none. Raises HermesSetupError for one that is not a JSON object."""
    need_own(os.path.dirname(path))
    try:
        with open(path, encoding="utf-8") as file:
            table = json.load(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unusable(path, error) from error
    except ValueError as error:
        raise edited(path, str(error)) from None
    if not isinstance(table, dict):
        raise edited(path, "it is not a JSON object")
    return table


def save(path: str, table: Mapping[str, Any], *, ascii_only: bool = False) -> None:
    """The file holds exactly that, durably, for root alone. Raises HermesSetupError, with nothing changed."""
    make(os.path.dirname(path))
    try:
        durable.write(path, json.dumps(table, indent=1, ensure_ascii=ascii_only).encode(), mode=0o600)
    except OSError as error:
        raise unusable(path, error) from error


def remove(path: str) -> None:
    """The file is gone, durably."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        durable.sync_folder(os.path.dirname(path))


def unusable(path: str, error: OSError) -> HermesSetupError:
    """The error for a file that could not be read or written."""
    return HermesSetupError(
        f"{path} could not be read or written: {os.strerror(error.errno or 0)}.",
        hint="Run it with sudo, and check that the disk is not full: df -h /var",
    )


def edited(path: str, why: str, hint: str = "") -> HermesSetupError:
    """The error for a file that someone, or a broken disk, made into something that this program never writes."""
    return HermesSetupError(
        f"{path} is not as hermes-setup wrote it ({why.removesuffix('.')}).",
        hint=hint or f"Move it away (mv {path} {path}.broken) and run this again.",
    )
