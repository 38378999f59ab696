"""A stream that may be full."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TextIO, TypeVar

T = TypeVar("T")


class PatientStream:
    """A stream that may be full (a full disk), or not writable: sudo opens a closed stderr of ours for reading only.

    What can't be written is not a reason to fail. A reader that has gone away is another matter.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """The text is written, where that is possible."""
        return self._where_possible(lambda: self._stream.write(text), len(text))

    def flush(self) -> None:
        """Likewise."""
        self._where_possible(self._stream.flush, None)

    def _where_possible(self, act: Callable[[], T], otherwise: T) -> T:
        try:
            return act()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EBADF):
                raise
            return otherwise

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
