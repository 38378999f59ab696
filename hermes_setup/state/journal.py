"""The before-images of one run, written ahead of each change. The invariants stand in `store`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hermes_setup import durable
from hermes_setup.answers.answers import Answers
from hermes_setup.errors import HermesSetupError
from hermes_setup.host import ABSENT, Absent, File, Folder, Link, Node
from hermes_setup.state.places import cannot, read_answers

if TYPE_CHECKING:
    from hermes_setup.engine.changes import Change


class Journal:
    """The before-images of one run, written ahead of each change."""

    def __init__(self, folder: str, about: dict[str, Any] | None = None) -> None:
        self.folder = folder
        self.name = os.path.basename(folder)
        self._about = about
        self._file = os.path.join(folder, "journal.jsonl")
        self._count = 0

    def remember(self, stage: str, change: Change, undo: Change) -> None:
        """The undo is on disk when this returns. Raises HermesSetupError when it could not be written."""
        try:
            if not self._count:
                os.makedirs(os.path.join(self.folder, "before"), mode=0o700, exist_ok=True)
                durable.sync_folder(os.path.dirname(self.folder))
                if self._about is not None:
                    text = json.dumps(self._about, ensure_ascii=False)
                    durable.write(os.path.join(self.folder, "run.json"), text.encode(), mode=0o600)
            self._count += 1
            line = {"stage": stage, "change": self._write(change, "after"), "undo": self._write(undo, "before")}
            with open(self._file, "ab") as file:
                os.chmod(file.fileno(), 0o600)
                file.write(json.dumps(line).encode() + b"\n")  # ASCII: a path may be no UTF-8
                file.flush()
                os.fsync(file.fileno())
            durable.sync_folder(self.folder)
        except OSError as error:
            raise cannot(self.folder, error) from error

    @property
    def undoes(self) -> str:
        """The name of the run that this one puts back, "" for any other."""
        return str((self._told() or {}).get("undoes", ""))

    @property
    def continues(self) -> tuple[str, ...]:
        """The names of the unfinished runs that this one went on with, oldest first."""
        return tuple((self._told() or {}).get("continues", ()))

    def whole(self) -> Sequence[tuple[Change, Change]]:
        """(change, undo) of this run and, before them, of those that it went on with."""
        folder = os.path.dirname(self.folder)
        parts = [Journal(os.path.join(folder, name)) for name in self.continues]
        return [pair for part in (*parts, self) for pair in part.recall()]

    def before(self) -> Answers | None:
        """The answers that held before this run; None where nothing was set up. Raises HermesSetupError where nobody knows."""
        told = self._told()
        if told is None:
            raise HermesSetupError(
                f"The run {self.name} is from an older hermes-setup, which did not keep what is needed to undo it.",
                hint=f"What each file held before it: sudo ls {self.folder}/before",
            )
        return read_answers(told["answers"]) if told.get("answers") else None

    def _told(self) -> dict[str, Any] | None:
        try:
            with open(os.path.join(self.folder, "run.json"), encoding="utf-8") as file:
                told = json.load(file)
        except (OSError, ValueError):
            return None
        return told if isinstance(told, dict) else None

    def recall(self, stage: str = "") -> Sequence[tuple[Change, Change]]:
        """(change, undo) of that stage ("": of all), oldest first. A torn last line is left out."""
        pairs: list[tuple[Change, Change]] = []
        try:
            with open(self._file, "rb") as file:
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return ()
        for text in lines[:-1]:
            line = json.loads(text)
            if stage in ("", line["stage"]):
                pairs.append((self._read(line["change"]), self._read(line["undo"])))
        return pairs

    def _write(self, change: Change, which: str) -> dict[str, Any]:
        from hermes_setup.engine.changes import (  # here: the wizard's first question does not wait for it
            Place,
            Run,
            Stamp,
        )

        match change:
            case Place():
                return {"place": change.path, "why": change.why, **self._node(change.node, which)}
            case Stamp():
                return {"stamp": change.path, "why": change.why, **self._node(change.node, which)}
            case Run():
                return {"run": list(change.argv), "why": change.why}
            case _:
                raise TypeError(f"{change} leaves nothing to remember")

    def _node(self, node: Node, which: str) -> dict[str, Any]:
        match node:
            case File():
                blob = f"{self._count}.{which}"
                at = os.path.join(self.folder, "before", blob)
                durable.write(at, node.content, mode=0o600)
                return {"file": blob, "mode": node.mode, "owner": node.owner, "group": node.group}
            case Folder():
                return {"folder": True, "mode": node.mode, "owner": node.owner, "group": node.group}
            case Link():
                return {"link": node.target}
            case _:
                return {"absent": True}

    def _read(self, line: dict[str, Any]) -> Change:
        from hermes_setup.engine.changes import Place, Run, Stamp

        if "run" in line:
            return Run(tuple(line["run"]), line["why"])
        node: Node = ABSENT
        if "file" in line:
            with open(os.path.join(self.folder, "before", line["file"]), "rb") as file:
                node = File(file.read(), line["mode"], line["owner"], line["group"])
        elif "link" in line:
            node = Link(line["link"])
        elif "folder" in line:
            node = Folder(line["mode"], line["owner"], line["group"])
        if "stamp" in line:
            return Stamp(line["stamp"], node if isinstance(node, (File, Absent)) else ABSENT, line["why"])
        return Place(line["place"], node, line["why"])
