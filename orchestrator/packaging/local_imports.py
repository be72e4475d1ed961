"""Imports in a module's source: every one that a server may run, and whether the code can do without it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence


def imports_of(body: Sequence[ast.AST], *, optional: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every import at any depth, and whether the code may do without it.

    What only a type checker or a script reads is left out.
    """
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, optional
        elif isinstance(node, ast.If) and _never_imported(node.test):
            yield from imports_of(node.orelse, optional=optional)
        else:
            guarded = optional or isinstance(node, ast.If | ast.Try) or _suppresses(node)
            yield from imports_of([*ast.iter_child_nodes(node)], optional=guarded)


def _never_imported(test: ast.AST) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'"}


def _suppresses(node: ast.AST) -> bool:
    return isinstance(node, ast.With) and any("suppress(" in ast.unparse(item) for item in node.items)
