"""What version 7802055 left on servers is read as it was meant: real files, made as tests/recorded/state-7802055/README.md says."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.file import read_table, to_toml
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.answers.webhook_platforms import PLATFORMS, Endpoint
from hermes_setup.answers.webhooks import Webhooks
from hermes_setup.digests import digest
from hermes_setup.engine.changes import Change, Place, Run, Stamp
from hermes_setup.errors import HermesSetupError
from hermes_setup.host import ABSENT, File, Folder, Link, Node
from hermes_setup.nginx.render import Renderer
from hermes_setup.questions.conversation import next_question
from hermes_setup.questions.draft import Draft, Known
from hermes_setup.stages.users import cookies, htpasswd
from hermes_setup.state.journal import Journal
from hermes_setup.state.line_dates import LineDate, line_id
from hermes_setup.state.store import State
from hermes_setup.values import replace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECORDED = Path(__file__).parent / "recorded" / "state-7802055"
MOMENTS = {  # what lies over what, and what had gone by then
    "finished": (("finished",), ()),
    "stopped-later": (("finished", "stopped-later"), ("stamps/nginx",)),
    "gone-on": (("finished", "stopped-later", "gone-on"), ("open.json",)),
    "stopped-first": (("stopped-first",), ()),
}


def state_at(moment: str, folder: Path) -> State:
    """A copy, as it stood on the server."""
    layers, gone = MOMENTS[moment]
    for layer in layers:
        shutil.copytree(RECORDED / layer, folder, dirs_exist_ok=True)
    for name in gone:
        (folder / name).unlink()
    return State(str(folder))


@pytest.fixture
def recorded(tmp_path: Path, moment: str) -> State:
    return state_at(moment, tmp_path / "hermes-setup")


# ---- answers ----

PLATFORM = {platform.name: platform for platform in PLATFORMS}
LETSENCRYPT = Issuer("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory")
HERMES = Domain("hermes.example.com", "hermes.example.com")
NEW = Domain("new.example.com", "new.example.com")
HOOKS = Domain("hooks.example.com", "hooks.example.com")
CALLS = Domain("calls.example.com", "calls.example.com")
LISTED: dict[str, Any] = {
    "public_addresses": ("198.51.100.10", "2001:db8::10"),
    "allow": ("203.0.113.0/24", "2001:db8::/32", "198.51.100.50"),
}
ALICE_FIRST, CAROL_FIRST = (
    "$6$rounds=27000$yTc80udSEJg/HQbi$o4SQn8L2yu9mZO8u259SrhjFtmHALOwgmredI9ROpZG/kkdcruXXeQ/WV8u.sclwOt4s7wdINOm.8Xm60zJF5/",
    "$6$rounds=27000$87c3B2rSEn0L4lzG$94jAHAFDiL0GFMxYVIWZR89Ce/JFOLA52nV6sOilGF9b.wuDOfH9RluCP1bVG5Q5VUcvAXslCpIF/k5VX2e5O/",
)
CAROL_LATER = "$6$rounds=27000$zM8Y3efwGMr.k7Rc$3agWH6ZiF86C7.evtrhPnDkgucwB8hUvMRATHAsknLsltWd3ppLRwIZtbqzG4.e/ITswL1fvjXeYFjLhvCaf60"


def hooks_at(host: Domain) -> Webhooks:
    both = (Endpoint(PLATFORM["webhook"], 8644), Endpoint(PLATFORM["sms"], 8081))
    return Webhooks(both, host, ("192.30.252.0/22", "2a0a:a440::/29"))


def users(*names: str, **hashes: str) -> tuple[User, ...]:
    return tuple(User(n, hashes.get(n, ""), "answers" if n in ("alice", "carol") else "menu") for n in names)


FINISHED = Answers(
    NEW,
    LETSENCRYPT,
    users("alice", "dave", "erïn", "bob"),
    email="me@example.com",
    backend=Backend("127.0.0.1", 9120),
    firewall="leave",
    webhooks=hooks_at(HOOKS),
    redirects=(HERMES,),
    former_names=("hermes.example.com", "calls.example.com"),
    **LISTED,
)
STOPPED_LATER = Answers(
    HERMES,
    LETSENCRYPT,
    users("carol", "dave", "erïn", "bob", carol=CAROL_LATER),
    email="me@example.com",
    removed=("alice",),
    redirects=(NEW,),
    former_names=("calls.example.com", "new.example.com", "hooks.example.com"),
)
ANSWERS = {
    "finished": FINISHED,
    "stopped-later": STOPPED_LATER,
    "gone-on": replace(STOPPED_LATER, users=users("carol", "dave", "erïn", "bob", "frank"), removed=()),
    "stopped-first": Answers(
        HERMES,
        LETSENCRYPT,
        users("alice", "carol", alice=ALICE_FIRST, carol=CAROL_FIRST),
        email="me@example.com",
        webhooks=hooks_at(HOOKS),
        **LISTED,
    ),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_answers_are_those_that_were_agreed_to(recorded: State, moment: str) -> None:
    assert recorded.answers() == ANSWERS[moment]


@pytest.mark.parametrize("moment", MOMENTS)
def test_written_back_they_are_the_same_byte_for_byte(recorded: State, moment: str) -> None:
    path = Path(recorded.folder, "answers.json")
    before = path.read_text("utf-8")
    answers = recorded.answers()
    assert answers is not None
    recorded.save_answers(answers)
    assert recorded.answers() == ANSWERS[moment]
    table = json.loads(path.read_text("utf-8"))
    known = {key: value for key, value in table.items() if key in json.loads(before)}
    assert json.dumps(known, indent=1, ensure_ascii=False) == before, "that version can read it, too"
    assert [*table][: len(known)] == [*known], "new keys follow"


@pytest.mark.parametrize("moment", MOMENTS)
def test_keys_that_came_late_may_be_missing_and_unknown_ones_are_passed_over(recorded: State, moment: str) -> None:
    path = Path(recorded.folder, "answers.json")
    table = json.loads(path.read_text("utf-8"))
    late: dict[str, Any] = {"service": False, "allow": (), "webhooks": None, "redirects": ()}
    left = {key: value for key, value in table.items() if key not in (*late, "dropped")}
    path.write_text(json.dumps({**left, "not-invented-yet": [1]}), "utf-8")
    assert recorded.answers() == replace(ANSWERS[moment], former_names=(), **late)
    for key in ("domain", "users"):
        path.write_text(json.dumps({name: value for name, value in table.items() if name != key}), "utf-8")
        with pytest.raises(HermesSetupError):
            recorded.answers()


@pytest.mark.parametrize(
    ("moment", "unfinished"),
    [("finished", False), ("stopped-later", False), ("gone-on", False), ("stopped-first", True)],
)
def test_it_is_known_whether_the_first_set_up_is_still_to_be_finished(recorded: State, unfinished: bool) -> None:
    assert recorded.first_setup_unfinished() is unfinished


def test_the_answers_file_that_would_repeat_it_is_byte_for_byte_as_it_was(tmp_path: Path) -> None:
    text = (RECORDED / "finished.answers.toml").read_text("utf-8")
    lines = htpasswd.hashes((RECORDED / "finished.htpasswd").read_text("utf-8"))
    answers = state_at("finished", tmp_path / "hermes-setup").answers()
    assert answers is not None
    assert to_toml(answers, lines) == text
    wanted = read_table(tomllib.loads(text))
    assert [(user.name, user.password_file, user.password_hash) for user in wanted.users] == [
        (name, "", lines[name]) for name in ("alice", "dave", "erïn", "bob")
    ]
    for key in ("domain", "issuer", "email", "backend", "firewall", "service", "webhooks", "redirects", *LISTED):
        assert getattr(wanted.answers, key) == getattr(FINISHED, key), key


# ---- lines, and what was rendered ----


def test_it_is_known_when_the_lines_were_written(tmp_path: Path) -> None:
    lines = htpasswd.hashes((RECORDED / "finished.htpasswd").read_text("utf-8"))
    known = state_at("finished", tmp_path / "hermes-setup").line_dates()
    seconds = {"alice": (30, 50, 104058), "bob": (31, 24, 267045), "dave": (31, 6, 991358), "erïn": (31, 6, 991358)}
    assert known == {
        line_id(name, lines[name]): LineDate(datetime(2026, 11, 27, 0, *at, tzinfo=timezone.utc), exact=True)
        for name, at in seconds.items()
    }
    table = json.loads((RECORDED / "finished.users.json").read_text("utf-8"))["users"]
    assert {user["name"]: user["changed"] for user in table} == {
        name: f"2026-11-27T00:{at[0]:02}:{at[1]:02}Z" for name, at in seconds.items()
    }


@pytest.mark.parametrize("moment", ["finished", "gone-on"])
def test_what_was_rendered_is_believed_as_long_as_its_seal_fits(recorded: State, moment: str) -> None:
    table = json.loads(Path(recorded.folder, "rendered.json").read_text("utf-8"))
    known = recorded.rendered()
    assert known == {key: text for key, (text, _) in table.items()}
    assert all(seal == digest(key, known[key]) for key, (_, seal) in table.items())
    # The marks are of the program's own text, too, so another version renders again: the same cookies under another name.
    gates = [text for text in known.values() if "hermes_gate" in text and "# token" in text]
    for gate in gates:
        assert cookies.signs_everyone_out(gate)
        assert cookies.parse(cookies.render(cookies.parse(gate), Renderer())) == cookies.parse(gate)
        assert not cookies.signs_everyone_out(cookies.render(cookies.parse(gate), Renderer()))
    assert len(gates) == 1


# ---- runs ----


def node_of(table: Mapping[str, Any], folder: Path) -> Node:
    """Read here once more, by the format as 7802055 wrote it."""
    if "file" in table:
        content = (folder / "before" / table["file"]).read_bytes()
        return File(content, table["mode"], table["owner"], table["group"])
    if "link" in table:
        return Link(table["link"])
    if "folder" in table:
        return Folder(table["mode"], table["owner"], table["group"])
    assert table["absent"] is True
    return ABSENT


def change_of(table: Mapping[str, Any], folder: Path) -> Change:
    if "run" in table:
        return Run(tuple(table["run"]), table["why"])
    node = node_of(table, folder)
    if "stamp" in table:
        assert isinstance(node, File) or node == ABSENT
        return Stamp(table["stamp"], node, table["why"])  # type: ignore[arg-type]  # one of the two
    return Place(table["place"], node, table["why"])


RUNS = {
    "finished": 8,
    "stopped-later": 9,
    "gone-on": 10,
    "stopped-first": 1,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_every_line_of_every_journal_is_the_change_and_its_undo(recorded: State, moment: str) -> None:
    folders = sorted(Path(recorded.folder, "runs").iterdir())
    assert len(folders) == RUNS[moment]
    for folder in folders:
        lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text("utf-8").splitlines()]
        pairs = [(change_of(line["change"], folder), change_of(line["undo"], folder)) for line in lines]
        journal = Journal(str(folder))
        assert list(journal.changes()) == pairs
        for stage in {line["stage"] for line in lines}:
            assert list(journal.changes(stage)) == [
                pair for line, pair in zip(lines, pairs, strict=True) if line["stage"] == stage
            ]


@pytest.mark.parametrize("moment", MOMENTS)
def test_recorded_again_a_run_is_the_same_byte_for_byte(recorded: State, moment: str, tmp_path: Path) -> None:
    for folder in sorted(Path(recorded.folder, "runs").iterdir()):
        old, new = Journal(str(folder)), Journal(str(tmp_path / "again" / folder.name), Journal(str(folder)).info)
        (tmp_path / "again").mkdir(exist_ok=True)
        stages = [json.loads(line)["stage"] for line in (folder / "journal.jsonl").read_text("utf-8").splitlines()]
        for stage, (change, undo) in zip(stages, old.changes(), strict=True):
            new.record(stage, change, undo)
        files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
        assert {name: Path(new.folder, name).read_bytes() for name in files} == {
            name: (folder / name).read_bytes() for name in files
        }


STAMP = "/var/lib/hermes-setup/stamps/"


def briefly(change: Change) -> str:
    """The kind, the path or the command, and the node; of a file its size and mode (the test above reads its content)."""
    match change:
        case Run(argv):
            return " ".join(argv)
        case Place(path, node) | Stamp(path, node):
            pass
        case _:
            raise AssertionError(change)
    at = path.replace(STAMP, "stamp ")
    match node:
        case File(content, mode, owner, group):
            return f"{at}: {len(content)} bytes {mode:o} {owner}:{group}"
        case Link(target):
            return f"{at} -> {target}"
        case Folder(mode, owner, group):
            return f"{at}/ {mode:o} {owner}:{group}"
        case _:
            return f"{at}: absent"


STOPPED_FIRST = [
    ("/etc/nginx/hermes-gate.conf: 1544 bytes 600 root:root", "/etc/nginx/hermes-gate.conf: absent"),
    ("/etc/nginx/.htpasswd-hermes: 326 bytes 640 root:www-data", "/etc/nginx/.htpasswd-hermes: absent"),
    (
        "/var/www/letsencrypt/.well-known/acme-challenge/ 755 root:root",
        "/var/www/letsencrypt/.well-known/acme-challenge: absent",
    ),
    ("/etc/nginx/sites-available/hermes: 3507 bytes 644 root:root", "/etc/nginx/sites-available/hermes: absent"),
    ("/etc/nginx/sites-enabled/zz-hermes -> ../sites-available/hermes", "/etc/nginx/sites-enabled/zz-hermes: absent"),
    ("stamp nginx: absent", "stamp nginx: absent"),
    ("nginx", "nginx -s reload"),
    ("stamp nginx: 24 bytes 600 root:root", "stamp nginx: absent"),
    ("stamp outside-hermes.example.com: 6 bytes 600 root:root", "stamp outside-hermes.example.com: absent"),
    ("stamp outside-hooks.example.com: 6 bytes 600 root:root", "stamp outside-hooks.example.com: absent"),
]
STOPPED_LATER_RUN = [
    ("stamp nginx: absent", "stamp nginx: absent"),
    ("/etc/nginx/hermes-gate.conf: 2024 bytes 600 root:root", "/etc/nginx/hermes-gate.conf: 2024 bytes 600 root:root"),
    (
        "/etc/nginx/.htpasswd-hermes: 575 bytes 640 root:www-data",
        "/etc/nginx/.htpasswd-hermes: 575 bytes 640 root:www-data",
    ),
    (
        "/etc/nginx/sites-available/hermes: 7330 bytes 644 root:root",
        "/etc/nginx/sites-available/hermes: 12990 bytes 644 root:root",
    ),
    ("stamp nginx: absent", "stamp nginx: absent"),
    ("nginx -s reload", "nginx -s reload"),
]


@pytest.mark.parametrize(
    ("moment", "name", "expected"),
    [
        ("stopped-first", "20261127T003251.312823", STOPPED_FIRST),
        ("stopped-later", "20261127T003132.817709", STOPPED_LATER_RUN),
    ],
)
def test_a_run_that_was_stopped_is_read_change_by_change(
    recorded: State, name: str, expected: list[tuple[str, str]]
) -> None:
    journal = Journal(f"{recorded.folder}/runs/{name}")
    assert [(briefly(change), briefly(undo)) for change, undo in journal.changes()] == expected
    assert list(journal.all_changes()) == list(journal.changes())
    assert (journal.info.undoes, journal.info.continues) == ("", ())


@pytest.mark.parametrize("moment", ["stopped-later", "stopped-first"])
def test_wherever_the_last_line_is_torn_the_others_count(recorded: State, moment: str) -> None:
    name = max(path.name for path in Path(recorded.folder, "runs").iterdir())
    journal = Journal(f"{recorded.folder}/runs/{name}")
    path = Path(journal.folder, "journal.jsonl")
    content, pairs = path.read_bytes(), list(journal.changes())
    last = content.rindex(b"\n", 0, -1) + 1
    for end in range(last, len(content)):
        path.write_bytes(content[:end])
        assert list(journal.changes()) == pairs[:-1]
        assert list(journal.all_changes()) == pairs[:-1]


@pytest.mark.parametrize("moment", ["finished"])
def test_the_runs_come_newest_first_and_an_undo_names_its_run(recorded: State) -> None:
    undone = Path(recorded.folder, "stamps", "undone").read_text("ascii")
    assert undone == "20261127T003125.509056"
    runs = [(run.journal.name, run.journal.info.undoes, run.half_undone) for run in recorded.past_runs(undone)]
    assert runs == [
        ("20261127T003129.901844", "", False),
        ("20261127T003127.219658", undone, False),
        ("20261127T003125.509056", "", False),
        ("20261127T003124.267877", "", False),
        ("20261127T003109.260800", "", False),
        ("20261127T003106.991766", "", False),
        ("20261127T003105.112950", "", False),
        ("20261127T003050.104346", "", False),
    ]
    # had it been stopped before its end, the run that it was to put back would stand in its place
    assert [(run.journal.name, run.half_undone) for run in recorded.past_runs()][1] == (undone, True)


@pytest.mark.parametrize("moment", ["finished"])
def test_each_run_knows_the_answers_before_it(recorded: State) -> None:
    before = {run.journal.name: run.journal.answers_before() for run in recorded.past_runs("20261127T003125.509056")}
    names = {
        name: answers and (str(answers.domain), [user.name for user in answers.users])
        for name, answers in before.items()
    }
    assert names == {
        "20261127T003050.104346": None,
        "20261127T003105.112950": ("hermes.example.com", ["alice", "carol"]),
        "20261127T003106.991766": ("hermes.example.com", ["alice", "carol", "bob"]),
        "20261127T003109.260800": ("hermes.example.com", ["alice", "carol", "bob", "dave", "erïn"]),
        "20261127T003124.267877": ("new.example.com", ["alice", "bob", "dave", "erïn"]),
        "20261127T003125.509056": ("new.example.com", ["alice", "dave", "erïn", "bob"]),
        "20261127T003127.219658": ("new.example.com", ["alice", "erïn", "bob"]),
        "20261127T003129.901844": ("new.example.com", ["alice", "dave", "erïn", "bob"]),
    }
    assert before["20261127T003105.112950"] == Answers(
        HERMES, LETSENCRYPT, users("alice", "carol"), email="me@example.com", webhooks=hooks_at(CALLS), **LISTED
    )
    assert before["20261127T003129.901844"] == FINISHED


@pytest.mark.parametrize("moment", ["gone-on"])
def test_a_run_that_continued_a_stopped_one_is_one_with_it(recorded: State) -> None:
    newest, before = list(recorded.past_runs("20261127T003125.509056"))[:2]
    last = newest.journal
    assert (last.name, last.info.continues, newest.half_undone) == (
        "20261127T003135.548956",
        ("20261127T003132.817709",),
        False,
    )
    part = Journal(f"{recorded.folder}/runs/20261127T003132.817709")
    assert list(last.all_changes()) == [*part.changes(), *last.changes()]
    assert last.answers_before() == FINISHED
    assert before.journal.name == "20261127T003129.901844"


@pytest.mark.parametrize(("moment", "before"), [("stopped-later", FINISHED), ("stopped-first", None)])
def test_the_next_run_continues_the_stopped_one(recorded: State, moment: str, before: Answers | None) -> None:
    stopped = max(path.name for path in Path(recorded.folder, "runs").iterdir())
    kept = Path(recorded.folder, "open.json").read_bytes()
    recorded.mark_unfinished(recorded.answers())
    assert Path(recorded.folder, "open.json").read_bytes() == kept, "the answers before the stopped run still count"
    journal = recorded.start_run()
    change = Stamp(f"{STAMP}proof", ABSENT, "what was proven")
    journal.record("proof", change, change)
    table = json.loads(Path(journal.folder, "run.json").read_text("utf-8"))
    assert list(table) == ["answers", "undoes", "continues"]
    again = Journal(journal.folder)
    assert (again.info.undoes, again.info.continues, again.answers_before()) == ("", (stopped,), before)
    assert list(again.all_changes())[-1] == (change, change)
    assert json.loads(Path(recorded.folder, "open.json").read_text("utf-8"))["runs"] == [stopped, journal.name]
    answers = recorded.answers()
    recorded.mark_finished(answers)
    assert not Path(recorded.folder, "open.json").exists()
    assert recorded.answers() == ANSWERS[moment].settled()


# ---- drafts ----

ALICE = User(
    "alice",
    "$6$rounds=27000$7a7MEeH/ewSsie6x$CuddKRdCyEms5zyeV6O6M7d13LFsLouKu1eif0EPEjO1ESvU0aYfJhO62ibiVm04ZPnWe0MN1EwM7ClN7OeLo1",
)
BOB = User(
    "böb",
    "$6$rounds=27000$OGaa..U6bQ4kbumR$bTwYB4k49pmtCPTAVnHmfp6222e./5c/hLkeeTp.yIcgyY6aYq2ma9PJLw.187cImGbfz/cHE2vy0BciHz8b21",
)
OTHER = User(
    "alice",
    "$6$rounds=27000$F3LjgqL4pSrAvaze$35CVTW4cNneuWQI62pQo0S7OUALcffMpfw1sju267f6uhu/3V8vh2JqXoJ4VdcrQy9mDANGpHBXVBAqIPjEP9.",
)
SELF = User(
    "alice",
    "$6$rounds=27000$34T5lV0S/X6e1UmD$gZe5xrei6/UFU.j.S6aoej7w.DHylfuhdz/6TwEWczkn8B8pufJVwAD9Mao6ViG6GceH/Cp8KO6UU5b2OLAxK0",
)
WEBHOOK = (Endpoint(PLATFORM["webhook"], 8644),)
FIRST = Draft(domain=HERMES, issuer=LETSENCRYPT, email="me@example.com")
MORE = replace(FIRST, users=(ALICE,), at="more")
LAST = replace(FIRST, users=(ALICE, BOB), at="done")
DRAFTS: dict[str, tuple[Draft, str]] = {  # and the question where it continues
    "01-certificate": (Draft(domain=HERMES), "certificate"),
    "02-email": (Draft(domain=HERMES, issuer=LETSENCRYPT), "email"),
    "03-name": (FIRST, "name"),
    "04-password": (replace(FIRST, at="password", name="alice"), "how"),
    "05-own": (replace(FIRST, at="password", name="alice"), "how"),
    "06-again": (replace(FIRST, at="password", name="alice"), "how"),
    "07-more": (MORE, "more"),
    "08-second-name": (replace(MORE, at="name"), "name"),
    "09-second-password": (replace(MORE, at="password", name="böb"), "how"),
    "10-saved": (replace(MORE, at="password", name="böb"), "how"),
    "11-second-more": (replace(LAST, at="more"), "more"),
    "12-webhooks": (LAST, "webhooks"),
    "13-webhooks-name": (LAST, "webhooks"),
    "14-done": (replace(LAST, webhooks=Webhooks(WEBHOOK, HOOKS), webhooks_at="done"), ""),
    "other-ca-and-backend": (
        Draft(
            domain=Domain("xn--bcher-kva.example.com", "bücher.example.com"),
            issuer=Issuer(*["https://ca.example.net/acme/directory"] * 2),
            email="",
            users=(OTHER,),
            backend=Backend("127.0.0.1", 9200),
            webhooks_at="done",
            at="done",
        ),
        "",
    ),
    "self-signed-no": (
        Draft(
            domain=Domain("hermes.localhost", "hermes.localhost"),
            issuer=Issuer("self-signed", ""),
            users=(SELF,),
            at="done",
        ),
        "webhooks",
    ),
}
KNOWN = Known(backends=(Backend("127.0.0.1", 9119), Backend("127.0.0.1", 9200)), listening=WEBHOOK)


def test_no_draft_is_without_its_case() -> None:
    assert {path.stem for path in (RECORDED / "drafts").iterdir()} == set(DRAFTS)


@pytest.mark.parametrize("name", DRAFTS)
def test_a_draft_continues_at_the_question_where_it_was_left(tmp_path: Path, name: str) -> None:
    state, path = State(str(tmp_path)), tmp_path / "draft.json"
    shutil.copy(RECORDED / "drafts" / f"{name}.json", path)
    text = path.read_text("utf-8")
    table = state.draft()
    assert table is not None
    draft = Draft.from_table(table)
    expected, question = DRAFTS[name]
    assert draft == expected
    known = KNOWN if draft.backend else replace(KNOWN, backends=())
    following = next_question(draft, known)
    assert (following.key if following else "") == question
    state.save_draft(draft.to_table())
    assert path.read_text("utf-8") == text


@pytest.mark.parametrize("name", DRAFTS)
def test_a_draft_may_lack_what_was_not_asked_and_hold_what_is_not_known(tmp_path: Path, name: str) -> None:
    table = json.loads((RECORDED / "drafts" / f"{name}.json").read_text("utf-8"))
    expected = DRAFTS[name][0]
    assert Draft.from_table({**table, "not-invented-yet": True}) == expected
    fields = {"domain": "domain", "email": "email", "certificate": "issuer", "backend": "backend"}
    if table.get("webhooks"):  # they are asked for last, so the domain is always there with them
        del fields["domain"]
    for key in fields.keys() & table.keys():
        less = {name: value for name, value in table.items() if name != key}
        assert Draft.from_table(less) == replace(expected, **{fields[key]: None})
