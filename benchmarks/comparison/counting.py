# SPDX-License-Identifier: Apache-2.0
"""Lines, and names of the frameworks, of the three programs in each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["concepts", "lines", "table"]

HERE: Final = Path(__file__).parent
FRAMEWORKS: Final = ("pytriton", "fastapi", "litserve", "bentoml")
PROGRAMS: Final = ("classifier", "embedder", "token_streamer")
MODELS_OWN: Final = ("projection", "embed")
PACKAGES: Final = {
    "pytriton": {"pytriton"},
    "fastapi": {"fastapi", "pydantic"},
    "litserve": {"litserve", "fastapi"},
    "bentoml": {"bentoml", "pydantic"},
}


def table() -> str:
    """Lines and names of each program, and of all of a framework."""
    rows = [f"{'':12}" + "".join(f"{program:>22}" for program in (*PROGRAMS, "all"))]
    for framework in FRAMEWORKS:
        texts = [(HERE / f"in_{framework}" / f"{program}.py").read_text() for program in PROGRAMS]
        names = [set(concepts(text, PACKAGES[framework])) for text in texts]
        cells = [f"{lines(text)} lines, {len(found)} names" for text, found in zip(texts, names, strict=True)]
        cells.append(f"{sum(map(lines, texts))} lines, {len(set().union(*names))} names")
        rows.append(f"{framework:12}" + "".join(f"{cell:>22}" for cell in cells))
        rows.append(f"{'':12}{', '.join(sorted(set().union(*names)))}")
    return "\n".join(rows)


def lines(text: str) -> int:
    """Lines with something other than a comment on them."""
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.splitlines())


def concepts(text: str, packages: set[str]) -> Iterator[str]:
    """What has to be known of a framework: names that are imported or looked up, arguments, methods."""
    tree = ast.parse(text)
    known: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {a.asname or a.name for a in node.names if a.name.partition(".")[0] in packages}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in packages:
            imported = {alias.asname or alias.name for alias in node.names}
            known |= imported
            yield from imported
    known |= {
        each.name for each in ast.walk(tree) if isinstance(each, ast.ClassDef) and _bases(each) & {"ls"}
    }
    own = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and _root(node.value.func) in known
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _root(node) in known | own | {"request"}:
            if node.attr not in MODELS_OWN:
                yield f".{node.attr}"
        elif isinstance(node, ast.Call) and _root(node.func) in known | own:
            yield from (f"{keyword.arg}=" for keyword in node.keywords if keyword.arg)
        elif isinstance(node, ast.ClassDef) and "ls" in _bases(node):
            methods = (ast.FunctionDef, ast.AsyncFunctionDef)
            yield from (f"def {each.name}" for each in node.body if isinstance(each, methods))


def _bases(node: ast.ClassDef) -> set[str | None]:
    return {_root(base) for base in node.bases}


def _root(node: ast.AST) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None
