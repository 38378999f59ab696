"""What tests/compare has to know of today's modules. Nothing else of it names one, but for compare_old.

Whoever moves one of these corrects it here. compare_old imports what has stayed the same since 7802055; what it imports is
copied there, as it was, before it is corrected.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn


def fits(tree: Path) -> bool:
    """True for a tree of this generation."""
    return (tree / "hermes_setup" / "main.py").exists()


def values() -> Any:
    """Where File, Link, Folder, Special, ABSENT, Listener, Ran, Records and Response are."""
    from hermes_setup import host

    return host


def overlay() -> type[Any]:
    """The machine whose writes stay in memory; it is given the one below it."""
    from hermes_setup.system.overlay import Overlay

    return Overlay


class Local:
    """What the class of the machine that the program runs on can do beyond a System."""

    def kill_queries(self) -> None:
        """None runs."""


def command_failed() -> type[Exception]:
    """What a command of a run that ends with another status than 0 raises: (message, output=, code=)."""
    from hermes_setup.errors import CommandFailed

    return CommandFailed


def replace_local(stand: type[Any]) -> None:
    """Whatever asks for the machine that the program runs on is given what `stand()` gives. Called before all else is loaded."""
    from hermes_setup.system import local

    local.Local = stand  # type: ignore[misc]  # that is what it is for


def main(argv: list[str]) -> NoReturn:
    """As the command line does it; it ends the process."""
    from hermes_setup.main import main as start

    start(argv)


def golden() -> dict[str, str]:
    """Every golden site, rendered now."""
    import test_site as site

    return {
        name: site.rendered(
            site.CASES[name],
            site.LONG.get(name, site.ANSWERS.domain),
            site.ALLOW.get(name, ()),
            **site.MORE.get(name, {}),
        )
        for name in site.CASES
    }
