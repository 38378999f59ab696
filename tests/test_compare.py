"""tests/compare: what is left of an output without its words, and what may differ by its nature. It runs by hand."""

from __future__ import annotations

import json
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import compare_cases
import compare_new
import compare_old

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def compare() -> ModuleType:
    loader = SourceFileLoader("compare", str(ROOT / "tests" / "compare"))
    module = module_from_spec(spec_from_loader("compare", loader))  # type: ignore[arg-type]  # there is one
    loader.exec_module(module)
    return module


def test_the_cases_can_be_had_and_are_data() -> None:
    cases = compare_cases.cases()
    assert json.loads(json.dumps(cases)) == cases
    assert {name.partition("/")[0] for name in cases} == {
        *("usage", "answers-file", "machines", "state", "conversations"),
    }
    assert all(case["steps"] for case in cases.values())


def test_one_of_the_two_adapters_fits_this_tree() -> None:
    assert [compare_old.fits(ROOT), compare_new.fits(ROOT)] == [False, True]


def test_a_run_has_the_same_name_in_both_trees_and_a_drawn_value_only_when_blurred(compare: ModuleType) -> None:
    def plain(value: object, *, blur: bool = False) -> object:
        return compare.Plain(Path("/tree"), blur=blur)(value)

    one = ["/tree/x", "20261127T003050.104346", "a 20261127T003050.104347", "20261127T003050.104346"]
    assert plain(one) == ["<TREE>/x", "<run 1>", "a <run 2>", "<run 1>"]
    assert plain("process 12 (x), since 00:31:31") == "<clock> (x), <clock>"
    assert plain("token " + "ab" * 16) == "token " + "ab" * 16
    assert plain({"a": "562rr-xvrrm-nm95b-x8jch", "b": "ab" * 16}, blur=True) == {"a": "<drawn 1>", "b": "<drawn 2>"}


@pytest.mark.parametrize(
    ("part", "one", "other", "same"),
    [
        ("1:stderr", "Error: No.\n  Do it.", "Error: Never.\n  Do that.", True),
        ("1:stderr", "Error: No.", "warning: No.", False),
        ("1:stderr", "[ 1/14] Hermes: ok", "[ 1/14] The Hermes: fine", True),
        ("1:stderr", "[ 1/14] Hermes: ok", "[ 1/13] Hermes: ok", False),
        ("1:stderr", "x\n--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\ny", "z\n--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\nw", True),
        ("1:stderr", "--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b", "--- a\n+++ b\n@@ -1 +1 @@\n-a\n+c", False),
        ("1:screen", "Help.\n  1) One\n  2) Two\n? Which [1]: 2\n", "Aid.\n  1) I\n  2) II\n? Say [1]: 2\n", True),
        ("1:screen", "Help.\n  1) One\n  2) Two\n? Which [1]: 2\n", "Help.\n  1) One\n? Which [1]: 2\n", False),
        ("1:screen", "? Another? [y/N] y\n", "? Another? [Y/n] y\n", False),
        ("notes:answers.json", '{"a": 1, "b": 2}', '{"b":2, "a": 1}', True),
        ("notes:answers.json", '{"a": 1}', '{"a": 2}', False),
        ("1:drafts", ["", '{"a": 1}'], ["", '{"a": 2}'], False),
        ("notes:runs/x/journal.jsonl", '{"place": "/a", "why": "b"}', '{"place": "/a", "why": "c"}', True),
        ("notes:runs/x/journal.jsonl", '{"place": "/a", "why": "b"}', '{"place": "/b", "why": "b"}', False),
        ("1:code", 4, 0, False),
        ("1:effects", [["run", ["nginx"], "", {}]], [["run", ["nginx", "-t"], "", {}]], False),
    ],
)
def test_without_prose_only_what_programs_read_is_compared(
    compare: ModuleType, part: str, one: Any, other: Any, same: bool
) -> None:
    assert (compare.skeleton(part, one) == compare.skeleton(part, other)) is same


@pytest.mark.parametrize(
    ("key", "value", "same"), [("what", "Other words.", True), ("code", "a.c", False), ("severity", "note", False)]
)
def test_of_a_finding_its_code_and_severity_count(compare: ModuleType, key: str, value: str, same: bool) -> None:
    finding = {"stage": "a", "code": "a.b", "severity": "warn", "what": "x", "why": "y", "do": "z", "evidence": ""}
    change = {"stage": "a", "kind": "place", "what": "/etc/x", "why": "y"}
    one = json.dumps({"findings": [finding], "pending": [change]})
    other = json.dumps({"findings": [{**finding, key: value}], "pending": [{**change, "why": "other"}]})
    assert (compare.skeleton("1:stdout", one) == compare.skeleton("1:stdout", other)) is same
    moved = json.dumps({"findings": [finding], "pending": [{**change, "what": "/etc/y"}]})
    assert compare.skeleton("1:stdout", one) != compare.skeleton("1:stdout", moved)
