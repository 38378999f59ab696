"""The words of a command, read by argparse. An error says what is wrong, and what to type instead."""

from __future__ import annotations

import argparse
import difflib
from typing import Any, NoReturn

from hermes_setup.errors import WrongInput

SEE_HELP = "See: hermes-setup --help"


class _Formatter(argparse.HelpFormatter):
    """argparse makes one for each flag, to check it. Without a width it would load shutil, to ask the terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=80)


class Parser(argparse.ArgumentParser):
    """The flags and names of one command. Flags and words come in any order; none is abbreviated."""

    def __init__(self, prog: str, description: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            formatter_class=_Formatter,
            add_help=False,
            allow_abbrev=False,
            exit_on_error=False,
        )
        self.flags: list[str] = []
        self.words: list[str] = []
        self.takes_files: list[argparse.Action] = []

    def flag(self, name: str, text: str, **options: Any) -> None:
        """A flag without a value; with `metavar`, one with a value."""
        self.flags.append(name)
        if "metavar" not in options:
            options["action"] = "store_true"
        action = self.add_argument(name, help=text, **options)
        if action.metavar == "FILE":
            self.takes_files.append(action)

    def word(self, name: str, text: str) -> None:
        """A word that may be missing: then it is None. A command that needs it says so itself."""
        self.words.append(name)
        self.add_argument(name, metavar=name.upper(), nargs="?", help=text)

    def read(self, argv: list[str]) -> argparse.Namespace:
        """The arguments. What comes after "--" is not a flag, even if it starts with "-". Raises WrongInput."""
        cut = argv.index("--") if "--" in argv else len(argv)
        try:
            found, more = self.parse_known_intermixed_args(argv[:cut])
        except argparse.ArgumentError as error:
            raise self._refusal(error) from None
        for word in more:
            if word.startswith("-") and word != "-":
                raise self._unknown(word.partition("=")[0])
        rest = [*more, *argv[cut + 1 :]]
        for name in self.words:
            if getattr(found, name) is None and rest:
                setattr(found, name, rest.pop(0))
        if rest:
            raise self._too_many(rest[0])
        return found

    def error(self, message: str) -> NoReturn:
        """Whatever else argparse refuses. It would print its own usage, and end the process."""
        raise WrongInput(f"{message[:1].upper()}{message[1:]}.", hint=SEE_HELP)

    def _refusal(self, error: argparse.ArgumentError) -> WrongInput:
        if "explicit" in str(error):  # argparse's words: "ignored explicit argument"
            return WrongInput(f"{error.argument_name} takes no value.", hint=f"Write only {error.argument_name}.")
        return WrongInput(f"{error.argument_name} needs a value after it.", hint=SEE_HELP)

    def _unknown(self, flag: str) -> WrongInput:
        near = difflib.get_close_matches(flag, self.flags, 1)
        hint = f"Did you mean {near[0]}?" if near else f"The flags are: {', '.join(self.flags) or 'none'}."
        return WrongInput(f"There is no flag {flag} here.", hint=hint)

    def _too_many(self, word: str) -> WrongInput:
        if "--answers" in self.flags and word.endswith(".toml"):
            return WrongInput(
                f"{word!r} is one word too many.", hint=f"Did you mean: hermes-setup apply --answers {word}?"
            )
        return WrongInput(f"{word!r} is one word too many.", hint=SEE_HELP)


def add_run_flags(parser: Parser) -> None:
    """The flags of every command that changes something."""
    parser.flag("--yes", "agree to what the plan shows, and to nothing else")
    parser.flag("--dry-run", "show every change, make none")


def add_lockout(parser: Parser) -> None:
    """The flag of every command that may change the allowed addresses."""
    parser.flag("--allow-lockout", "let the allowed addresses leave out the one that this ssh session comes from")
