"""What was there before, and what was agreed to. The machine itself says what is there now.

    /var/lib/hermes-setup/            0700
        lock                          flock: one run at a time; its content says who
        answers.json                  0600  what was last agreed to at "Go ahead?"
        draft.json                    0600  answers given so far, not agreed to yet
        lines.json                    0600  when lines of the users' file were written, as far as it is known
        rendered.json                 0600  what the files of the last run were rendered to: the next one need not
        open.json                     0600  runs since it was last finished, and the answers that held before them
        stamps/                       effects that nobody can see afterwards
        runs/<utc>/journal.jsonl      one line a change, on disk before the change happens
        runs/<utc>/before/<n>         the content that was there
        runs/<utc>/run.json           the answers before it, which run it undoes, which unfinished ones it continues

Invariants, from which the order of writing follows:
1. Every path that is changed has its before-image on disk first: blob, fsync, line, fsync, then the change.
2. A line can be replayed any number of times: it states an outcome, never a delta.
3. A line without its effect is harmless.
4. A torn last line means that the change was never started.
5. No record says "done".
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import from_json, to_json
from hermes_setup.digests import digest
from hermes_setup.errors import HermesSetupError, WrongInput
from hermes_setup.state import notes, runs, unfinished
from hermes_setup.state.journal import Journal, RunInfo
from hermes_setup.state.line_dates import LineDate
from hermes_setup.state.lock import locked
from hermes_setup.state.runs import PastRun
from hermes_setup.state.unfinished import Unfinished
from hermes_setup.values import replace

LONGEST_RENDERED = 256 * 1024


class State:
    """The folder of this program's own notes."""

    def __init__(self, folder: str = notes.FOLDER) -> None:
        self.folder = folder

    def lock(self, doing: str) -> contextlib.AbstractContextManager[None]:
        """This run is the only one inside the block. Raises Busy, with who holds the lock and since when."""
        return locked(self._path("lock"), doing)

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    # -- answers ----------------------------------------------------------------------------------------------------

    def answers(self) -> Answers | None:
        """What was last agreed to; None when nothing ever was. Raises HermesSetupError when it cannot be read."""
        path = self._path("answers.json")
        table = notes.load(path)
        try:
            return None if table is None else from_json(table)
        except WrongInput as error:
            hint = f"Move it away (mv {path} /root/) and run hermes-setup again; it asks everything again."
            raise notes.edited(path, str(error), hint) from None

    def save_answers(self, answers: Answers) -> None:
        """The answers are what was agreed to, durably; the draft is gone."""
        notes.save(self._path("answers.json"), to_json(answers))
        notes.remove(self._path("draft.json"))

    def draft(self) -> dict[str, Any] | None:
        """Answers given so far, as `questions.draft` wrote them; None when there are none, or they cannot be read."""
        try:
            return notes.load(self._path("draft.json"))
        except HermesSetupError:
            return None

    def save_draft(self, table: Mapping[str, Any]) -> None:
        """The draft is exactly that, durably."""
        notes.save(self._path("draft.json"), table)

    # -- what is known of files that were written -------------------------------------------------------------------

    def line_dates(self) -> dict[str, LineDate]:
        """When lines were written, by their `line_id`; {} where nothing was noted, or the notes cannot be read."""
        try:
            table = notes.load(self._path("lines.json")) or {}
            return {
                line: LineDate(datetime.fromisoformat(at).astimezone(timezone.utc), exact is True)
                for line, (at, exact) in table.items()
            }
        except (HermesSetupError, TypeError, ValueError):
            return {}

    def save_line_dates(self, dates: Mapping[str, LineDate]) -> None:
        """Exactly that is noted, durably."""
        if dates != self.line_dates():
            table = {line: [each.at.isoformat(), each.exact] for line, each in dates.items()}
            notes.save(self._path("lines.json"), table)

    def rendered(self) -> dict[str, str]:
        """Texts by their keys, as the last run kept them; without those that were changed since, or cannot be read."""
        try:
            table = notes.load(self._path("rendered.json")) or {}
        except HermesSetupError:
            return {}
        kept = [(key, *entry) for key, entry in table.items() if isinstance(entry, list) and len(entry) == 2]
        return {key: text for key, text, checksum in kept if isinstance(text, str) and checksum == digest(key, text)}

    def save_rendered(self, texts: Mapping[str, str]) -> None:
        """These are kept, without those that are as quickly rendered as read, and no others. A full disk keeps none."""
        path = self._path("rendered.json")
        texts = {key: text for key, text in texts.items() if len(text) <= LONGEST_RENDERED}
        if not texts:
            notes.remove(path)
        elif texts != self.rendered():
            with contextlib.suppress(HermesSetupError):
                table = {key: [text, digest(key, text)] for key, text in texts.items()}
                notes.save(path, table, ascii_only=True)  # the names of users made by hand may be no UTF-8

    # -- runs -------------------------------------------------------------------------------------------------------

    def mark_unfinished(self, before: Answers | None) -> None:
        """From here on something may be unfinished. `before` are the answers that held until now.

        Where an earlier run is still unfinished, the answers before that one count: a run now continues it. Call it before
        `save_answers`, which overwrites them.
        """
        if unfinished.load(self._path("open.json")) is None:
            unfinished.save(self._path("open.json"), Unfinished(to_json(before.settled()) if before else None))

    def first_setup_unfinished(self) -> bool:
        """True when the first set-up was agreed to, and has not been finished yet."""
        earlier = unfinished.load(self._path("open.json"))
        return earlier is not None and earlier.answers is None

    def mark_finished(self, answers: Answers | None) -> None:
        """These answers hold (None: nothing is set up here), and nothing is unfinished."""
        if answers is None:
            notes.remove(self._path("answers.json"))
        elif answers.settled() != self.answers():
            self.save_answers(answers.settled())
        notes.remove(self._path("open.json"))

    def start_run(self, *, undoes: str = "") -> Journal:
        """A journal for a new run, after `mark_unfinished`. Its folder is made with the first line: no change leaves none.

        `undoes` is the name of the run that it undoes.
        """
        notes.make(self.folder)
        runs.make_room(self._path("runs"))
        name, earlier = runs.new_name(), unfinished.load(self._path("open.json")) or Unfinished(None)
        unfinished.save(self._path("open.json"), replace(earlier, runs=(*earlier.runs, name)))
        return Journal(os.path.join(self._path("runs"), name), RunInfo(earlier.answers, undoes, continues=earlier.runs))

    def past_runs(self, undone: str = "") -> Iterator[PastRun]:
        """See `runs.past`. Raises HermesSetupError where others could have written what is read there."""
        notes.need_own(self.folder)
        return runs.past(self._path("runs"), undone)
