"""The check that no module carries a run sees each way to do so, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import no_module_state

BEFORE = """
import functools, itertools, os
from package import other
from package.other import Box, kept, table

class Value:
    made = []
    def __init__(self):
        self.inside = {}
    def with_it(self, it):
        return Value()

class Counter:
    def count(self):
        self.number += 1

VALUE = Value()
TABLE = {"a": 1}
for key in "bc":
    TABLE[key] = 2
seen = []
ids = itertools.count()

"""
OTHER = "kept = set()\ntable = {}\n\n\nclass Box:\n    inside = {}\n"


def found(tmp_path: Path, code: str) -> set[str]:
    package = tmp_path / "package"
    package.mkdir()
    (package / "other.py").write_text(OTHER)
    (package / "module.py").write_text(BEFORE + code)
    return {name for file, line, name in no_module_state.find(package)}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("late = None\ndef f():\n    global late\n    late = 1", "late"),
        ("def f():\n    global never_before\n    never_before = 1", "never_before"),
        ("def f():\n    seen.append(1)", "seen"),
        ("def f():\n    return TABLE.setdefault('x', 1)", "TABLE"),
        ("def f():\n    kept.discard(1)", "kept"),
        ("def f():\n    TABLE['x'] = 1", "TABLE"),
        ("def f():\n    del TABLE['x']", "TABLE"),
        ("def f():\n    TABLE['x'] += 1", "TABLE"),
        ("def f():\n    TABLE['x'][0].y.append(1)", "TABLE"),
        ("def f():\n    VALUE.name = 1", "VALUE"),
        ("def f():\n    VALUE.inside.update(a=1)", "VALUE"),
        ("def f():\n    setattr(VALUE, 'name', 1)", "VALUE"),
        ("def f():\n    return next(ids)", "ids"),
        ("def f():\n    Value.made.append(1)", "Value.made"),
        ("def f():\n    Box.inside[1] = 2", "Box.inside"),
        ("def f():\n    other.table.clear()", "table"),
        ("def f():\n    other.table = {}", "table"),
        ("def f():\n    setattr(other, 'table', {})", "table"),
        ("def f():\n    from package.other import table\n    table.clear()", "table"),
        ("def f():\n    def g():\n        seen.append(1)\n    return g", "seen"),
        ("def f(seen):\n    return seen\ndef g():\n    seen.append(1)", "seen"),
        ("f = lambda: seen.append(1)", "seen"),
        ("class A:\n    def f(self):\n        seen.append(1)", "seen"),
        ("async def f():\n    [seen.append(x) for x in 'ab']", "seen"),
        ("counter = Counter()", "Counter()"),
    ],
)
def test_what_a_run_changes_in_a_module_is_found(tmp_path: Path, code: str, name: str) -> None:
    assert found(tmp_path, code) == {name}


@pytest.mark.parametrize(
    "code",
    [
        "",
        "@functools.lru_cache\ndef f(x):\n    return x",
        "def f():\n    seen = []\n    seen.append(1)",
        "def f(seen, *kept, **table):\n    seen.append(1)\n    table.update(a=1)",
        "def f():\n    seen = []\n    def g():\n        seen.append(1)\n    return g",
        "def f():\n    for seen in [], []:\n        seen.append(1)",
        "def f():\n    with open('x') as seen:\n        seen.name = 1",
        "def f(x):\n    match x:\n        case [*seen]:\n            seen.append(1)",
        "def f():\n    try:\n        pass\n    except OSError as seen:\n        seen.hint = 1",
        "def f():\n    return [*seen, 1], TABLE['a'], VALUE.inside, kept | {1}",
        "def f():\n    return sorted(seen).pop()",
        "def f():\n    counter = Counter()\n    counter.count()",
        "def f():\n    os.environ['A'] = '1'\n    other.update()",
        "class A:\n    def f(self):\n        self.seen = []\n        self.seen.append(1)",
    ],
)
def test_what_stays_in_a_function_or_an_object_is_not(tmp_path: Path, code: str) -> None:
    assert found(tmp_path, code) == set()


def test_what_is_found_is_printed_and_fails_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = tmp_path / "module.py"
    code.write_text("rendered = {}\n\n\ndef f():\n    rendered[1] = 2\n")
    assert no_module_state.main(tmp_path) == 1
    assert f"{code}:5: rendered is changed by a run" in capsys.readouterr().out
    code.write_text("rendered = {}\n")
    assert no_module_state.main(tmp_path) == 0
