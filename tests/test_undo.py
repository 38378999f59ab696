"""The last run is undone: what was edited since stays, an undo that was stopped is continued."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.engine.changes import Place, Run, Stamp
from hermes_setup.engine.failed_step import NoJournal
from hermes_setup.engine.loop import run
from hermes_setup.errors import HermesSetupError
from hermes_setup.host import ABSENT, File, Folder, Link
from hermes_setup.nginx import tree
from hermes_setup.nginx.render import Renderer
from hermes_setup.stages.undo import Undo
from hermes_setup.stages.users import cookies
from hermes_setup.stages.users.cookies import GATE_FILE, Cookie, make_token
from hermes_setup.state import stamps
from hermes_setup.state.journal import Journal
from hermes_setup.state.runs import PastRun
from hermes_setup.state.store import State
from hermes_setup.values import replace
from machines import Machine, steps

ANSWERS = Answers(Domain.parse("hermes.example.com"), Issuer.parse("self-signed"), (User("alice"),))
SITE, LINK, USERS = (
    "/etc/nginx/sites-available/hermes",
    "/etc/nginx/sites-enabled/zz-hermes",
    "/etc/nginx/.htpasswd-hermes",
)
OLD, MIDDLE, NEW = File(b"old"), File(b"middle"), File(b"new")
RELOAD = Run(("nginx", "-s", "reload"), "load", undo_argv=("nginx", "-s", "reload"))
UFW = Run(("ufw", "allow", "80/tcp"), "open", undo_argv=("ufw", "delete", "allow", "80/tcp"))
PAIRS = [
    (UFW, Run(UFW.undo_argv, "take back")),
    (Place(USERS, NEW, "w"), Place(USERS, OLD, "u")),
    (Place("/var/www/x", Folder(), "w"), Place("/var/www/x", ABSENT, "u")),
    (Place(SITE, MIDDLE, "w"), Place(SITE, ABSENT, "u")),
    (Place(LINK, Link(SITE), "w"), Place(LINK, ABSENT, "u")),
    (RELOAD, Run(RELOAD.undo_argv, "take back")),
    (Place(SITE, NEW, "w"), Place(SITE, MIDDLE, "u")),
    (RELOAD, Run(RELOAD.undo_argv, "take back")),
    (Stamp("/var/lib/hermes-setup/stamps/x", File(b"1"), "w"), Stamp("/var/lib/hermes-setup/stamps/x", ABSENT, "u")),
]


def after_the_run() -> Machine:
    machine = Machine()
    for path, node in {USERS: NEW, SITE: NEW, LINK: Link(SITE), "/var/www/x": Folder()}.items():
        machine.put(path, node)
    return machine


def test_everything_is_as_it_was_the_link_first_and_the_newest_command_before_the_oldest() -> None:
    machine = after_the_run()
    stage = Undo("one", PAIRS)
    plan = stage.plan(ANSWERS, stage.inspect(ANSWERS, machine))
    assert [change.path for change in plan if isinstance(change, Place)] == [LINK, SITE, USERS]
    assert [change.argv for change in plan if isinstance(change, Run)] == [("ufw", "delete", "allow", "80/tcp")]
    machine = after_the_run()
    for change in plan:
        if not isinstance(change, Run):
            change.apply(machine)
    assert (machine.look(USERS), machine.look(SITE), machine.look(LINK)) == (OLD, ABSENT, ABSENT)
    assert machine.look(stamps.UNDONE) == File(b"one", 0o600)
    assert stage.plan(ANSWERS, stage.inspect(ANSWERS, machine)) == ()


@pytest.mark.parametrize("path", [USERS, SITE])
def test_what_was_edited_since_stays_and_is_named(path: str) -> None:
    machine = after_the_run()
    machine.put(path, File(b"mine"))
    stage = Undo("one", PAIRS)
    facts = stage.inspect(ANSWERS, machine)
    assert path not in [change.path for change in stage.plan(ANSWERS, facts) if isinstance(change, Place)]
    (edited,) = [each for each in stage.check(ANSWERS, facts) if each.code == "undo.edited"]
    assert path in edited.what


def test_who_can_sign_in_again_is_said_before() -> None:
    users = File(b"alice:$6$x$new\ncarol:$6$x$c\n")
    before = File(b"alice:$6$x$old\nbob:$6$x$b\ncarol:$6$x$c\n")
    machine = Machine()
    machine.put(USERS, users)
    stage = Undo("one", [(Place(USERS, users, "w"), Place(USERS, before, "u"))])
    whats = [each.what for each in stage.check(ANSWERS, stage.inspect(ANSWERS, machine)) if each.code == "undo.users"]
    assert [what.split()[0] for what in whats] == ["bob", "The"]
    assert "alice" in whats[1]
    assert "carol" not in " ".join(whats)


def test_who_was_signed_out_stays_signed_out_whatever_is_put_back() -> None:
    def gate(**values: str) -> File:
        own = Cookie("", "0" * 32, "-")
        people = [Cookie(name, value, "f" * 16) for name, value in values.items()]
        return File(cookies.render([own, *people], Renderer()).encode(), 0o600, secret=True)

    alice, stolen, now = make_token(), make_token(), make_token()
    machine, pairs = (
        Machine(),
        [
            (
                Place(GATE_FILE, after := gate(alice=alice, bob=now), "w"),
                Place(GATE_FILE, gate(alice=alice, bob=stolen), "u"),
            )
        ],
    )
    machine.put(GATE_FILE, after)
    stage = Undo("one", pairs)
    plan = stage.plan(ANSWERS, stage.inspect(ANSWERS, machine))
    (place,) = [change for change in plan if isinstance(change, Place)]
    assert "bob" in place.why
    assert "alice" not in place.why
    assert isinstance(place.node, File)
    text = place.node.content.decode()
    values = {cookie.name: cookie.value for cookie in cookies.parse(text)}
    assert values["alice"] == alice
    assert values["bob"] not in (stolen, now)
    assert not re.search(f"{stolen}|{stolen[:14]}|{stolen[14:]}", text)
    assert text == gate(alice=alice, bob=values["bob"]).content.decode(), (
        "whole: what nginx looks up, and what it hands out"
    )


def test_a_run_that_is_undone_already_has_nothing_to_undo() -> None:
    machine = Machine()
    machine.put(USERS, OLD)
    stage = Undo("one", [PAIRS[1]])
    assert list(run(steps(stage), ANSWERS, machine, NoJournal()))
    assert machine.look(USERS) == OLD


def begun(state: State, before: Answers | None = None, *, undoes: str = "", ends: bool = True) -> Journal:
    """A run that changed something."""
    state.mark_unfinished(before)
    journal = state.start_run(undoes=undoes)
    journal.record("s", *PAIRS[1])
    if ends:
        state.mark_finished(before)
    return journal


def names(runs: Iterable[PastRun]) -> list[str]:
    return [each.journal.name + (" half undone" if each.half_undone else "") for each in runs]


def test_the_last_run_is_the_one_to_undo_and_a_stopped_undoing_is_gone_on_with(tmp_path: Path) -> None:
    state = State(str(tmp_path))
    assert names(state.past_runs()) == []
    first = begun(state)
    assert names(state.past_runs()) == [first.name]
    assert first.answers_before() is None, "nothing was set up before it"
    second = begun(state, ANSWERS)
    assert second.answers_before() == ANSWERS
    undoing = begun(state, ANSWERS, undoes=second.name, ends=False)
    assert names(state.past_runs()) == [f"{second.name} half undone", first.name]
    assert names(state.past_runs(second.name)) == [undoing.name, second.name, first.name], (
        "undone: once more does it again"
    )


def test_a_run_that_was_stopped_or_failed_belongs_to_the_one_that_went_on_with_it(tmp_path: Path) -> None:
    state = State(str(tmp_path))
    other = replace(ANSWERS, domain=Domain.parse("other.example.com"))
    assert not state.first_setup_unfinished()
    first = begun(state)
    stopped = begun(state, ANSWERS, ends=False)
    failed = begun(state, other, ends=False)
    last = begun(state, other)
    assert last.info.continues == (stopped.name, failed.name)
    assert last.answers_before() == ANSWERS, "what held when the first of them began"
    assert len(last.all_changes()) == 3
    assert names(state.past_runs()) == [last.name, first.name]
    state.mark_unfinished(None)
    assert state.first_setup_unfinished()
    state.mark_finished(ANSWERS)
    assert not state.first_setup_unfinished()


def test_a_run_of_which_nothing_is_left_is_skipped(tmp_path: Path) -> None:
    machine = after_the_run()
    stage = Undo("one", PAIRS)
    assert stage.in_effect(machine)
    failed = Undo("two", [(Place(SITE, OLD, "w"), Place(SITE, NEW, "u")), PAIRS[5]])
    assert not failed.in_effect(machine), "its file was put back, and loaded"
    edited = Undo("two", [(Place(SITE, OLD, "w"), Place(SITE, MIDDLE, "u"))])
    assert edited.in_effect(machine), "it was edited: that is a finding, and the run is not skipped"


def test_what_nginx_has_loaded_is_forgotten_before_anything_is_put_back() -> None:
    machine = after_the_run()
    stage = Undo("one", [PAIRS[1]])  # stopped before its reload: no stamp, no command
    plan = stage.plan(ANSWERS, stage.inspect(ANSWERS, machine))
    assert plan[0] == Stamp(stamps.NGINX, ABSENT, "forget what was seen then")


def test_who_stays_where_the_users_file_was_edited_is_said() -> None:
    machine = Machine()
    machine.put(USERS, File(b"alice:$6$x$a\nbob:$6$x$b\nfrank:$6$x$f\n"))
    before, after = File(b"alice:$6$x$a\n"), File(b"alice:$6$x$a\nbob:$6$x$b\n")
    stage = Undo("one", [(Place(USERS, after, "w"), Place(USERS, before, "u"))])
    (finding,) = [each for each in stage.check(ANSWERS, stage.inspect(ANSWERS, machine)) if each.code == "undo.users"]
    assert finding.what == "bob can still sign in."
    assert "users remove bob" in finding.do


def test_a_site_whose_certificate_is_gone_is_not_put_back() -> None:
    machine = after_the_run()
    ours = File(f"{tree.HEADER}\n    ssl_certificate /etc/letsencrypt/live/old/fullchain.pem;\n".encode())
    stage = Undo("one", [(Place(SITE, NEW, "w"), Place(SITE, ours, "u"))])
    codes = [each.code for each in stage.check(ANSWERS, stage.inspect(ANSWERS, machine))]
    assert "undo.certificate" in codes
    machine.put("/etc/letsencrypt/live/old/fullchain.pem", File(b"x"))
    codes = [each.code for each in stage.check(ANSWERS, stage.inspect(ANSWERS, machine))]
    assert "undo.certificate" not in codes


def test_a_run_of_an_older_version_is_not_guessed_at(tmp_path: Path) -> None:
    state = State(str(tmp_path))
    last = begun(state)
    Path(last.folder, "run.json").unlink()
    with pytest.raises(HermesSetupError, match="older hermes-setup"):
        last.answers_before()
