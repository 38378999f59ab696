"""Writing so that a power cut leaves the old or the new, never half of it: write beside, fsync, rename, fsync the folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable


def beside(path: str) -> str:
    """Where a new version waits for its rename. Hidden from nginx's globs (leading dot) and certbot's hooks (final ~)."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name[:200]}.hermes-setup~")


def write(path: str, content: bytes, *, mode: int, uid: int = -1, gid: int = -1) -> None:
    """The file holds exactly that, on the disk. Raises OSError, with nothing changed."""

    def make(waiting: str) -> None:
        handle = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())

    _swap_in(path, make)


def link(path: str, target: str) -> None:
    """The path is a symbolic link to that target, on the disk. Raises OSError, with nothing changed."""
    _swap_in(path, lambda waiting: os.symlink(target, waiting))


def _swap_in(path: str, make: Callable[[str], None]) -> None:
    waiting = beside(path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(waiting)
    try:
        make(waiting)
        os.rename(waiting, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(waiting)
        raise
    sync_folder(os.path.dirname(path))


def sync_folder(folder: str) -> None:
    """What was renamed, made or removed in the folder is on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
