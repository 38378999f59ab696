"""What a machine's disk holds that its layers do not. A path that was removed is an entry too."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["file", "dir", "link", "other", "gone"]


@dataclass(frozen=True)
class Entry:
    """One path. `content` is the SHA-256 of a file, the target of a link, the numbers of a device, else empty."""

    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    content: str = ""


Snapshot = dict[str, Entry]
GONE = Entry("gone")


def entry(path: str) -> Entry:
    """What is at path now; GONE for nothing and for overlayfs's mark of a removed file."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return GONE
    mode, uid, gid = stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid
    if stat.S_ISREG(found.st_mode):
        with open(path, "rb") as file:
            return Entry("file", mode, uid, gid, hashlib.file_digest(file, "sha256").hexdigest())
    if stat.S_ISDIR(found.st_mode):
        return Entry("dir", mode, uid, gid)
    if stat.S_ISLNK(found.st_mode):
        return Entry("link", 0o777, uid, gid, os.readlink(path))
    if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
        return GONE
    return Entry("other", mode, uid, gid, f"{stat.S_IFMT(found.st_mode):o} {found.st_rdev}")


def below(lower: Sequence[str], path: str) -> Entry:
    """What the layers have at path; the first layer that says anything wins, a removed parent hides the rest."""
    parts = path.strip("/").split("/")
    for layer in lower:
        for depth in range(1, len(parts) + 1):
            here = os.path.join(layer, *parts[:depth])
            if not os.path.lexists(here):
                break
            found = entry(here)
            if depth == len(parts) or found.kind != "dir":
                return found if depth == len(parts) else GONE
            if _opaque(here) and not os.path.lexists(os.path.join(layer, *parts)):
                return GONE
    return GONE


def _opaque(path: str) -> bool:
    try:
        return os.getxattr(path, "trusted.overlay.opaque", follow_symlinks=False) == b"y"
    except OSError:
        return False


def _names_below(lower: Sequence[str], path: str) -> Iterator[str]:
    names: set[str] = set()
    for layer in lower:
        try:
            names.update(os.listdir(os.path.join(layer, path.strip("/"))))
        except (FileNotFoundError, NotADirectoryError):
            continue
    for name in sorted(names):
        child = f"{path}/{name}"
        found = below(lower, child)
        if found.kind == "gone":
            continue
        yield child
        if found.kind == "dir":
            yield from _names_below(lower, child)


def take(upper: str, lower: Sequence[str], leave_out: Iterable[str] = ()) -> Snapshot:
    """Every path that differs from the layers, by its absolute name in the machine."""
    left = tuple(path.rstrip("/") for path in leave_out)
    seen: Snapshot = {}

    def wanted(path: str) -> bool:
        return not any(path == out or path.startswith(out + "/") for out in left)

    def note(path: str, now: Entry) -> None:
        if now != below(lower, path):
            seen[path] = now

    def gone_below(path: str) -> None:
        for child in _names_below(lower, path):
            if wanted(child) and not os.path.lexists(upper + child):
                seen[child] = GONE

    def walk(path: str) -> None:
        for item in sorted(os.scandir(upper + path), key=lambda each: each.name):
            child = f"{path}/{item.name}"
            if not wanted(child):
                continue
            now = entry(item.path)
            note(child, now)
            if now.kind == "dir":
                if _opaque(item.path):
                    gone_below(child)
                walk(child)
            elif below(lower, child).kind == "dir":
                gone_below(child)

    walk("")
    return seen


def snapshot_diff(
    before: Mapping[str, Entry], after: Mapping[str, Entry]
) -> dict[str, tuple[Entry | None, Entry | None]]:
    """The paths whose entries differ; None means: as in the layers."""
    return {
        path: (before.get(path), after.get(path))
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    }
