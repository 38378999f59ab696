"""The engine: one loop, resumable after anything, and it puts back what it could not finish."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.engine.changes import Change, Place, Probe, Run, Stamp
from hermes_setup.engine.failed_step import NoJournal, put_back
from hermes_setup.engine.findings import Finding, block, note
from hermes_setup.engine.loop import Blocked, StageFailed, preflight, run
from hermes_setup.errors import CommandFailed
from hermes_setup.host import ABSENT, File, Folder, Host, Link, Node, System
from hermes_setup.state.journal import Journal
from hermes_setup.system.overlay import Nothing, Overlay
from machines import Machine, PowerCut, Unsteady, steps, text

ANSWERS = Answers(Domain.parse("hermes.example.com"), Issuer.parse("self-signed"), (User("alice"),))
SITE, ENABLED, STAMP, LOADED, CERT = "/etc/site", "/etc/enabled", "/var/stamp", "/run/loaded", "/etc/cert"


@dataclass(frozen=True)
class Files:
    """A stage that wants some files."""

    want: tuple[tuple[str, Node], ...]
    name: str = "files"
    title: str = "Files"
    findings: tuple[Finding, ...] = ()

    def inspect(self, answers: Answers, host: Host) -> dict[str, Node]:
        return {path: host.look(path) for path, _ in self.want}

    def check(self, answers: Answers, facts: dict[str, Node]) -> Sequence[Finding]:
        return self.findings

    def plan(self, answers: Answers, facts: dict[str, Node]) -> Sequence[Change]:
        return [Place(path, node, f"write {path}") for path, node in self.want if facts[path] != node]


@dataclass(frozen=True)
class Certificate:
    """A stage with a command whose effect can be seen."""

    name: str = "certificate"
    title: str = "Certificate"

    def inspect(self, answers: Answers, host: Host) -> bool:
        return host.given("cert") or host.look(CERT) != ABSENT

    def check(self, answers: Answers, facts: bool) -> Sequence[Finding]:
        return ()

    def plan(self, answers: Answers, facts: bool) -> Sequence[Change]:
        return () if facts else (Run(("certbot",), "fetch a certificate", gives="cert"),)


@dataclass(frozen=True)
class Loaded:
    """A stage with an effect that nobody can see: clear the stamp, act, stamp."""

    name: str = "loaded"
    title: str = "Loaded"

    def inspect(self, answers: Answers, host: Host) -> tuple[Node, Node]:
        return host.look(SITE), host.look(STAMP)

    def check(self, answers: Answers, facts: tuple[Node, Node]) -> Sequence[Finding]:
        return ()

    def plan(self, answers: Answers, facts: tuple[Node, Node]) -> Sequence[Change]:
        site, stamp = facts
        if site == stamp or not isinstance(site, File):
            return ()
        return (
            Stamp(STAMP, ABSENT, "loaded"),
            Run(("reload",), "load the site", undo_argv=("reload",)),
            Stamp(STAMP, site, "loaded"),
        )


@dataclass(frozen=True)
class Site:
    name: str
    title: str = "Site"

    def inspect(self, answers: Answers, host: Host) -> dict[str, Node]:
        return {path: host.look(path) for path in (SITE, ENABLED, CERT)}

    def check(self, answers: Answers, facts: dict[str, Node]) -> Sequence[Finding]:
        return ()

    def plan(self, answers: Answers, facts: dict[str, Node]) -> Sequence[Change]:
        want: dict[str, Node] = {SITE: text("plain" if facts[CERT] == ABSENT else "tls"), ENABLED: Link("site")}
        return [Place(path, node, f"write {path}") for path, node in want.items() if facts[path] != node]


WHOLE = (Site("site-http"), Loaded(), Certificate(), Site("site-https"), Loaded("loaded-again"))


def reload(machine: Machine, argv: Sequence[str]) -> None:
    Overlay.put(machine, LOADED, machine.look(SITE))


PROGRAMS = {"certbot": lambda m, a: Overlay.put(m, CERT, text("cert")), "reload": reload}


def finish(machine: Machine, journal: Journal | NoJournal | None = None) -> list[object]:
    return list(run(steps(*WHOLE), ANSWERS, machine, journal or NoJournal()))


def test_an_empty_plan_means_done() -> None:
    machine = Machine(PROGRAMS)
    finish(machine)
    ran = list(machine.ran)
    finish(machine)
    assert machine.ran == ran
    assert machine.look(LOADED) == machine.look(SITE) == text("tls")


def test_a_dry_run_reaches_its_end_and_changes_nothing() -> None:
    machine = Machine(PROGRAMS)
    finish(machine)
    machine.put(SITE, text("by hand"))
    before, ran = machine.files(), list(machine.ran)
    over = Overlay(machine)
    assert list(run(steps(*WHOLE), ANSWERS, over, NoJournal()))
    assert machine.files() == before
    assert machine.ran == ran
    assert over.look(SITE) == text("tls")


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 14), st.booleans()), max_size=4))
def test_after_any_power_cuts_one_more_run_reaches_the_same_machine(cuts: list[tuple[int, bool]]) -> None:
    whole = Machine(PROGRAMS)
    finish(whole)
    machine = Unsteady(PROGRAMS)
    with tempfile.TemporaryDirectory() as folder:
        for number, (cut, after) in enumerate(cuts):
            machine.plug_in(cut, after=after)
            try:
                finish(machine, Journal(f"{folder}/{number}"))
            except PowerCut:
                pass
        machine.plug_in(-1, after=False)
        finish(machine)
    assert machine.files() == whole.files()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 14), st.booleans())
def test_after_a_power_cut_going_back_restores_every_file_and_what_is_loaded(cut: int, after: bool) -> None:
    machine = Unsteady(PROGRAMS)
    Overlay.put(machine, SITE, text("by hand"))
    Overlay.put(machine, LOADED, text("by hand"))
    before = {path: node for path, node in machine.files().items() if not isinstance(node, Folder)}
    with tempfile.TemporaryDirectory() as folder:
        machine.plug_in(cut, after=after)
        try:
            finish(machine, Journal(f"{folder}/run"))
        except PowerCut:
            pass
        machine.plug_in(-1, after=False)
        assert put_back(Journal(f"{folder}/run").changes(), machine) == []
    now = {path: node for path, node in machine.files().items() if path != CERT and not isinstance(node, Folder)}
    assert now == before  # all but the certificate, which is not given back, and folders for what is gone


def test_a_stage_that_fails_puts_its_own_files_back_and_says_why() -> None:
    def refuse(machine: Machine, argv: Sequence[str]) -> None:
        raise CommandFailed("certbot failed.", hint="try later")

    machine = Machine({**PROGRAMS, "certbot": refuse})
    stages = (Files(((SITE, text("new")),), "first"), BothAtOnce())
    with tempfile.TemporaryDirectory() as folder, pytest.raises(StageFailed) as failed:
        list(run(steps(*stages), ANSWERS, machine, Journal(f"{folder}/run")))
    assert (failed.value.stage, failed.value.hint, failed.value.exit_code) == ("both", "try later", 1)
    assert machine.look(SITE) == text("new")
    assert machine.look("/etc/other") == ABSENT


@dataclass(frozen=True)
class BothAtOnce:
    name: str = "both"
    title: str = "Both"

    def inspect(self, answers: Answers, host: Host) -> None:
        return None

    def check(self, answers: Answers, facts: None) -> Sequence[Finding]:
        return ()

    def plan(self, answers: Answers, facts: None) -> Sequence[Change]:
        return (Place("/etc/other", text("x"), "write"), Run(("certbot",), "fetch"))


def test_what_does_not_hold_afterwards_is_a_failure_and_is_put_back() -> None:
    class Stubborn(Machine):
        def put(self, path: str, node: Node) -> None:
            super().put(path, text("something else") if node == text("new") else node)

    with tempfile.TemporaryDirectory() as folder, pytest.raises(StageFailed, match="did not last"):
        list(run(steps(Files(((SITE, text("new")),))), ANSWERS, Stubborn(), Journal(f"{folder}/run")))


def test_a_check_that_blocks_stops_everything_before_the_first_change() -> None:
    machine = Machine()
    blocked = Files((), "late", findings=(note("a.b", "w", "y", "d"), block("x.y", "what", "why", "do")))
    with pytest.raises(Blocked) as stop:
        list(run(steps(Files(((SITE, text("new")),)), blocked), ANSWERS, machine, NoJournal()))
    assert [finding.code for finding in stop.value.findings] == ["a.b", "x.y"]
    assert stop.value.exit_code == 3
    assert machine.files() == {}


def test_a_probe_that_blocks_stops_before_what_comes_after_it() -> None:
    @dataclass(frozen=True)
    class Outside(Files):
        def plan(self, answers: Answers, facts: dict[str, Node]) -> Sequence[Change]:
            return (Probe(look, "look from outside"), Place(SITE, text("x"), "write"))

    def look(system: System) -> Sequence[Finding]:
        return (block("outside.refused", "what", "why", "do"),)

    machine = Machine()
    with pytest.raises(Blocked):
        list(run(steps(Outside(())), ANSWERS, machine, NoJournal()))
    assert machine.files() == {}


def test_a_path_that_someone_edited_since_is_left_alone_when_going_back() -> None:
    machine = Machine()
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(f"{folder}/run")
        list(run(steps(Files(((SITE, text("ours")),))), ANSWERS, machine, journal))
        machine.put(SITE, text("theirs"))
        (left,) = put_back(journal.changes(), machine)
    assert SITE in left
    assert machine.look(SITE) == text("theirs")


def test_a_path_placed_twice_goes_back_to_what_was_there_first() -> None:
    machine = Machine()
    machine.put(SITE, text("first"))
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(f"{folder}/run")
        stages = (Files(((SITE, text("second")),), "a"), Files(((SITE, text("third")),), "b"))
        list(run(steps(*stages), ANSWERS, machine, journal))
        assert put_back(journal.changes(), machine) == []
    assert machine.look(SITE) == text("first")


def test_a_torn_last_line_of_the_journal_is_left_out() -> None:
    machine = Machine()
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(f"{folder}/run")
        list(
            run(
                steps(Files(((SITE, text("x")), (ENABLED, Link("site"))))),
                ANSWERS,
                machine,
                journal,
            )
        )
        with open(f"{folder}/run/journal.jsonl", "r+b") as file:
            file.truncate(len(file.read()) - 5)
        assert [change.path for change, _ in Journal(f"{folder}/run").changes() if isinstance(change, Place)] == [SITE]


def test_checks_are_taken_side_by_side() -> None:
    import threading

    together = threading.Barrier(3, timeout=5)

    @dataclass(frozen=True)
    class Waits(Files):
        def inspect(self, answers: Answers, host: Host) -> dict[str, Node]:
            together.wait()
            return {}

    stages = [Waits((Place(f"/{name}", text(name), "w"),), name) for name in "abc"]
    preflight(steps(*stages), ANSWERS, Overlay(Nothing()))


def test_a_stage_that_stands_in_two_steps_looks_once() -> None:
    looked: list[str] = []

    @dataclass(frozen=True)
    class Looks(Files):
        def inspect(self, answers: Answers, host: Host) -> dict[str, Node]:
            looked.append(self.name)
            return {"/seen": ABSENT}

    other = (Place("/b", text("b"), "w"),)
    twice = Looks((), "one")
    known = preflight(steps(twice, Looks(other, "other"), twice), ANSWERS, Overlay(Nothing()))
    assert sorted(looked) == ["one", "other"]
    assert known.facts[0] is known.facts[2]


def test_what_was_read_is_read_once_until_something_is_changed() -> None:
    read: list[str] = []

    class Below(Nothing):
        def look(self, path: str) -> Node:
            read.append(path)
            return super().look(path)

    @dataclass(frozen=True)
    class Reads(Files):
        def inspect(self, answers: Answers, host: Host) -> dict[str, Node]:
            host.look("/shared")
            return super().inspect(answers, host)

    wanted: dict[str, tuple[str, ...]] = {"a": ("/a",), "b": (), "c": (), "d": ("/d",)}
    stages = [Reads(tuple((path, text("x")) for path in paths), name) for name, paths in wanted.items()]
    machine = Overlay(Below())
    list(run(steps(*stages), ANSWERS, machine, NoJournal(), None))
    # before anything; once after a's change for b, c and d
    assert read.count("/shared") == 2
