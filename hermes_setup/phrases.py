"""Lists, counts and durations as a sentence takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def listed(names: Sequence[str], most: int = 12) -> str:
    """The names as a sentence takes them: all, or the first and how many more there are."""
    more = len(names) - most
    return ", ".join(names) if more < 2 else f"{', '.join(names[:most])} and {more:,} more"


def all_of(words: Sequence[str]) -> str:
    """The words as "a, b and c"."""
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])} and {words[-1]}"


def ports_named(ports: Iterable[int]) -> str:
    """The ports, each once and in order, as "port 80" or "ports 80 and 443"."""
    numbers = [str(port) for port in sorted(set(ports))]
    return f"port{'s' if len(numbers) > 1 else ''} {all_of(numbers)}"


def count_of(count: int, thing: str) -> str:
    """As "1 change", "2 changes", "" for none."""
    return "" if not count else f"1 {thing}" if count == 1 else f"{count} {thing}s"


def any_of(words: Sequence[str]) -> str:
    """The words as "a or b"."""
    return " or ".join(words)


def uncapitalized(text: str) -> str:
    """The text as it goes on in a sentence."""
    return text[:1].lower() + text[1:]


def duration(seconds: int) -> str:
    """As one says it: "40 seconds", "5 minutes", "3 hours"."""
    for size, word in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{-(-seconds // size)} {word}"
    return f"{seconds} seconds"
