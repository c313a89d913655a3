# SPDX-License-Identifier: Apache-2.0
"""The clients are made of layers: a file imports of its own group and of layers beneath, of no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import pytriton.client

ROOT: Final = Path(pytriton.client.__file__).parent
LAYERS: Final = (
    {"exceptions"},
    {"_texts"},
    {"auth", "options", "warnings"},
    {"_core", "_threads"},
    {"_http", "_grpc"},
    {"_transports"},
    {"_shared_memory"},
    {"_waits"},
    {"asyncio_utils", "utils"},
    {"_base"},
    {"asyncio_decoupled_model_client", "asyncio_model_client", "decoupled_model_client", "model_client"},
    {"futures_model_client"},
    {"__init__", "client"},
    {"typed"},
)
"""Groups, which are packages or modules of pytriton.client; the lowest ones come first."""
LAYER_OF: Final = {group: layer for layer, groups in enumerate(LAYERS) for group in groups}
GROUPS: Final = sorted({path.relative_to(ROOT).with_suffix("").parts[0] for path in ROOT.rglob("*.py")})
PACKAGES: Final = sorted(path.parent for path in ROOT.glob("*/__init__.py"))
INPUT_OUTPUT: Final = {"asyncio", "grpc", "httptools", "select", "selectors", "socket", "ssl", "threading"}


def files_of(group: str) -> list[Path]:
    """The files of a package, or the one of a module."""
    folder = ROOT / group
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [ROOT / f"{group}.py"]


def imports_of(path: Path) -> Iterator[str]:
    """What a file imports, at once, at first use or for types: dotted paths."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def group_of(imported: str) -> str | None:
    """The group of the clients that a dotted path belongs to, if it is one of them."""
    if not f"{imported}.".startswith("pytriton.client."):
        return None
    name, *_ = [*imported.split(".")[2:], "__init__"]
    return name if (ROOT / name).is_dir() or (ROOT / f"{name}.py").exists() else "__init__"


def test_every_group_has_a_layer() -> None:
    assert sorted(LAYER_OF) == GROUPS


@pytest.mark.parametrize("group", GROUPS)
def test_imports_lead_downwards(group: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {imported}"
        for path in files_of(group)
        for imported in imports_of(path)
        if (other := group_of(imported)) not in (None, group) and LAYER_OF[other] >= LAYER_OF[group]
    ]
    assert not wrong


def test_the_core_is_without_input_and_output() -> None:
    found = {
        (path.name, module)
        for path in files_of("_core")
        for module in (imported.partition(".")[0] for imported in imports_of(path))
        if module in INPUT_OUTPUT
    }
    # Flows run in threads and in tasks; a thread needs no import for it.
    assert found == {("flow_aio.py", "asyncio")}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_packages_are_empty(package: Path) -> None:
    assert {imported.partition(".")[0] for imported in imports_of(package / "__init__.py")} == {"__future__"}
