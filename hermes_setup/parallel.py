"""Several looks at once: each in a thread of its own, and all of them waited for.

Not concurrent.futures: that brings logging and a search for who else runs, which takes longer than a stage's look.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")


class Task(Generic[T]):
    """What a call returns, or raises, once it has ended. The thread ends by itself; nobody who leaves waits for it."""

    def __init__(self, call: Callable[[], T]) -> None:
        """The call has begun when this returns."""
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
        """It has ended, in whichever way."""
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
    begun = [Task(lambda one=one: call(one)) for one in each]  # type: ignore[misc]  # a default that binds
    for later in begun:
        later.wait()
    return tuple(later.value() for later in begun)
