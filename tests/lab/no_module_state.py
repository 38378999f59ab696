"""A check: no module of the package carries a run. What a run has to remember is handed through, not kept in a module.

Found is each name of a module that a function assigns again (`global`) or fills (by a method as .append(), an item, an
attribute, also through an import), and each that is an object which changes itself. A function with a cache is none.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILLING = """add append appendleft clear difference_update discard extend extendleft insert intersection_update pop popitem
    popleft put remove reverse rotate setdefault sort symmetric_difference_update update""".split()
Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def own(scope: ast.AST) -> Iterator[ast.AST]:
    """All below it but what is inside of functions and classes there."""
    left = [*ast.iter_child_nodes(scope)]
    while left:
        yield (node := left.pop())
        if not isinstance(node, Definition):
            left.extend(ast.iter_child_nodes(node))


def bound(scope: ast.AST) -> frozenset[str]:
    """The names that it assigns as its own; not those that it imports."""
    mine, others = set(), set()
    for node in own(scope):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                mine.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                mine.add(name)
            case ast.Global(names=names):
                others.update(names)
    return frozenset(mine - others)


def functions(scope: ast.AST, hidden: frozenset[str] = frozenset()) -> Iterator[tuple[ast.AST, frozenset[str]]]:
    """(function, the names that are no module's in it) for each in it, however deep."""
    for node in own(scope):
        if isinstance(node, ast.ClassDef):
            yield from functions(node, hidden)
        elif isinstance(node, Definition):
            here = hidden | bound(node)
            yield node, here
            yield from functions(node, here)


def filled(scope: ast.AST) -> Iterator[tuple[int, str, str]]:
    """(line, name, first attribute or "") of what the scope itself changes in place: for a.b[0].c.append(1) a and b."""
    for node in own(scope):
        attribute = ""
        match node:
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                what: ast.expr = node
            case ast.Subscript(value=what, ctx=ast.Store() | ast.Del()):
                pass
            case ast.Call(func=ast.Attribute(value=what, attr=method)) if method in FILLING:
                pass
            case ast.Call(func=ast.Name(id="next"), args=[what, *_]):
                pass
            case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[what, name, *_]):
                attribute = str(name.value) if isinstance(name, ast.Constant) else "?"
            case _:
                continue
        while isinstance(what, (ast.Attribute, ast.Subscript)):
            attribute = what.attr if isinstance(what, ast.Attribute) else attribute
            what = what.value
        if isinstance(what, ast.Name):
            yield node.lineno, what.id, attribute


def find(package: Path) -> Iterator[tuple[Path, int, str]]:
    """(file, line, name) of each."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(package.rglob("*.py"))}
    tops = [node for tree in trees.values() for node in own(tree)]
    classes = {node.name: node for node in tops if isinstance(node, ast.ClassDef)}
    variables = {name for tree in trees.values() for name in bound(tree)}
    modules = {path.stem for path in trees} | {path.parent.name for path in trees}
    changing = {
        name
        for name, each in classes.items()
        for method in each.body
        if getattr(method, "name", "__init__") != "__init__" and "self" in {name for _, name, _ in filled(method)}
    }
    for file, tree in trees.items():
        for node in own(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in changing:
                yield file, node.lineno, f"{node.func.id}()"
        for function, hidden in functions(tree):
            for node in own(function):
                if isinstance(node, ast.Global):
                    yield from ((file, node.lineno, name) for name in node.names)
            for line, name, attribute in filled(function):
                if name in hidden:
                    continue
                if name in variables:
                    yield file, line, name
                elif attribute and name in modules:
                    yield file, line, attribute
                elif attribute and name in classes:
                    yield file, line, f"{name}.{attribute}"


def main(package: Path = Path("hermes_setup")) -> int:
    """Prints all; 1 where there is one."""
    found = sorted(set(find(package)))
    for file, line, name in found:
        print(f"{file}:{line}: {name} is changed by a run")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
