"""Several calls at once, each in a thread of its own.

Not concurrent.futures: it loads logging and more, which takes longer than what a stage looks at.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")


class Task(Generic[T]):
    """What a call returns, or raises, once it has ended. A process that ends does not wait for its thread."""

    def __init__(self, call: Callable[[], T]) -> None:
        """The call has started when this returns."""
        self._call = call
        self._value: Any = None
        self._error: BaseException | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self._value = self._call()
        except BaseException as error:  # noqa: BLE001 - raised again where the value is wanted
            self._error = error
        self._ended.set()

    def wait(self) -> None:
        """It has returned or raised."""
        self._ended.wait()

    def value(self) -> T:
        """What the call returned, as soon as it has. Raises what the call raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value


def in_parallel(call: Callable[[S], T], each: Iterable[S]) -> tuple[T, ...]:
    """What `call` returns for each, in their order, once all have ended. Raises what the first that failed raised."""
    each = tuple(each)
    if len(each) == 1:
        return (call(each[0]),)
    tasks = [Task(lambda one=one: call(one)) for one in each]  # type: ignore[misc]  # a default that binds
    for task in tasks:
        task.wait()
    return tuple(task.value() for task in tasks)
