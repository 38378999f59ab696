"""values.py does what dataclasses(frozen=True) does, for all that is used of it."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import pytest

from hermes_setup import values


def make(module: Any) -> Any:
    """The same class by each of the two."""

    @module.dataclass(frozen=True)
    class Value:
        """Doc."""

        a: int
        b: int = 2
        c: list[int] = module.field(default_factory=list, compare=False)
        d: str = module.field(default="x", repr=False)

        def twice(self) -> int:
            return 2 * self.a

    return Value


BOTH = [make(dataclasses), make(values)]


@pytest.fixture(params=BOTH, ids=["dataclasses", "values"])
def value(request: pytest.FixtureRequest) -> Any:
    """The class."""
    return request.param


def test_fields_by_place_and_by_name(value: Any) -> None:
    one = value(1, c=[3])
    assert (one.a, one.b, one.c, one.d, one.twice()) == (1, 2, [3], "x", 2)
    assert value(1).c is not value(1).c
    assert value.b == 2 and not hasattr(value, "c")
    assert value.__doc__ == "Doc." and value.__match_args__ == ("a", "b", "c", "d")
    match one:
        case value(a, b):
            assert (a, b) == (1, 2)
        case _:
            pytest.fail("no match")


@pytest.mark.parametrize(
    "given", [((), {}), ((1, 2, [], "", 5), {}), ((1,), {"a": 1}), ((1,), {"e": 1}), ((), {"b": 1})]
)
def test_fields_that_are_missing_or_unknown(value: Any, given: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    with pytest.raises(TypeError):
        value(*given[0], **given[1])


def test_equal_when_what_is_compared_is(value: Any) -> None:
    assert value(1, c=[1]) == value(1, c=[2])
    assert hash(value(1, c=[1])) == hash(value(1, c=[2]))
    assert value(1) != value(2)
    assert value(1) != (1, 2, [], "x")
    other = next(each for each in BOTH if each is not value)
    assert value(1) != other(1)


def test_nothing_to_compare() -> None:
    @values.dataclass(frozen=True)
    class Empty:
        pass

    @values.dataclass(frozen=True)
    class Other:
        pass

    assert Empty() == Empty() != Other()
    assert len({Empty(), Empty()}) == 1


def test_words_leave_out_what_is_secret(value: Any) -> None:
    assert repr(value(1, d="secret")) == "make.<locals>.Value(a=1, b=2, c=[])"


def test_never_changed(value: Any) -> None:
    one = value(1)
    for change in (lambda: setattr(one, "a", 2), lambda: setattr(one, "new", 2), lambda: delattr(one, "a")):
        with pytest.raises(AttributeError):
            change()
    assert one == value(1)


def test_replace(value: Any) -> None:
    module = dataclasses if value is BOTH[0] else values
    assert module.replace(value(1, c=[7]), b=9) == value(1, 9)
    assert module.replace(value(1, c=[7]), b=9).c == [7]
    with pytest.raises(TypeError):
        module.replace(value(1), e=1)


def test_only_frozen_ones() -> None:
    with pytest.raises(TypeError, match="frozen"):
        values.dataclass(frozen=False)


def test_what_is_not_known_here_is_refused_and_never_silently_another_thing() -> None:
    class Base:
        def __init__(self) -> None: ...

    class Says:
        a: int

        def __repr__(self) -> str:
            return ""

    class Shared:
        a: list[int] = []

    class OfTheClass:
        a: ClassVar[int] = 1

    for cls in (Base, Says, Shared, OfTheClass, type("Sub", (make(values),), {})):
        with pytest.raises(TypeError, match="known here"):
            values.dataclass(frozen=True)(cls)
