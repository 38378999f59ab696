"""The commands. Each is a file here, found by its name; a folder is a command with commands of its own.

A command is a module with

    HELP                             one line, for completions and the man page
    USAGE                            its lines in `hermes-setup --help`
    arguments(parser)                its flags and words
    run(arguments, session)          does it, and says how it ended

A new one needs no registration. It is loaded when it is typed, so it imports little at its top.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    from hermes_setup.arguments import Parser
    from hermes_setup.session import Outcome, Session

    class Command(Protocol):
        """What a module in this folder has."""

        HELP: str
        USAGE: str

        def arguments(self, parser: Parser) -> None:
            """The parser knows the command's flags and words."""

        def run(self, arguments: argparse.Namespace, session: Session) -> Outcome:
            """The command is done. Raises HermesSetupError."""


ORDER = ("apply", "users", "undo", "answers", "doctor", "rehearse")
"""How --help lists them; any other follows. A folder has an ORDER of its own."""

TOP = """\
hermes-setup puts the Hermes dashboard on the internet: behind nginx, with a certificate and named users.

"""
BOTTOM = """\
  hermes-setup --version | --help

  --yes       agree to what the plan shows, and to nothing else
  --dry-run   show every change, make none
  --check     show what would be changed; exit 4 if there is anything
  --allow-lockout  let the allowed addresses leave out the one that this ssh session comes from
  --end-connections   end all open connections, too: chats reconnect, running downloads are cut (remove: the default)
  --keep-connections  let them go on until they close (passwd, sign-out: the default)

Exit: 0 done, nothing to do, or "no"  1 a step failed, its files were put back  2 wrong usage or answers
      3 a check blocks  4 doctor or --check found something  70 a bug in hermes-setup  75 another run is active
      129 hung up  130 ^C  143 terminated: run the same again, it continues where it stopped
"""


def run(argv: Sequence[str], session: Session) -> Outcome:
    """The command that these words name is done. Raises WrongInput where there is no such command."""
    from hermes_setup.arguments import Parser

    path, rest = _named(list(argv))
    command = _load(path)
    parser = Parser(f"hermes-setup {' '.join(path)}", command.HELP)
    command.arguments(parser)
    return command.run(parser.read(rest), session)


def words(argv: Sequence[str]) -> list[str]:
    """The words that are not flags."""
    return [word for word in argv if not word.startswith("-")]


def overview(alone: str) -> str:
    """What `hermes-setup --help` prints; `alone` is what it says about `hermes-setup` without a command."""
    return TOP + alone + "".join(command.USAGE for _, command in all_commands()) + BOTTOM


def all_commands(folder: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    """(path, command) of all commands, in the order of --help."""
    for name in _names(folder):
        if _is_folder((*folder, name)):
            yield from all_commands((*folder, name))
        else:
            yield (*folder, name), _load((*folder, name))


def _named(argv: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """The path of the command that is named, and the words after it."""
    from hermes_setup.errors import WrongInput

    path: tuple[str, ...] = ()
    while not path or _is_folder(path):
        name = next(iter(words(argv)), "")
        if name not in _names(path):
            raise WrongInput(*_no_such(path, name))
        argv.remove(name)
        path = (*path, name)
    return path, argv


def _no_such(path: tuple[str, ...], name: str) -> tuple[str, str]:
    """What is wrong with that name, and what to type instead."""
    if path:
        commands = " | ".join(
            f"{each[-1]} {'NAME' if ' NAME' in command.USAGE else ''}".strip() for each, command in all_commands(path)
        )
        what = f"{path[-1]} {name}: there is no such command." if name else f"{path[-1]} needs one more word."
        return what, f"hermes-setup {' '.join(path)} {commands}"
    import difflib

    near = difflib.get_close_matches(name, _names(()), 1)
    hint = f"Did you mean: hermes-setup {near[0]}?" if near else "See all: hermes-setup --help"
    return f"hermes-setup has no command {name!r}.", hint


def _names(folder: tuple[str, ...]) -> list[str]:
    """The commands of that folder, in their order."""
    import os

    here = import_module(_module(folder))
    place = {name: number for number, name in enumerate(here.ORDER)}
    entries = map(os.path.splitext, os.listdir(here.__path__[0]))  # pkgutil would load inspect, which takes long
    names = [stem.replace("_", "-") for stem, kind in entries if kind in (".py", "") and stem[:1].isalpha()]
    return sorted(names, key=lambda name: (place.get(name, len(place)), name))


def _is_folder(path: tuple[str, ...]) -> bool:
    return hasattr(import_module(_module(path)), "__path__")


def _load(path: tuple[str, ...]) -> Command:
    module: Command = import_module(_module(path))
    return module


def _module(path: tuple[str, ...]) -> str:
    return ".".join([__name__, *(name.replace("-", "_") for name in path)])
