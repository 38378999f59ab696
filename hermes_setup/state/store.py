"""What was there before, and what was wished for. The machine itself says what is there now.

    /var/lib/hermes-setup/            0700
        lock                          flock: one run at a time; its content says who
        answers.json                  0600  what was last agreed to at "Go ahead?"
        draft.json                    0600  answers given so far, not agreed to yet
        lines.json                    0600  when lines of the users' file were written, as far as it is known
        rendered.json                 0600  what the files of the last run were rendered to, so that it is known at once
        open.json                     0600  runs since it was last finished, and the answers that held before them
        stamps/                       effects that nobody can see afterwards
        runs/<utc>/journal.jsonl      one line a change, on disk before the change happens
        runs/<utc>/before/<n>         the content that was there
        runs/<utc>/run.json           the answers before it, which run it undoes, which unfinished ones it goes on with

Invariants, from which the order of writing follows:
1. Every path that is changed has its before-image on disk first: blob, fsync, line, fsync, then the change.
2. A line can be replayed any number of times: it states an outcome, never a delta.
3. A line without its effect is harmless.
4. A torn last line means that the effect never began.
5. No record says "done".
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from hermes_setup import durable
from hermes_setup.answers.answers import Answers
from hermes_setup.answers.table import to_json
from hermes_setup.digests import digest
from hermes_setup.errors import Busy, HermesSetupError
from hermes_setup.state.journal import Journal
from hermes_setup.state.places import STATE, cannot, read_answers
from hermes_setup.state.written import Written

RUNS_KEPT = 20


LONGEST_RENDERED = 256 * 1024


class State:
    """The folder of this program's own notes."""

    def __init__(self, folder: str = STATE) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def lock(self, doing: str) -> Iterator[None]:
        """This run is the only one inside the block. Raises Busy, with who holds the lock and since when."""
        self._make()
        path = os.path.join(self.folder, "lock")
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise cannot(path, error) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(handle, 4096, 0).decode(errors="replace").strip() or "another run"
                end = re.match(r"process (\d+)", holder)
                lost = f"sudo kill {end.group(1)}" if end else "tmux attach, if it runs in tmux"
                raise Busy(
                    f"Another hermes-setup is running: {holder}.",
                    hint=f"Wait until it has finished. If its terminal is lost: {lost} ; that leaves everything in a sound state, and the "
                    "same command continues from there.",
                ) from None
            who = f"process {os.getpid()} ({doing}), since {time.strftime('%H:%M:%S')}"
            with contextlib.suppress(OSError):  # on a full disk nobody hears who; the lock itself needs no room
                os.ftruncate(handle, 0)
                os.pwrite(handle, who.encode(), 0)
            yield
        finally:
            os.close(handle)

    def _make(self) -> None:
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            os.chmod(self.folder, 0o700)
        except OSError as error:
            raise cannot(self.folder, error) from error

    # -- answers ----------------------------------------------------------------------------------------------------

    def answers(self) -> Answers | None:
        """What was last agreed to; None when nothing ever was. Raises HermesSetupError when it cannot be read."""
        table = self._load("answers.json")
        return None if table is None else read_answers(table)

    def agree(self, answers: Answers) -> None:
        """The answers are what was agreed to, durably; the draft is gone."""
        self._save("answers.json", to_json(answers))
        self.keep_draft(None)

    def draft(self) -> dict[str, Any] | None:
        """Answers given so far, as `wizard.Draft` wrote them; None when there are none, or they cannot be read."""
        try:
            return self._load("draft.json")
        except HermesSetupError:
            return None

    def keep_draft(self, table: dict[str, Any] | None) -> None:
        """The draft is exactly that, durably; None: there is none."""
        if table is None:
            self._drop("draft.json")
        else:
            self._save("draft.json", table)

    def lines(self) -> dict[str, Written]:
        """When lines were written, by their `accounts.mark`; {} where nothing was noted, or the notes cannot be read."""
        try:
            table = self._load("lines.json") or {}
            return {
                mark: Written(datetime.fromisoformat(at).astimezone(timezone.utc), exact is True)
                for mark, (at, exact) in table.items()
            }
        except (HermesSetupError, TypeError, ValueError):
            return {}

    def keep_lines(self, lines: Mapping[str, Written]) -> None:
        """Exactly that is noted, durably."""
        if lines != self.lines():
            self._save("lines.json", {mark: [each.at.isoformat(), each.exact] for mark, each in lines.items()})

    def rendered(self) -> dict[str, str]:
        """Texts by their marks, as the last run kept them; without those that were changed since, or cannot be read."""
        try:
            table = self._load("rendered.json") or {}
        except HermesSetupError:
            return {}
        kept = [(mark, *entry) for mark, entry in table.items() if isinstance(entry, list) and len(entry) == 2]
        return {mark: text for mark, text, seal in kept if isinstance(text, str) and seal == digest(mark, text)}

    def keep_rendered(self, texts: Mapping[str, str]) -> None:
        """These are kept, without those that are as quickly rendered as read, and no others. A full disk keeps none."""
        texts = {mark: text for mark, text in texts.items() if len(text) <= LONGEST_RENDERED}
        if not texts:
            self._drop("rendered.json")
        elif texts != self.rendered():
            with contextlib.suppress(HermesSetupError):
                # the names of users made by hand may be no UTF-8
                table = {mark: [text, digest(mark, text)] for mark, text in texts.items()}
                self._save("rendered.json", table, ascii_only=True)

    def _load(self, name: str) -> dict[str, Any] | None:
        path = os.path.join(self.folder, name)
        try:
            with open(path, encoding="utf-8") as file:
                table = json.load(file)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise cannot(path, error) from error
        except ValueError as error:
            raise HermesSetupError(
                f"{path} cannot be read: {error}.", hint=f"Move it away (mv {path} {path}.broken) and run this again."
            ) from None
        if not isinstance(table, dict):
            raise HermesSetupError(f"{path} holds no answers.", hint=f"Move it away: mv {path} {path}.broken")
        return table

    def _save(self, name: str, table: dict[str, Any], *, ascii_only: bool = False) -> None:
        self._make()
        path = os.path.join(self.folder, name)
        try:
            durable.write(path, json.dumps(table, indent=1, ensure_ascii=ascii_only).encode(), mode=0o600)
        except OSError as error:
            raise cannot(path, error) from error

    # -- runs -------------------------------------------------------------------------------------------------------

    def open(self, before: Answers | None) -> None:
        """From here on something may be unfinished. `before` are the answers that held until now.

        Where an earlier run is unfinished still, those before that one count: what is agreed to now goes on with it.
        Call it before `agree`, which forgets them.
        """
        if self._load("open.json") is None:
            self._save("open.json", {"answers": to_json(before.settled()) if before else None, "runs": []})

    def begun(self) -> bool:
        """True when the first set-up was agreed to, and has not been finished yet."""
        opened = self._load("open.json")
        return opened is not None and opened["answers"] is None

    def settle(self, answers: Answers | None) -> None:
        """These answers hold (None: nothing is set up here), and nothing is unfinished."""
        if answers is None:
            self._drop("answers.json")
        elif answers.settled() != self.answers():
            self.agree(answers.settled())
        self._drop("open.json")

    def _drop(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.folder, name))
            durable.sync_folder(self.folder)

    def begin(self, *, undoes: str = "") -> Journal:
        """A journal for a new run, after `open`. Its folder is made with the first line: no change leaves none.

        `undoes` is the name of the run that it puts back.
        """
        self._make()
        runs = os.path.join(self.folder, "runs")
        for old in sorted(_listed(runs))[: -RUNS_KEPT + 1]:
            _remove_run(os.path.join(runs, old))
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
        opened = self._load("open.json") or {"answers": None, "runs": []}
        about = {"answers": opened["answers"], "undoes": undoes, "continues": opened["runs"]}
        self._save("open.json", {**opened, "runs": [*opened["runs"], stamp]})
        return Journal(os.path.join(runs, stamp), about)

    def runs(self, undone: str = "") -> Iterator[tuple[Journal, bool]]:
        """The journals of the runs that changed something, newest first; what one went on with is part of it.

        `undone` is the run that was put back last: an undoing that was stopped before its end is no run yet, so the run
        that it was to put back stands in its place; the second value is True for that one.
        """
        folder = os.path.join(self.folder, "runs")
        names = set(_listed(folder))
        while names:
            last = Journal(os.path.join(folder, max(names)))
            half = Journal(os.path.join(folder, last.undoes)) if last.undoes in names - {undone} else last
            yield half, half is not last
            names -= {last.name, half.name, *last.continues, *half.continues}


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _remove_run(folder: str) -> None:
    for inner in ("before", ""):
        at = os.path.join(folder, inner)
        for name in _listed(at):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(at, name))
        with contextlib.suppress(OSError):
            os.rmdir(at.rstrip("/"))
