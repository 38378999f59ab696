"""The questions in their order, and the loops over them: asking, going back, recalling, the review.

    walk(draft, known, asker, keep)    asks until nothing is open
    review(answers, found)             the answers once more, a row each

A Draft holds the answers so far, and is kept after each of them. An answer that is there is not asked again; going
back means to stand in an earlier Draft.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.user import User
from hermes_setup.questions.certificate import Authority, Email, OtherAuthority
from hermes_setup.questions.domain import DomainName, Redirect, tell_ascii
from hermes_setup.questions.draft import Draft, Known
from hermes_setup.questions.hermes import AsService, WhichHermes
from hermes_setup.questions.prompt import Asker, Back
from hermes_setup.questions.question import Question
from hermes_setup.questions.users import MoreUsers, OwnPassword, PasswordSource, UserName
from hermes_setup.questions.webhooks import LetWebhooksIn, WebhooksHost
from hermes_setup.values import replace

ALL: tuple[Question, ...] = (
    DomainName(),
    Redirect(),
    Authority(),
    OtherAuthority(),
    Email(),
    UserName(),
    PasswordSource(),
    OwnPassword(),
    MoreUsers(),
    WhichHermes(),
    AsService(),
    LetWebhooksIn(),
    WebhooksHost(),
)
"""Read downwards."""

Spot = tuple[str, int]
"""Where in the conversation: the second user's name is another spot than the first one's."""


def next_question(draft: Draft, known: Known, questions: Sequence[Question] = ALL) -> Question | None:
    """The first question that is open; None when nothing is."""
    return next((each for each in questions if each.is_open(draft, known)), None)


def walk(  # noqa: PLR0913 - three of them are named at each call
    draft: Draft,
    known: Known,
    asker: Asker,
    keep: Callable[[Draft], None],
    *,
    back: bool = False,
    shown_again: Mapping[str, str] | None = None,
    look: Callable[[Known], Known] | None = None,
) -> tuple[Draft, dict[str, str]]:
    """Nothing is open in the draft any more; `keep` was called after every answer.

    What is in the draft already is told, a line each, and not asked; one can go back to it. The second value holds the
    made-up passwords that the user asked to see once more at the end; all others have been shown and are known here no
    longer. `look` adds to what is known; it is called once the first question is answered, which need not wait for it.
    After Back at "Go ahead?", call it again with `back`, which starts at the last question, and with `shown_again`,
    what it gave before.
    """
    known = replace(known, given=(*known.given, *draft.users))
    if look and draft.domain is not None:
        known, look = look(known), None
    talk = _Talk(draft, known, asker, shown_again or {})
    if not back:
        for each in ALL:
            if line := each.kept(draft):
                asker.tell(f"{line} (from last time{', with their passwords' if isinstance(each, UserName) else ''})")
    elif talk.trail:
        talk.draft = talk.trail.pop()
    while question := next_question(talk.draft, talk.known):
        if not talk.ask(question):
            if talk.trail:
                talk.draft = talk.trail.pop()
            else:
                asker.tell("This is the first question. Ctrl-C stops.")
            continue
        if look:
            talk.known, look = look(talk.known), None
        keep(talk.draft)
    names = {user.name for user in talk.draft.users}
    return talk.draft, {name: password for name, password in talk.shown_again.items() if name in names}


def ask(questions: Sequence[Question], draft: Draft, known: Known, asker: Asker) -> tuple[Draft, dict[str, str]] | Back:
    """As `walk`, for these questions alone, in a room of the menu; Back from the first of them leaves it."""
    talk = _Talk(draft, known, asker, {}, recall=False)
    while question := next_question(talk.draft, talk.known, questions):
        if not talk.ask(question, leave=True):
            if not talk.trail:
                return Back()
            talk.draft = talk.trail.pop()
    return talk.draft, talk.shown_again


class _Talk:
    """A conversation: the draft, and the drafts in which the questions before stood."""

    def __init__(
        self, draft: Draft, known: Known, asker: Asker, shown_again: Mapping[str, str], *, recall: bool = True
    ) -> None:
        self.draft, self.known, self.asker = draft, known, asker
        self.shown_again = dict(shown_again)
        self.trail: list[Draft] = []
        self.said: dict[Spot, str] = {}
        if recall:
            self._recall()

    def ask(self, question: Question, *, leave: bool = False) -> bool:
        """The question is answered, and the answer in the draft; False for Back. `leave`: Back is always offered."""
        draft, spot = self.draft, _spot(question, self.draft)
        prompt = question.recalling(question.prompt(draft, self.known), self.said.get(spot, ""))
        prompt = replace(prompt, back=leave or bool(self.trail))
        heard = question.hear(prompt, draft, self.known, self.asker, self.shown_again)
        if isinstance(heard, Back):
            return False
        text, self.draft = heard
        if prompt.kind != "password":
            self.said[spot] = text
        if self.draft.domain is not None and self.draft.domain != draft.domain:
            tell_ascii(self.draft.domain, self.asker)
        self.known = replace(self.known, given=_newest(self.known.given, self.draft.users))
        self.trail.append(draft)
        return True

    def _recall(self) -> None:
        """The trail and the texts are as if all that is in the draft had just been answered."""
        final = self.draft
        now = Draft()
        if self.known.previous is not None and final.users == self.known.previous.users:
            now = Draft.again(self.known.previous)
        while (question := next_question(now, self.known)) and (after := question.restored(now, final)):
            if question.recalled:
                self.trail.append(now)
            self.said[_spot(question, now)] = question.answered(final, len(now.users))
            now = after
        for each in ALL:
            if not each.for_each_user:
                self.said.setdefault((each.key, 0), each.answered(final, 0))


def review(answers: Answers, found: str) -> list[tuple[str, str]]:
    """The answers as they were heard, before anything is done with them. `found` is where Hermes was found, "" for nowhere."""
    return [row for each in ALL for row in each.review(answers, found)]


def _spot(question: Question, draft: Draft) -> Spot:
    return question.key, len(draft.users) if question.for_each_user else 0


def _newest(given: Sequence[User], users: Sequence[User]) -> tuple[User, ...]:
    now = {user.name for user in users}
    return (*(user for user in given if user.name not in now), *users)
