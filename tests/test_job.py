"""One job, from the look to the last word: how it ends, what it leaves, and where a check that blocks leads."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.backend import Backend
from hermes_setup.answers.domain import Domain
from hermes_setup.answers.issuer import Issuer
from hermes_setup.answers.user import User
from hermes_setup.commands.users import say_open_connections
from hermes_setup.engine.changes import Change, Place
from hermes_setup.engine.findings import Finding, block
from hermes_setup.engine.loop import StageFailed
from hermes_setup.engine.stage import Step
from hermes_setup.errors import WrongInput
from hermes_setup.host import ABSENT, Host, Listener, Node, Request, Response
from hermes_setup.job import Job, carry_out
from hermes_setup.log import Log
from hermes_setup.questions.prompt import BACK, Back, Prompt
from hermes_setup.session import Outcome, Session
from hermes_setup.stages.hermes.upstream import Upstream
from hermes_setup.state import upstream
from hermes_setup.state.store import State
from hermes_setup.ui.screen import Screen
from hermes_setup.wizard.blocked import until_not_blocked
from machines import Machine, text
from test_hermes import says
from test_questions import Script

ANSWERS = Answers(Domain.parse("hermes.example.com"), Issuer.parse("self-signed"), (User("alice", "$6$x"),))
PATH = "/etc/motd"


class Greeting:
    """Places a file; blocks while `in_the_way` says so."""

    def __init__(self, in_the_way: list[Finding] | None = None) -> None:
        self.in_the_way = in_the_way if in_the_way is not None else []

    def inspect(self, answers: Answers, host: Host) -> Node:
        return host.look(PATH)

    def check(self, answers: Answers, facts: Node) -> Sequence[Finding]:
        return [self.in_the_way.pop(0)] if self.in_the_way else []

    def plan(self, answers: Answers, facts: Node) -> Sequence[Change]:
        return () if facts != ABSENT else (Place(PATH, text("hello"), "greet"),)


class Fake(Session):
    """A session on a machine in memory, with a screen that is kept and an asker that reads a list."""

    def __init__(self, folder: Path, *replies: str | Back, interactive: bool = True) -> None:
        super().__init__(("apply",))
        self.paper = io.StringIO()
        self.machine = Machine()
        self.script = Script(*replies)
        self.log = Log(str(folder / "log"))
        self.__dict__.update(
            state=State(str(folder / "state")),
            host=self.machine,
            screen=Screen(self.paper),
            asker=self.script,
            interactive=interactive,
        )

    def fresh_screen(self) -> Screen:
        return Screen(self.paper)

    @property
    def said(self) -> str:
        return " ".join(self.paper.getvalue().split())


def job(stage: Greeting | None = None, *, asked: bool = False, whole: bool = False, **made_up: str) -> Job:
    return Job(ANSWERS, (Step("greeting", "Greeting", stage or Greeting()),), made_up, asked=asked, whole_setup=whole)


def test_a_yes_is_done_and_noted(tmp_path: Path) -> None:
    session = Fake(tmp_path, "y")
    assert carry_out(job(), session) is Outcome.DONE
    assert session.machine.look(PATH) == text("hello")
    assert session.state.answers() == ANSWERS.settled()
    assert (session.finished, session.under_way, session.state.first_setup_unfinished()) == (True, None, False)
    assert "greeting: greet" in (tmp_path / "log").read_text()


def test_what_holds_already_is_nothing_to_do(tmp_path: Path) -> None:
    session = Fake(tmp_path)
    session.machine.put(PATH, text("hello"))
    assert carry_out(job(), session) is Outcome.NOTHING_TO_DO
    assert session.script.asked == []
    assert session.state.answers() == ANSWERS.settled()


def test_a_no_is_no_success_and_changes_nothing(tmp_path: Path) -> None:
    session = Fake(tmp_path, "n")
    assert carry_out(job(asked=True, whole=True, alice="made-up"), session) is Outcome.DECLINED
    assert (session.machine.files(), session.finished, session.state.answers()) == ({}, False, None)
    assert "Nothing was changed." in session.said
    assert "Done." not in session.said
    assert "made-up" in session.said, "the answers are kept, so it is going to be good"


@pytest.mark.parametrize(("options", "outcome"), [({"dry": True}, Outcome.SHOWN), ({"check": True}, Outcome.FOUND)])
def test_a_look_writes_nothing_at_all(tmp_path: Path, options: dict[str, bool], outcome: Outcome) -> None:
    session = Fake(tmp_path)
    session.choose(**options)
    assert carry_out(job(), session) is outcome
    assert session.machine.files() == {}
    assert list(tmp_path.iterdir()) == []
    session.machine.put(PATH, text("hello"))
    assert carry_out(job(), session) is Outcome.SHOWN, "and nothing is found where nothing would be changed"


class Shared(Machine):
    """Each listener answers as Hermes does."""

    listening: tuple[Listener, ...] = (Listener("127.0.0.1", 9200, 5, "hermes", owner="debian"),)

    def listeners(self) -> tuple[Listener, ...]:
        return self.listening

    def fetch(self, request: Request) -> Response:
        return says() if request.port in {each.port for each in self.listening} else Response(0, error="refused")


@pytest.mark.parametrize("asked", [True, False])
def test_a_dashboard_that_comes_between_the_plan_and_the_yes_gets_nobody(tmp_path: Path, asked: bool) -> None:
    machine = Shared()

    class Mallory(Script):
        def ask(self, question: Prompt, error: str = "") -> str | Back:
            machine.listening = (Listener("127.0.0.1", 9119, 6, "hermes", owner="mallory"),)
            return super().ask(question, error)

    session = Fake(tmp_path)
    session.__dict__.update(host=machine, asker=Mallory("y"))
    steps = (Step("upstream", "Upstream", Upstream()),)
    assert carry_out(Job(ANSWERS, steps, asked=asked, whole_setup=False), session) is Outcome.DONE
    assert "pass visitors to 127.0.0.1:9200 (hermes of debian, process 5)" in session.said
    assert upstream.parse(machine.look(upstream.PATH)) == upstream.UpstreamNote(Backend("127.0.0.1", 9200), "debian")
    stored = session.state.answers()
    assert stored
    assert stored.backend is None, "nobody was asked for it: the note has it"


def test_what_fails_leaves_what_was_agreed_to_and_is_unfinished(tmp_path: Path) -> None:
    class Lost(Greeting):
        def inspect(self, answers: Answers, host: Host) -> Node:
            return ABSENT

    session = Fake(tmp_path, "y")
    with pytest.raises(StageFailed):
        carry_out(job(Lost()), session)
    assert session.state.answers() == ANSWERS
    assert (session.finished, session.state.first_setup_unfinished()) == (False, True)
    assert session.under_way
    assert (session.under_way.steps, session.under_way.done) == (["Greeting"], [])


def test_where_nobody_can_be_asked_the_flag_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="not a terminal") as refused:
        carry_out(job(), Fake(tmp_path, interactive=False))
    assert "--yes" in refused.value.hint
    session = Fake(tmp_path, interactive=False)
    session.choose(yes=True)
    assert carry_out(job(), session) is Outcome.DONE


def test_back_from_go_ahead_leads_to_the_questions_where_there_were_any(tmp_path: Path) -> None:
    assert carry_out(job(asked=True), Fake(tmp_path, BACK)) is Outcome.BACK
    session = Fake(tmp_path, BACK, "n")
    assert carry_out(job(), session) is Outcome.DECLINED
    assert "no question before this one" in session.script.told[0]


def blocks(count: int) -> Greeting:
    return Greeting([block("x.y", f"It is in the way ({number}).", "why", "do") for number in range(count)])


@pytest.mark.parametrize(
    ("reply", "outcome"), [("back", Outcome.BACK), ("quit", Outcome.BLOCKED), (BACK, Outcome.BLOCKED)]
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_check_that_blocks_is_shown_and_asks_what_now(
    tmp_path: Path, reply: str | Back, outcome: Outcome, whole: bool
) -> None:
    session = Fake(tmp_path, reply)
    assert until_not_blocked(job(blocks(1), asked=True, whole=whole), session) is outcome
    assert session.script.keys == ["blocked"]
    assert "It is in the way (0)." in session.said
    assert session.machine.files() == {}


def test_once_it_is_fixed_it_goes_on(tmp_path: Path) -> None:
    session = Fake(tmp_path, "again", "again", "y")
    assert until_not_blocked(job(blocks(2), asked=True), session) is Outcome.DONE
    assert session.script.keys == ["blocked", "blocked", "go"]


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome.DONE, True),
        (Outcome.NOTHING_TO_DO, True),  # they are open still, as they were after the run that did it
        (Outcome.DECLINED, False),
        (Outcome.SHOWN, False),
    ],
)
def test_connections_that_stay_open_are_told_of_once_the_change_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], outcome: Outcome, told: bool
) -> None:
    session = Fake(tmp_path)
    session.machine.put("/run/nginx.pid", text("10\n"))
    for pid, parent, title in (
        ("10", "1", "nginx: master process"),
        ("11", "10", "nginx: worker process is shutting down"),
    ):
        session.machine.put(f"/proc/{pid}/cmdline", text(title))
        session.machine.put(f"/proc/{pid}/stat", text(f"{pid} (nginx) S {parent} {' 0' * 30}"))
    say_open_connections(outcome, session)
    said = " ".join(capsys.readouterr().err.split())
    assert ("To end them all now: sudo hermes-setup users end-connections." in said) is told
