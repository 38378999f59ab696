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
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from hermes_setup import durable
from hermes_setup.accounts import Written
from hermes_setup.answers import Answers, Backend, Domain, Issuer, User, Webhooks, parse_allow, parse_email, parse_user
from hermes_setup.errors import Busy, HermesSetupError, WrongInput
from hermes_setup.host import ABSENT, Absent, File, Folder, Link, Node
from hermes_setup.nginx import digest

if TYPE_CHECKING:
    from hermes_setup.changes import Change

STATE = "/var/lib/hermes-setup"
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
            raise _cannot(path, error) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(handle, 4096, 0).decode(errors="replace").strip() or "another run"
                end = re.match(r"process (\d+)", holder)
                lost = f"sudo kill {end.group(1)}" if end else "tmux attach, if it sits in tmux"
                raise Busy(
                    f"Another hermes-setup is at work: {holder}.",
                    hint=f"Wait until it has ended. If its terminal is lost: {lost} ; it ends in a sound state, and the same "
                    "again goes on from there.",
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
            raise _cannot(self.folder, error) from error

    # -- answers ----------------------------------------------------------------------------------------------------

    def answers(self) -> Answers | None:
        """What was last agreed to; None when nothing ever was. Raises HermesSetupError when it cannot be read."""
        table = self._load("answers.json")
        return None if table is None else from_table(table)

    def agree(self, answers: Answers) -> None:
        """The answers are what was agreed to, durably; the draft is gone."""
        self._save("answers.json", to_table(answers))
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
            raise _cannot(path, error) from error
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
            raise _cannot(path, error) from error

    # -- runs -------------------------------------------------------------------------------------------------------

    def open(self, before: Answers | None) -> None:
        """From here on something may be unfinished. `before` are the answers that held until now.

        Where an earlier run is unfinished still, those before that one count: what is agreed to now goes on with it.
        Call it before `agree`, which forgets them.
        """
        if self._load("open.json") is None:
            self._save("open.json", {"answers": to_table(before.settled()) if before else None, "runs": []})

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
            raise _cannot(self.folder, error) from error

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
        return from_table(told["answers"]) if told.get("answers") else None

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
        from hermes_setup.changes import Place, Run, Stamp  # here: the wizard's first question does not wait for it

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
        from hermes_setup.changes import Place, Run, Stamp

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


def to_table(answers: Answers) -> dict[str, Any]:
    """The answers as JSON can hold them. Hashes stand in it until the users are on the machine; never a password."""
    return {
        "domain": answers.domain.ascii,
        "certificate": answers.issuer.text,
        "email": answers.email,
        "backend": str(answers.backend) if answers.backend else "",
        "service": answers.service,
        "firewall": answers.firewall,
        "public_addresses": list(answers.public_addresses),
        "allow": list(answers.allow),
        "users": [{"name": user.name, "hash": user.hash, "origin": user.origin} for user in answers.users],
        "gone": list(answers.gone),
        "revoked": list(answers.revoked),
        "webhooks": answers.webhooks.to_table() if answers.webhooks else None,
        "redirects": [name.ascii for name in answers.redirects],
        "dropped": list(answers.dropped),
    }


def from_table(table: dict[str, Any]) -> Answers:
    """The answers that `to_table` wrote. Raises HermesSetupError when it was edited into something else."""
    try:
        return Answers(
            domain=Domain.parse(table["domain"]),
            issuer=Issuer.parse(table["certificate"]),
            email=parse_email(table["email"]),
            backend=Backend.parse(table["backend"]) if table["backend"] else None,
            service=table.get("service") is True,
            firewall="leave" if table["firewall"] == "leave" else "open",
            public_addresses=tuple(table["public_addresses"]),
            allow=parse_allow(table.get("allow", [])),  # answers of before there was a list have none
            users=tuple(
                User(parse_user(user["name"]), user["hash"], "answers" if user["origin"] == "answers" else "menu")
                for user in table["users"]
            ),
            gone=tuple(table["gone"]),
            revoked=tuple(table["revoked"]),
            webhooks=Webhooks.from_table(table["webhooks"]) if table.get("webhooks") else None,
            redirects=tuple(map(Domain.parse, table.get("redirects", []))),
            dropped=tuple(table.get("dropped", [])),
        )
    except (KeyError, TypeError, AttributeError, WrongInput) as error:
        raise HermesSetupError(
            f"{STATE}/answers.json is not as this program wrote it ({error}).",
            hint=f"Move it away (mv {STATE}/answers.json /root/) and run hermes-setup again; it asks anew.",
        ) from None


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


def _cannot(path: str, error: OSError) -> HermesSetupError:
    words = os.strerror(error.errno or 0)
    return HermesSetupError(
        f"{path} could not be read or written: {words}.",
        hint="Run it with sudo, and see that the disk is not full: df -h /var",
    )
