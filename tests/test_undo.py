"""What the last run changed, put back: what is edited stays, an undoing that was stopped is gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes_setup.answers import Answers, Domain, Issuer, User
from hermes_setup.changes import Place, Run, Stamp
from hermes_setup.engine import NoJournal, run
from hermes_setup.errors import HermesSetupError
from hermes_setup.host import ABSENT, File, Folder, Link
from hermes_setup.stages.undo import DONE, Undo
from hermes_setup.state import State
from machines import Machine

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
    assert [change.argv for change in plan if isinstance(change, Run)] == [
        ("nginx", "-t", "-q"),
        ("nginx", "-s", "reload"),
        ("ufw", "delete", "allow", "80/tcp"),
    ]
    machine = after_the_run()
    for change in plan:
        if not isinstance(change, Run):
            change.apply(machine)
    assert (machine.look(USERS), machine.look(SITE), machine.look(LINK)) == (OLD, ABSENT, ABSENT)
    assert machine.look(DONE) == File(b"one", 0o600)
    assert stage.plan(ANSWERS, stage.inspect(ANSWERS, machine)) == ()


@pytest.mark.parametrize("path", [USERS, SITE])
def test_what_somebody_edited_since_stays_and_is_named(path: str) -> None:
    machine = after_the_run()
    machine.put(path, File(b"mine"))
    stage = Undo("one", PAIRS)
    facts = stage.inspect(ANSWERS, machine)
    assert path not in [change.path for change in stage.plan(ANSWERS, facts) if isinstance(change, Place)]
    (edited,) = [each for each in stage.check(ANSWERS, facts) if each.code == "undo.edited"]
    assert path in edited.what


def test_who_gets_in_again_is_told_before() -> None:
    users = File(b"alice:$6$x$new\ncarol:$6$x$c\n")
    before = File(b"alice:$6$x$old\nbob:$6$x$b\ncarol:$6$x$c\n")
    machine = Machine()
    machine.put(USERS, users)
    stage = Undo("one", [(Place(USERS, users, "w"), Place(USERS, before, "u"))])
    told = [each.what for each in stage.check(ANSWERS, stage.inspect(ANSWERS, machine)) if each.code == "undo.users"]
    assert [what.split()[0] for what in told] == ["bob", "The"]
    assert "alice" in told[1]
    assert "carol" not in " ".join(told)


def test_a_run_that_is_undone_already_has_nothing_to_undo() -> None:
    machine = Machine()
    machine.put(USERS, OLD)
    stage = Undo("one", [PAIRS[1]])
    assert list(run((stage,), ANSWERS, machine, NoJournal()))
    assert machine.look(USERS) == OLD


def test_the_last_run_is_the_one_to_undo_and_a_stopped_undoing_is_gone_on_with(tmp_path: Path) -> None:
    state = State(str(tmp_path))
    assert state.last_run() is None
    first = state.begin()
    first.remember("s", *PAIRS[1])
    assert state.last_run().name == first.name  # type: ignore[union-attr]
    assert first.before() is None, "nothing was set up before it"
    second = state.begin(ANSWERS)
    second.remember("s", *PAIRS[1])
    assert second.before() == ANSWERS
    undoing = state.begin(ANSWERS, undoes=second.name)
    undoing.remember("undo", *PAIRS[1])
    assert state.last_run("").name == second.name, "it was stopped"  # type: ignore[union-attr]
    assert state.last_run(second.name).name == undoing.name, "undone: once more does it again"  # type: ignore[union-attr]


def test_a_run_of_an_older_version_is_not_guessed_at(tmp_path: Path) -> None:
    state = State(str(tmp_path))
    state.begin().remember("s", *PAIRS[1])
    last = state.last_run()
    assert last
    Path(last.folder, "run.json").unlink()
    with pytest.raises(HermesSetupError, match="older hermes-setup"):
        last.before()
