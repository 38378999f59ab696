"""What changes in a file: its lines, its mode, its owner."""

from __future__ import annotations

import difflib

from hermes_setup.host import Absent, File, Folder, Link, Node, Special


def difference(path: str, before: Node | None, after: Node) -> list[str]:
    """The unified diff of two nodes, [] where their texts are the same; a line about it where one is not text."""
    old, new = _lines(before), _lines(after)
    if old is None or new is None:
        return [f"(not text: {_size(before)} now, {_size(after)} then)"]
    diff = list(difflib.unified_diff(old, new, f"{path} (now)", f"{path} (then)", lineterm=""))
    if not diff and isinstance(before, File) and isinstance(after, File) and before.content != after.content:
        return ["(only line ends differ)"]
    return diff


def sign_and_style(node: Node, before: Node | None) -> tuple[str, str]:
    """+, ~ or -, and its style."""
    if isinstance(node, Absent):
        return "-", "bold red"
    if before is None or isinstance(before, Absent):
        return "+", "bold green"
    return "~", "bold yellow"


def is_secret(node: Node | None) -> bool:
    """True where not everyone on the machine may read it: then it is not shown on a screen either."""
    return isinstance(node, File) and (node.secret or not node.mode & 0o004)


def attributes(node: Node, before: Node | None) -> list[str]:
    """Kind, mode and owner, where they change or are not the usual ones, as lines."""
    match node:
        case Link():
            old = f" (was: {before.target})" if isinstance(before, Link) else ""
            return [f"link to {node.target}{old}"]
        case File() | Folder():
            usual = 0o644 if isinstance(node, File) else 0o755
            now = f"{node.mode:04o} {node.owner}:{node.group}"
            if isinstance(before, File | Folder):
                old = f"{before.mode:04o} {before.owner}:{before.group}"
                return [f"{old} becomes {now}"] if old != now else []
            kind = "folder, " if isinstance(node, Folder) else ""
            was = "was a link, " if isinstance(before, Link) else ""
            return [f"{was}{kind}{now}"] if kind or was or now != f"{usual:04o} root:root" else []
        case Absent() | Special():
            return []


def _lines(node: Node | None) -> list[str] | None:
    """The lines of a file, [] where there is none, None for what is not text."""
    if not isinstance(node, File):
        return []
    try:
        text = node.content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text.splitlines()


def _size(node: Node | None) -> str:
    return f"{len(node.content)} bytes" if isinstance(node, File) else "nothing"
