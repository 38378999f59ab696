"""A check: the package's files are small enough to be read at once, in lines as `wc -l` counts them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

LONGEST = 450
MEAN = 180  # of the files of COUNTED lines or more
COUNTED = 5
LONG: dict[str, str] = {}
"""Files that may be longer, each with its reason: to be a table of prose is one."""


def find(sizes: dict[str, int], long: dict[str, str], mean: int) -> Iterator[str]:
    """What is wrong with files of those names and lines."""
    for name, lines in sorted(sizes.items()):
        if lines > LONGEST and name not in long:
            yield f"{name}: {lines} lines are more than {LONGEST}; split it by what it is about"
    counted = [lines for lines in sizes.values() if lines >= COUNTED]
    if counted and sum(counted) > mean * len(counted):
        yield f"the mean of {len(counted)} files is {sum(counted) / len(counted):.1f} lines, more than {mean}"


def measured(package: Path) -> dict[str, int]:
    """Lines of each Python file, by its path in the package."""
    return {str(path.relative_to(package)): path.read_bytes().count(b"\n") for path in package.rglob("*.py")}


def main(package: Path = Path("hermes_setup")) -> int:
    """Prints what is wrong; 1 where something is."""
    sizes = measured(package)
    wrong = list(find(sizes, LONG, MEAN))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    if short := [name for name in LONG if sizes.get(name, 0) <= LONGEST]:
        print(f"short enough, to be taken out of LONG in tests/lab/sizes.py: {', '.join(short)}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
