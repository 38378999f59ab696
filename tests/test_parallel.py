"""Looks that are taken at once."""

from __future__ import annotations

import threading
import time

import pytest

from hermes_setup.parallel import Task, in_parallel


def test_all_are_under_way_at_once_and_answer_in_their_order() -> None:
    together = threading.Barrier(5, timeout=10)

    def look(number: int) -> int:
        together.wait()
        time.sleep(0.01 * (5 - number))
        return 10 * number

    assert in_parallel(look, range(5)) == (0, 10, 20, 30, 40)
    assert in_parallel(look, ()) == ()


def test_what_one_raises_is_raised_and_all_others_have_ended() -> None:
    ended = []

    def look(number: int) -> None:
        if number in (1, 3):
            raise ValueError(number)
        time.sleep(0.05)
        ended.append(number)

    with pytest.raises(ValueError, match="1"):
        in_parallel(look, range(5))
    with pytest.raises(ValueError, match="3"):
        in_parallel(look, (3,))
    assert sorted(ended) == [0, 2, 4]


def test_a_call_is_under_way_before_its_value_is_wanted() -> None:
    begun = threading.Event()

    def call() -> str:
        begun.set()
        return "done"

    later = Task(call)
    assert begun.wait(10)
    assert (later.value(), later.value()) == ("done", "done")


def test_one_that_hangs_keeps_nobody_from_leaving() -> None:
    import subprocess
    import sys

    code = "import threading\nfrom hermes_setup.parallel import Task\nTask(threading.Event().wait)\nprint('left')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20, check=True).stdout == b"left\n"
