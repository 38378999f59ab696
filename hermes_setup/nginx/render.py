"""Templates filled in, and the texts that earlier runs got from them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from hermes_setup.digests import digest
from hermes_setup.nginx import quoting
from hermes_setup.nginx.quoting import quote


@lru_cache
def _templates() -> str:
    """Beside the package when it is installed, at the repository's top in a checkout."""
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    places = (os.path.join(here, "templates"), os.path.join(os.path.dirname(here), "templates"))
    return next((path for path in places if os.path.isdir(path)), here)


@lru_cache
def template(name: str) -> str:
    """The text of a template."""
    with open(os.path.join(_templates(), name), encoding="utf-8") as file:
        return file.read()


def compile_templates() -> None:
    """Each template's code is kept beside them, as Python keeps that of its modules; install.sh calls this.

    Compiling them takes as long as all checks together. A template that differs from its code is compiled again.
    """
    os.makedirs(os.path.join(_templates(), _COMPILED), exist_ok=True)
    for entry in sorted(os.scandir(_templates()), key=lambda entry: entry.name):
        if entry.is_file():
            _compiled(entry.name)


_COMPILED = "__pycache__"


class Renderer:
    """Fills in templates. It knows the texts of earlier runs, so it need not load jinja2 for the same again."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        """`known` are the texts of earlier runs by their keys (see `render`); they are not checked again."""
        self.known = dict(known or {})
        self.used: dict[str, str] = {}
        """What this one rendered."""

    def render(self, name: str, **values: object) -> str:
        """A template filled in. Every value is a parsed one: nothing in it can end a string or a directive.

        The same templates, values and program give the same text. Raises TypeError for a value that can't be
        spelled out.
        """
        key = digest(name, _spelled(values), *_texts())
        text = self.used.get(key) or self.known.get(key) or str(_compiled(name).render(**values))
        return self.used.setdefault(key, text)

    def forget(self) -> None:
        """What was rendered so far is known, and nothing of it used: only what is rendered from now on will be stored."""
        self.known |= self.used
        self.used = {}


def _spelled(value: object) -> str:
    """The value as a text that no other value has."""
    match value:
        case None | bool() | int() | str():
            return repr(value)
        case tuple() | list():
            return f"[{','.join(map(_spelled, value))}]"
        case dict():
            return f"{{{','.join(f'{_spelled(key)}:{_spelled(each)}' for key, each in value.items())}}}"
        case _ if names := getattr(type(value), "__match_args__", ()):
            return f"{type(value).__name__}{_spelled({name: getattr(value, name) for name in names})}"
        case _:
            raise TypeError(f"no plain spelling of a {type(value).__name__}")


@lru_cache
def _texts() -> tuple[str, ...]:
    """All that decides what values are rendered to: this module's place and text, and all templates (one may include another)."""
    own = []
    for path in (__file__, quoting.__file__):
        with open(path, encoding="utf-8") as file:
            own.append(file.read())
    names = sorted(name for name in os.listdir(_templates()) if not name.startswith("_"))
    return (os.path.realpath(__file__), *own, *map(template, names))


@lru_cache
def _compiled(name: str) -> Any:
    import jinja2

    kept = os.path.join(_templates(), _COMPILED)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(template),
        bytecode_cache=jinja2.FileSystemBytecodeCache(kept) if os.path.isdir(kept) else None,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - nginx, not HTML
    )
    environment.filters["quote"] = quote
    environment.filters["nested"] = _nested
    return environment.get_template(name)


def _nested(text: str) -> str:
    """The lines as they stand one block deeper."""
    return "".join(f"    {line}" if line.strip() else line for line in text.splitlines(keepends=True))
