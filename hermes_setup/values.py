"""Values: classes made of named fields, never changed, equal when their fields are. To a type checker: dataclasses.

`dataclass(frozen=True)`, `field` and `replace` do what those of the standard library do, for what is used here. Those
write Python source for each class and compile it at each start, which with the modules that they need took a third of
a second start-up on a small server; these share plain functions (decision 0021).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import FrozenInstanceError, dataclass, field, replace
    from typing import Any

    __all__ = ["FrozenInstanceError", "dataclass", "field", "replace"]
else:
    from operator import attrgetter

    class FrozenInstanceError(AttributeError):
        """A value can't be changed."""

    def dataclass(*, frozen: bool) -> Callable[[type], type]:
        """The class decorator. `frozen` has to be True; it is written out so that each class says what it is."""
        if not frozen:
            raise TypeError("values are frozen")
        return _made

    def field(*, default: Any = ..., default_factory: Any = None, repr: bool = True, compare: bool = True) -> Any:  # noqa: A002 - its name there
        """A field with more than a default."""
        return _Field(default, default_factory, repr, compare)

    def replace(value: Any, /, **changes: Any) -> Any:
        """A copy with these fields changed. Raises TypeError for a field that it does not have."""
        return type(value)(**{**{name: getattr(value, name) for name in value.__match_args__}, **changes})

    class _Field:
        """`default` is ... where there is none."""

        __slots__ = ("compare", "default", "factory", "repr")

        def __init__(self, default: Any = ..., factory: Any = None, repr: bool = True, compare: bool = True) -> None:  # noqa: A002
            self.default, self.factory, self.repr, self.compare = default, factory, repr, compare

    def _made(cls: type) -> type:
        fields: dict[str, _Field] = {}
        own = {
            "__init__",
            "__repr__",
            "__eq__",
            "__hash__",
            "__post_init__",
            "__setattr__",
            "__slots__",
        } & cls.__dict__.keys()
        if own or any(hasattr(base, "__match_args__") for base in cls.__bases__):
            raise TypeError(
                f"{cls.__name__}: neither {', '.join(own) or 'a base with fields'} nor the like is known here"
            )
        for name, kind in cls.__annotations__.items():
            given = cls.__dict__.get(name, ...)
            if str(kind).startswith(("ClassVar", "InitVar", "KW_ONLY")) or isinstance(given, (list, dict, set)):
                raise TypeError(f"{cls.__name__}.{name}: {kind} = {given!r} is not known here")
            fields[name] = given if isinstance(given, _Field) else _Field(given)
            if isinstance(given, _Field):
                delattr(cls, name)
                if given.default is not ...:
                    setattr(cls, name, given.default)
        compared = [name for name in fields if fields[name].compare]
        methods = {
            "__match_args__": tuple(fields),
            "__init__": _init(cls.__name__, fields),
            "__repr__": _repr(cls.__qualname__, tuple(name for name in fields if fields[name].repr)),
            "__setattr__": _frozen,
            "__delattr__": _frozen,
            **_equality(attrgetter(*compared) if compared else type),
        }
        for name, method in methods.items():
            setattr(cls, name, method)
        return cls

    def _init(cls: str, fields: dict[str, _Field]) -> Any:
        names = tuple(fields)
        needed = tuple(name for name in names if fields[name].default is ... and not fields[name].factory)
        defaults = {name: each.default for name, each in fields.items() if each.default is not ...}
        factories = {name: each.factory for name, each in fields.items() if each.factory}

        def __init__(self: Any, *given: Any, **named: Any) -> None:  # noqa: N807 - it becomes one
            if len(given) > len(names):
                raise TypeError(f"{cls}() takes {len(names)} fields, not {len(given)}")
            values = dict(zip(names, given))  # noqa: B905 - the rest has defaults
            for name in named:
                if name in values or name not in fields:
                    raise TypeError(f"{cls}(): {name} {'is given twice' if name in values else 'is no field of it'}")
            values.update(named)
            for name in needed:
                if name not in values:
                    raise TypeError(f"{cls}() needs {name}")
            for name, make in factories.items():
                if name not in values:
                    values[name] = make()
            own = self.__dict__
            own.update(defaults)
            own.update(values)

        return __init__

    def _repr(cls: str, names: tuple[str, ...]) -> Any:
        def __repr__(self: Any) -> str:  # noqa: N807
            return f"{cls}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

        return __repr__

    def _equality(compared: Any) -> dict[str, Any]:
        """What `compared` takes from a value decides."""

        def __eq__(self: Any, other: object) -> Any:  # noqa: N807
            if other.__class__ is not self.__class__:
                return NotImplemented
            return compared(self) == compared(other)

        def __hash__(self: Any) -> int:  # noqa: N807
            return hash(compared(self))

        return {"__eq__": __eq__, "__hash__": __hash__}

    def _frozen(self: Any, name: str, *_: Any) -> None:
        raise FrozenInstanceError(f"{type(self).__name__} is a value: {name} cannot be changed")
