"""What tests/compare has to know of the modules of 7802055 and of trees like it, where it is not what compare_new knows."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from compare_new import command_failed, golden, overlay, replace_local, values

__all__ = ["Local", "command_failed", "fits", "golden", "main", "overlay", "replace_local", "values"]


def fits(tree: Path) -> bool:
    """True for a tree of this generation."""
    return (tree / "hermes_setup" / "cli.py").exists()


class Local:
    """What the class of the machine that the program runs on can do beyond a System."""


def main(argv: list[str]) -> NoReturn:
    """As the command line does it; it ends the process."""
    from hermes_setup.cli import main as start

    start(argv)
