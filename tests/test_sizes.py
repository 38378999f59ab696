"""The check of how long the package's files are."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import sizes


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ({"a.py": 450, "b.py": 5, "c.py": 5}, []),
        ({"a.py": 451, "b.py": 5, "c.py": 5}, ["a.py: 451 lines are more than 450; split it by what it is about"]),
        ({"long.py": 530, "b.py": 5, "c.py": 5}, []),
        ({"a.py": 200, "b.py": 161}, ["the mean of 2 files is 180.5 lines, more than 180"]),
        ({"a.py": 200, "b.py": 160, "small.py": 4}, []),
        ({}, []),
    ],
)
def test_files_that_are_too_long_are_found(lines: dict[str, int], wrong: list[str]) -> None:
    assert list(sizes.find(lines, {"long.py": "prose"}, 180)) == wrong


def test_lines_are_counted_as_wc_does(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room/a.py").write_text("a\n\nb\n")
    (tmp_path / "b.txt").write_text("a\n")
    assert sizes.measured(tmp_path) == {"room/a.py": 3}
