#!/usr/bin/env python3
"""Makes docs/shell from the parsers of the commands: the man page (argparse-manpage), completions for bash, zsh, fish (shtab).

tools/make_shell_files.py           writes the files
tools/make_shell_files.py --check   exit 1 when they are not what the commands say (tests/test_docs.py asks the same)

What the two tools are pinned to stands in tests/lab/requirements.txt.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import shtab
from argparse_manpage.manpage import Manpage

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hermes_setup import __version__, commands, wizard  # noqa: E402
from hermes_setup.arguments import Parser  # noqa: E402

FOLDER = ROOT / "docs" / "shell"
DESCRIPTION = (
    "Without arguments it asks a few questions, shows every change, and makes the changes after a yes. On a server that is set "
    "up it shows its status, and a menu. It can be interrupted at any moment and run again: it continues where it stopped. "
    "Data goes to standard output, everything else to standard error. No question is asked without a terminal."
)
FILES = {
    "/etc/nginx/sites-available/hermes": "The site. Its first line says that this program wrote it.",
    "/etc/nginx/.htpasswd-hermes": "The users; lines made by hand are kept.",
    "/etc/nginx/hermes-gate.conf": "The secret cookie of each user; root alone may read it.",
    "/etc/systemd/system/hermes-dashboard.service": "Hermes as a service, where that was asked for.",
    "/var/lib/hermes-setup": "Answers, and what each file held before a run.",
    "/var/log/hermes-setup.log": "What was done; never a password.",
}
ENVIRONMENT = {
    "HERMES_SETUP_PLAIN": "Set to 1: nothing on the screen moves, no colors, and a choice is typed as a number (for screen readers).",
    "NO_COLOR": "Set to anything: no colors. Both are also seen where sudo was typed, which drops them.",
}


def whole() -> argparse.ArgumentParser:
    """The parsers of all commands as one tree, as the two tools want it."""
    top = Parser("hermes-setup", DESCRIPTION)
    wizard.arguments(top)
    top.flag("--version", "print the version")
    top.flag("--help", "print a page of help")
    folders: dict[tuple[str, ...], argparse._SubParsersAction[Parser]] = {(): _below(top)}
    for path, command in commands.all_commands():
        for depth in range(1, len(path)):
            if path[:depth] not in folders:
                about = "who can sign in" if path[:depth] == ("users",) else path[depth - 1]
                folders[path[:depth]] = _below(
                    folders[path[: depth - 1]].add_parser(path[depth - 1], help=about, description=about)
                )
        parser = folders[path[:-1]].add_parser(path[-1], help=command.HELP, description=command.HELP)
        command.arguments(parser)
        for action in parser.takes_files:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # where shtab looks for it
    return top


def _below(parser: Parser) -> argparse._SubParsersAction[Parser]:
    return parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Inner)


class _Inner(Parser):
    """argparse makes the parsers below another one with words of its own."""

    def __init__(self, prog: str, description: str = "", **_: object) -> None:
        super().__init__(prog, description)


def man() -> str:
    """The page for man. The long form of all this is docs/reference/commands.md."""
    page = str(
        Manpage(
            whole(),
            _data={
                "project_name": f"hermes-setup {__version__}",
                "manual_section": 8,
                "manual_title": "System administration",
                "description": "put the Hermes dashboard on the internet, behind nginx, a certificate and passwords",
                "date": " ",
            },
        )
    )
    codes = re.findall(r"(\d+) ((?:(?!\s\d+ ).)+)", " ".join(commands.BOTTOM.partition("Exit: ")[2].split()))
    sections = {
        "EXIT STATUS": {code: text.strip(" :") for code, text in codes},
        "FILES": FILES,
        "ENVIRONMENT": ENVIRONMENT,
    }
    more = "".join(
        f".SH {title}\n" + "".join(f".TP\n.B {_escaped(name)}\n{_escaped(text)}\n" for name, text in rows.items())
        for title, rows in sections.items()
    )
    return page.rstrip("\n") + "\n\n" + more + ".SH SEE ALSO\n.BR nginx (8),\n.BR certbot (1)\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")


def completion(shell: str) -> str:
    """The completions for that shell."""
    return shtab.complete(whole(), shell) + "\n"


MADE = {
    "hermes-setup.8": man,
    "hermes-setup.bash": lambda: completion("bash"),
    "_hermes-setup": lambda: completion("zsh"),
    "hermes-setup.fish": lambda: completion("fish"),
}


def main() -> int:
    """Write, or compare."""
    stale = []
    for name, make in MADE.items():
        at = FOLDER / name
        if "--check" not in sys.argv:
            FOLDER.mkdir(exist_ok=True)
            at.write_text(make(), encoding="utf-8")
        elif at.read_text("utf-8", "replace") != make():
            stale.append(name)
    for name in stale:
        print(f"docs/shell/{name} is not what the commands say: run tools/make_shell_files.py", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
