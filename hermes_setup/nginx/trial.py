"""A new configuration is tested by the real nginx (nginx -t) on a copy of its files, before it takes effect."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from hermes_setup.engine.findings import Finding
from hermes_setup.errors import CommandFailed, HermesSetupError
from hermes_setup.host import ABSENT, Absent, File, Files, Folder, Link, Node, System
from hermes_setup.nginx.syntax import BadConfig, Directive, parse
from hermes_setup.nginx.tree import CONF, FOLDER, link_target, read
from hermes_setup.values import dataclass

COPY = "/run/hermes-setup/nginx"


def copied_tree(files: Files, changes: Mapping[str, Node], to: str = COPY) -> dict[str, Node]:
    """The tree below /etc/nginx as it would be after the changes, to be placed at `to`.

    Files that nginx reads as configuration are copied, with their includes (and the pid file) pointing into the copy;
    all else is linked to where it really is, so that relative paths of certificates and the like still work.
    """
    planned = _FilesAfter(files, changes)
    texts = read(planned).files
    copy: dict[str, Node] = {to: Folder(0o700)}
    folders = {FOLDER, *(folder for path in texts if path.startswith(FOLDER + "/") for folder in _folders_above(path))}
    for folder in sorted(folders):
        for name in planned.names(folder):
            path = f"{folder}/{name}"
            if path in texts:
                copy[to + path.removeprefix(FOLDER)] = File(
                    _including_from_copy(texts[path], path, to).encode("utf-8", "surrogateescape"), 0o600
                )
            elif path not in folders:
                copy[to + path.removeprefix(FOLDER)] = Link(path)
    return copy


def _folders_above(path: str) -> Iterator[str]:
    while (path := posixpath.dirname(path)) != FOLDER:
        yield path


def _including_from_copy(text: str, path: str, to: str) -> str:
    edits: list[tuple[int, int, str]] = []

    def walk(directives: Sequence[Directive], *, top: bool) -> None:
        for directive in directives:
            if directive.name == "include" and directive.args and directive.args[0].startswith(FOLDER + "/"):
                edits.append((*directive.spans[0], to + directive.args[0].removeprefix(FOLDER)))
            if directive.name == "pid" and top and path == CONF and directive.args:
                edits.append((*directive.spans[0], f"{to}/nginx.pid"))
            walk(directive.block or (), top=False)

    try:
        walk(parse(text, path), top=True)
    except BadConfig:
        return text  # nginx explains it better
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


class _FilesAfter:
    """The machine's paths as they will be after the changes."""

    def __init__(self, files: Files, changes: Mapping[str, Node]) -> None:
        self._files = files
        self._changes = changes

    def look(self, path: str) -> Node:
        return self._changes[path] if path in self._changes else self._files.look(path)

    def names(self, folder: str) -> tuple[str, ...]:
        found = set(self._files.names(folder))
        for path, node in self._changes.items():
            if posixpath.dirname(path) == folder:
                (found.discard if isinstance(node, Absent) else found.add)(posixpath.basename(path))
        return tuple(sorted(found))


@dataclass(frozen=True)
class Trial:
    """The configuration test (nginx -t) of the tree with these changes in it, before any of them is made."""

    changes: Mapping[str, Node]

    def __call__(self, system: System) -> Sequence[Finding]:
        """nginx accepts it. Raises HermesSetupError with nginx's own words otherwise; the copy is removed either way."""
        _clear(system, COPY)
        try:
            for path, node in copied_tree(system, self.changes).items():
                system.put(path, node)
            try:
                system.run(["nginx", "-t", "-q", "-c", f"{COPY}/nginx.conf"], seconds=60)
            except CommandFailed as error:
                links = {
                    path: link_target(path, system.look(path)) for path in re.findall(r" in (/[^\s:]+):", error.output)
                }
                own = [path for path, to in links.items() if to.replace(COPY, FOLDER) in self.changes]
                raise explain(
                    error, {**self.changes, **dict.fromkeys((p.replace(COPY, FOLDER) for p in own), ABSENT)}
                ) from error
        finally:
            _clear(system, COPY)
        return ()


def _clear(system: System, folder: str) -> None:
    for name in system.names(folder):
        path = f"{folder}/{name}"
        if isinstance(system.look(path), Folder):
            _clear(system, path)
        else:
            system.put(path, ABSENT)
    if isinstance(system.look(folder), Folder):
        system.put(folder, ABSENT)


def explain(error: CommandFailed, changes: Mapping[str, Node]) -> HermesSetupError:
    """nginx's own words, with the real paths, and what to do; someone else's file is named as such."""
    output = error.output.replace(COPY, FOLDER)
    line = next(
        (row for row in output.splitlines() if "[emerg]" in row),
        output.strip().splitlines()[-1] if output.strip() else "",
    )
    line = re.sub(r"^.*\[emerg\]\s*(\d+#\d+: )?", "", line)
    where = re.search(r" in (/[^\s:]+):(\d+)", line)
    if where and where.group(1) not in changes:
        hint = (
            f"hermes-setup did not write that file, and nginx would not start with it. Fix line {where.group(2)}: "
            f"sudo nano +{where.group(2)} {where.group(1)} ; then: sudo nginx -t ; then run hermes-setup again."
        )
    else:
        hint = "Nothing was changed. Look at: sudo nginx -t"
    return CommandFailed(f"nginx would not accept the new configuration: {line}.", hint=hint, output=output)
