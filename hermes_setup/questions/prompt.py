"""What is put to somebody, and who that is. Data: a keyboard is one Asker, a list of replies in a test another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

from hermes_setup.errors import WrongInput
from hermes_setup.values import dataclass, field, replace

T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """One line of a list: `value` is the answer, `label` what is read, `key` what is typed (else its number)."""

    value: str
    label: str
    key: str = ""


@dataclass(frozen=True)
class Prompt:
    """A question as it is shown. `flag` is what answers it where nobody can be asked.

    `default` is the machine's proposal, taken by Enter alone (of a choice: its value). `typed` is the user's own
    earlier text, there to be edited. `secret` is a made-up password that is shown with it.
    """

    key: str
    text: str
    help: str
    flag: str
    kind: Literal["text", "password", "choice", "confirm"] = "text"
    default: str = ""
    typed: str = ""
    choices: tuple[Choice, ...] = ()
    back: bool = False
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Back:
    """The reply that is no answer: the question before this one is wanted."""


BACK = Back()


class Asker(Protocol):
    """Someone to ask."""

    def ask(self, prompt: Prompt, error: str = "") -> str | Back:
        """The reply as it was typed; `error` says what was wrong with the one before. ^C raises KeyboardInterrupt."""
        ...

    def tell(self, line: str) -> None:
        """The line has been shown."""
        ...


def settled(asker: Asker, prompt: Prompt, parse: Callable[[str], T]) -> T | Back:
    """What `parse` made of the reply, or Back. Each reply that it refuses is explained in place."""
    error = ""
    while True:
        reply = asker.ask(prompt, error)
        if isinstance(reply, Back):
            return reply
        try:
            return parse(reply)
        except WrongInput as wrong:
            error, prompt = refused(wrong, prompt, reply)


def refused(wrong: WrongInput, prompt: Prompt, reply: str) -> tuple[str, Prompt]:
    """What is said of a reply that was refused, and the prompt with what stands there now to be edited."""
    error = f"{wrong.message} {wrong.hint}".strip()
    return error, replace(prompt, typed=wrong.instead or reply) if prompt.kind == "text" else prompt


def agreed(asker: Asker, prompt: Prompt) -> bool | Back:
    """A clear yes or no to a prompt of kind confirm, or Back."""
    return settled(asker, prompt, says_yes)


def picked(asker: Asker, prompt: Prompt) -> str | Back:
    """The value of one of the prompt's choices, or Back."""
    return settled(asker, prompt, lambda text: chosen(prompt, text))


def says_yes(text: str) -> bool:
    """True for yes, False for no. Raises WrongInput for anything else: a yes is never guessed."""
    word = text.strip().lower()
    if word in ("y", "yes"):
        return True
    if word in ("n", "no"):
        return False
    raise WrongInput("That is neither yes nor no.", hint="Type y or n.")


def chosen(prompt: Prompt, text: str) -> str:
    """The value of one of the prompt's choices. Raises WrongInput for anything else."""
    value = text.strip()
    if value not in (choice.value for choice in prompt.choices):
        raise WrongInput(
            "That is not one of the choices.", hint="Type the number or the letter in front of the one you want."
        )
    return value
