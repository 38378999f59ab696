"""The program's own notes: who is at work, what was agreed to, what was there before."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.fields import from_json, to_json
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.engine.changes import Place, Run, Stamp
from hermes_setup.errors import Busy, HermesSetupError
from hermes_setup.host import ABSENT, File, Folder, Link
from hermes_setup.state.line_dates import LineDate
from hermes_setup.state.store import LONGEST_RENDERED, State

ANSWERS = Answers(
    Domain.parse("bücher.example"),
    Issuer.parse("https://ca.example/dir"),
    (User("alice", "$6$x$y", "answers"), User("José")),
    "me@example.com",
    Backend.parse("[::1]:9120"),
    "leave",
    ("203.0.113.5",),
    ("bob",),
    ("00ff",),
)


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(str(tmp_path / "hermes-setup"))


def test_answers_come_back_as_they_were_given(state: State) -> None:
    assert state.answers() is None
    state.save_answers(ANSWERS)
    assert state.answers() == ANSWERS
    assert from_json(to_json(ANSWERS.settled())) == ANSWERS.settled()


def test_only_root_may_read_them(state: State) -> None:
    os.umask(0)
    state.save_answers(ANSWERS)
    assert oct(os.stat(state.folder).st_mode & 0o777) == "0o700"
    assert oct(os.stat(f"{state.folder}/answers.json").st_mode & 0o777) == "0o600"


def test_agreeing_ends_the_draft(state: State) -> None:
    state.save_draft({"domain": "x.example.com"})
    assert state.draft() == {"domain": "x.example.com"}
    state.save_answers(ANSWERS)
    assert state.draft() is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"domain": "x"}', "\0", '{"domain": 5, "certificate": "self-signed"}']
)
def test_answers_that_cannot_be_read_are_an_error_and_not_guessed(state: State, text: str) -> None:
    state.save_answers(ANSWERS)
    Path(state.folder, "answers.json").write_text(text)
    with pytest.raises(HermesSetupError) as refused:
        state.answers()
    assert "answers.json" in refused.value.message
    assert "mv " in refused.value.hint


def test_a_second_run_is_told_who_holds_the_lock(state: State) -> None:
    with state.lock("hermes-setup apply"), pytest.raises(Busy) as busy, State(state.folder).lock("hermes-setup"):
        pass
    assert f"process {os.getpid()} (hermes-setup apply), since" in busy.value.message
    assert busy.value.exit_code == 75
    with state.lock("again"):
        pass


def test_a_run_that_changes_nothing_leaves_no_journal(state: State) -> None:
    state.mark_unfinished(None)
    state.start_run()
    assert list(state.past_runs()) == []


def test_the_journal_gives_back_every_kind_of_change(state: State) -> None:
    pairs = [
        (
            Place("/a", File(b"\xff\0new", 0o640, "root", "www-data"), "w"),
            Place("/a", File(b"old", 0o600, "nobody"), "w"),
        ),
        (Place("/l", Link("x"), "w"), Place("/l", ABSENT, "w")),
        (Place("/f", Folder(0o755), "w"), Place("/f", Link("y"), "w")),
        (Stamp("/s", File(b"1", 0o600), "w"), Stamp("/s", ABSENT, "w")),
        (Run(("ufw", "allow", "80/tcp"), "w"), Run(("ufw", "delete", "allow", "80/tcp"), "w")),
    ]
    journal = state.start_run()
    for number, (change, undo) in enumerate(pairs):
        journal.record("first" if number < 2 else "second", change, undo)
    last = next(state.past_runs()).journal
    assert list(last.changes()) == list(last.all_changes()) == pairs
    assert list(last.changes("first")) == pairs[:2]


def test_a_run_whose_notes_were_edited_is_not_guessed_at(state: State) -> None:
    state.mark_unfinished(ANSWERS)
    journal = state.start_run()
    journal.record("s", Run(("true",), "w"), Run(("true",), "w"))
    assert journal.answers_before() == ANSWERS.settled()
    path = Path(journal.folder, "run.json")
    path.write_text(path.read_text("utf-8").replace("https://ca.example/dir", "nobody"), "utf-8")
    with pytest.raises(HermesSetupError) as refused:
        journal.answers_before()
    assert str(path) in refused.value.message
    assert f"sudo ls {journal.folder}/before" in refused.value.hint


def test_only_the_newest_runs_are_kept(state: State) -> None:
    for number in range(25):
        state.start_run().record("s", Place("/a", File(b"x"), "w"), Place("/a", File(str(number).encode()), "w"))
    assert len(os.listdir(f"{state.folder}/runs")) == 20
    assert next(state.past_runs()).journal.changes()[0][1] == Place("/a", File(b"24"), "w")


def test_when_lines_were_written_comes_back_and_broken_notes_are_none(state: State) -> None:
    assert state.line_dates() == {}, "notes of an older version"
    when = {"0" * 16: LineDate(datetime(2026, 3, 4, 12, 0, 1, tzinfo=timezone.utc), exact=True)}
    state.save_line_dates(when)
    assert state.line_dates() == when
    path = Path(state.folder, "lines.json")
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    for broken in ("", "[]", '{"a": 5}', '{"a": ["yesterday", true]}', '{"a": [1, true]}', '{"a": ["2026-03-04"]}'):
        path.write_text(broken)
        assert state.line_dates() == {}


def test_what_was_rendered_is_kept_for_the_next_run_if_it_is_short(state: State) -> None:
    assert state.rendered() == {}
    state.save_rendered({"mark": "text\udcff", "long": "x" * (LONGEST_RENDERED + 1)})
    path = Path(state.folder, "rendered.json")
    assert state.rendered() == {"mark": "text\udcff"}
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.stat().st_ino
    state.save_rendered({"mark": "text\udcff"})
    assert path.stat().st_ino == before, "nothing is written where nothing has changed"
    state.save_rendered({"other": "text"})
    assert state.rendered() == {"other": "text"}
    path.write_text(path.read_text("utf-8").replace('"text"', '"test"'), "utf-8")
    assert state.rendered() == {}, "somebody changed it"
    state.save_rendered({})
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"mark": 5}', "\0\0"])
def test_kept_texts_that_cannot_be_read_are_rendered_again(state: State, content: str) -> None:
    state.save_rendered({"mark": "text"})
    Path(state.folder, "rendered.json").write_text(content, "utf-8")
    assert state.rendered() == {}


@pytest.mark.parametrize("loose", ["written by its group", "written by everybody", "another owner's", "a link"])
@pytest.mark.parametrize("read", ["answers", "runs", "lock", "write"])
@pytest.mark.root
def test_what_others_could_have_written_is_not_done(state: State, loose: str, read: str) -> None:
    """An undo runs the commands that its journal names."""
    state.save_answers(ANSWERS)
    folder = Path(state.folder)
    match loose:
        case "a link":
            folder = folder.rename(folder.with_name("elsewhere"))
            Path(state.folder).symlink_to(folder)
        case "another owner's":
            os.chown(folder, 65534, 0)
        case _:
            folder.chmod(0o770 if "group" in loose else 0o707)
    mode = folder.stat().st_mode
    with pytest.raises(HermesSetupError) as refused:
        if read == "answers":
            state.answers()
        elif read == "runs":
            list(state.past_runs())
        elif read == "lock":
            with state.lock("hermes-setup"):
                pass
        else:
            state.save_draft({})
    assert state.folder in refused.value.message
    assert "sudo chown -R root:root" in refused.value.hint
    assert folder.stat().st_mode == mode


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_modes_of_a_runs_notes_are_not_the_callers(state: State, umask: int) -> None:
    os.umask(umask)
    with state.lock("hermes-setup"):
        state.mark_unfinished(None)
        state.save_answers(ANSWERS)
        run = state.start_run()
        run.record("site", Place("/etc/a", File(b"a"), "make it"), Place("/etc/a", ABSENT, "remove it"))
    top = Path(state.folder)
    modes = {path: oct(path.stat().st_mode & 0o7777) for path in (top, *top.rglob("*"))}
    assert modes == {path: "0o700" if path.is_dir() else "0o600" for path in modes}
    assert len(modes) > 8
