"""The before-images of one run, written ahead of each change. The invariants stand in `store`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hermes_setup import durable
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import from_json
from hermes_setup.errors import HermesSetupError, WrongInput
from hermes_setup.host import ABSENT, Absent, File, Folder, Link, Node
from hermes_setup.state import notes
from hermes_setup.values import dataclass

if TYPE_CHECKING:
    from hermes_setup.engine.changes import Change


@dataclass(frozen=True)
class RunInfo:
    """What run.json says of a run. `answers` held before it, as answers.json had them; None: nothing was set up."""

    answers: Mapping[str, Any] | None = None
    undoes: str = ""  # the name of the run that this one undoes, "" for any other
    continues: tuple[str, ...] = ()  # the names of the unfinished runs that it continued, oldest first

    def to_json(self) -> dict[str, Any]:
        """Plain data for run.json."""
        return {"answers": self.answers, "undoes": self.undoes, "continues": list(self.continues)}

    @classmethod
    def from_json(cls, table: Mapping[str, Any]) -> RunInfo:
        """What `to_json` gave."""
        return cls(table.get("answers") or None, str(table.get("undoes", "")), tuple(table.get("continues", ())))


class Journal:
    """The before-images of one run. With the `info` of a new one, it is written before the first change."""

    def __init__(self, folder: str, info: RunInfo | None = None) -> None:
        self.folder = folder
        self.name = os.path.basename(folder)
        self._new = info
        self._path = os.path.join(folder, "journal.jsonl")
        self._count = 0

    def record(self, stage: str, change: Change, undo: Change) -> None:
        """The undo is on disk when this returns. Raises HermesSetupError when it could not be written."""
        try:
            if not self._count:
                for folder in (os.path.dirname(self.folder), self.folder, os.path.join(self.folder, "before")):
                    notes.make(folder)
                durable.sync_folder(os.path.dirname(self.folder))
                if self._new is not None:
                    text = json.dumps(self._new.to_json(), ensure_ascii=False)
                    durable.write(os.path.join(self.folder, "run.json"), text.encode(), mode=0o600)
            self._count += 1
            line = {"stage": stage, "change": self._write(change, "after"), "undo": self._write(undo, "before")}
            with open(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(json.dumps(line).encode() + b"\n")  # ASCII: a path may be no UTF-8
                file.flush()
                os.fsync(file.fileno())
            durable.sync_folder(self.folder)
        except OSError as error:
            raise notes.unusable(self.folder, error) from error

    def changes(self, stage: str = "") -> Sequence[tuple[Change, Change]]:
        """(change, undo) of that stage ("": of all), oldest first. A torn last line is left out."""
        try:
            with open(self._path, "rb") as file:
                whole_lines = file.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return ()
        lines = [json.loads(text) for text in whole_lines]
        return [
            (self._read(line["change"]), self._read(line["undo"])) for line in lines if stage in ("", line["stage"])
        ]

    def all_changes(self) -> Sequence[tuple[Change, Change]]:
        """(change, undo) of the unfinished runs that this one continued, then its own."""
        folder = os.path.dirname(self.folder)
        runs = [*(Journal(os.path.join(folder, name)) for name in self.info.continues), self]
        return [pair for run in runs for pair in run.changes()]

    @property
    def info(self) -> RunInfo:
        """What run.json says; of a run of an older version, and of one that has changed nothing yet, nothing."""
        return self._info() or RunInfo()

    def answers_before(self) -> Answers | None:
        """The answers that held before this run; None where nothing was set up. Raises HermesSetupError where that is not known."""
        info, path = self._info(), os.path.join(self.folder, "run.json")
        held = f"What each file held before it: sudo ls {self.folder}/before"
        if info is None:
            raise HermesSetupError(
                f"The run {self.name} is from an older hermes-setup, which did not keep what is needed to undo it.",
                hint=held,
            )
        try:
            return from_json(info.answers) if info.answers else None
        except WrongInput as error:
            raise notes.edited(path, str(error), held) from None

    def _info(self) -> RunInfo | None:
        try:
            with open(os.path.join(self.folder, "run.json"), encoding="utf-8") as file:
                table = json.load(file)
        except (OSError, ValueError):
            return None
        return RunInfo.from_json(table) if isinstance(table, dict) else None

    # -- a change as JSON; contents lie beside it in before/ ----------------------------------------------------------

    def _write(self, change: Change, which: str) -> dict[str, Any]:
        from hermes_setup.engine.changes import Place, Run, Stamp  # here: the first question does not wait for it

        match change:
            case Place():
                return {"place": change.path, "why": change.why, **self._write_node(change.node, which)}
            case Stamp():
                return {"stamp": change.path, "why": change.why, **self._write_node(change.node, which)}
            case Run():
                return {"run": list(change.argv), "why": change.why}
            case _:
                raise TypeError(f"{change} leaves nothing to undo")

    def _write_node(self, node: Node, which: str) -> dict[str, Any]:
        match node:
            case File():
                name = f"{self._count}.{which}"
                durable.write(os.path.join(self.folder, "before", name), node.content, mode=0o600)
                return {"file": name, "mode": node.mode, "owner": node.owner, "group": node.group}
            case Folder():
                return {"folder": True, "mode": node.mode, "owner": node.owner, "group": node.group}
            case Link():
                return {"link": node.target}
            case _:
                return {"absent": True}

    def _read(self, line: Mapping[str, Any]) -> Change:
        from hermes_setup.engine.changes import Place, Run, Stamp

        if "run" in line:
            return Run(tuple(line["run"]), line["why"])
        node = self._read_node(line)
        if "stamp" in line:
            return Stamp(line["stamp"], node if isinstance(node, (File, Absent)) else ABSENT, line["why"])
        return Place(line["place"], node, line["why"])

    def _read_node(self, line: Mapping[str, Any]) -> Node:
        if "file" in line:
            with open(os.path.join(self.folder, "before", line["file"]), "rb") as file:
                return File(file.read(), line["mode"], line["owner"], line["group"])
        if "link" in line:
            return Link(line["link"])
        if "folder" in line:
            return Folder(line["mode"], line["owner"], line["group"])
        return ABSENT
