"""What a question is: one object for what is missing, how it is asked, how an answer is taken, recalled and reviewed.

The conversation, going back, the review and what is kept of an interruption are loops over them: see `conversation`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from hermes_setup.answers.answers import Answers
from hermes_setup.answers.fields import field
from hermes_setup.questions.draft import Draft, Known
from hermes_setup.questions.prompt import Asker, Back, Prompt, says_yes, settled
from hermes_setup.values import replace


class Question(ABC):
    """What every question has. One that lacks an abstract method cannot be made. Questions hold no state of their own."""

    key = ""
    for_each_user = False  # asked once for each user
    recalled = True  # one can go back to it after an interruption, and its answer stands there

    @abstractmethod
    def is_open(self, draft: Draft, known: Known) -> bool:
        """True when it is to be asked: its answer is missing, and what comes before it is there."""

    @abstractmethod
    def prompt(self, draft: Draft, known: Known) -> Prompt:
        """How it is asked."""

    @abstractmethod
    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """The draft with that answer. Raises WrongInput, with the reason and what to type instead."""

    @abstractmethod
    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """`now` with this answer as `final` has it; None where that has none."""

    @abstractmethod
    def answered(self, draft: Draft, number: int) -> str:
        """What was answered, as it would be typed; "" for nothing, and for what must not be shown again.

        `number` is how many users there were before this question.
        """

    def kept(self, draft: Draft) -> str:
        """The line that says what was answered before an interruption, "" for none."""
        return ""

    def review(self, answers: Answers, found: str) -> Sequence[tuple[str, str]]:
        """(what, how it was answered), once all is answered. `found` is where Hermes was found."""
        return ()

    def hear(
        self,
        prompt: Prompt,
        draft: Draft,
        known: Known,
        asker: Asker,
        shown_again: dict[str, str],
    ) -> tuple[str, Draft] | Back:
        """The answer and the draft with it, once it is right. `shown_again`: made-up passwords for the end."""
        return settled(asker, prompt, lambda text: (text, self.take(draft, text, known)))

    def recalling(self, prompt: Prompt, text: str) -> Prompt:
        """The prompt with the earlier answer to be edited, or chosen beforehand."""
        if not text or prompt.kind == "password":
            return prompt
        if prompt.kind == "text":
            return replace(prompt, typed=text)
        if prompt.kind == "choice" and text not in (choice.value for choice in prompt.choices):
            return prompt
        if prompt.kind == "confirm":
            text = "yes" if says_yes(text) else "no"
        return replace(prompt, default=text)


class FieldQuestion(Question):
    """A question whose answer is one field of `answers/fields.py` as it stands there, asked after the users.

    A subclass has a key, a title and a prompt.
    """

    title = ""

    def is_open(self, draft: Draft, known: Known) -> bool:
        """Until it is answered."""
        return draft.at == "done" and draft.value(field(self.key).attribute) is None

    def take(self, draft: Draft, text: str, known: Known) -> Draft:
        """As the field reads it in a file of answers."""
        return draft.with_value(field(self.key).attribute, field(self.key).read(text.strip(), {}))

    def restored(self, now: Draft, final: Draft) -> Draft | None:
        """As it was."""
        value = final.value(field(self.key).attribute)
        return None if value is None else now.with_value(field(self.key).attribute, value)

    def answered(self, draft: Draft, number: int) -> str:
        """As the field is written."""
        value = draft.value(field(self.key).attribute)
        return "" if value is None else str(field(self.key).write(value))

    def kept(self, draft: Draft) -> str:
        """With its title."""
        said = self.answered(draft, 0)
        return f"{self.title}: {said}" if said else ""

    def review(self, answers: Answers, found: str) -> Sequence[tuple[str, str]]:
        """With its title."""
        return ((self.title, str(field(self.key).write(getattr(answers, field(self.key).attribute)))),)
