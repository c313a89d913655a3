# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.smoke
def test_bare_import_loads_nothing_else() -> None:
    assert (
        run("import sys, pytriton; print([m for m in sys.modules if m.startswith(('pytriton.', 'numpy'))])")
        == "[]"
    )


@pytest.mark.smoke
def test_submodules_come_with_a_bare_import() -> None:
    code = "import pytriton; print(pytriton.triton.Triton.__name__, pytriton.model_config.Tensor.__name__)"
    assert run(code) == "Triton Tensor"


@pytest.mark.smoke
def test_unknown_attribute_is_an_attribute_error() -> None:
    assert (
        run("import pytriton; print(hasattr(pytriton, 'no_such_thing'), 'triton' in dir(pytriton))")
        == "False True"
    )


def test_version_is_the_one_in_pyproject(root: Path) -> None:
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    match = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert match is not None
    assert run("import pytriton; print(pytriton.__version__)") == match[1]
    assert f"## {match[1]} " in (root / "CHANGELOG.md").read_text(encoding="utf-8")


def test_readme_shows_the_example(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    example = (root / "examples" / "linear_numpy" / "server.py").read_text(encoding="utf-8")
    shown = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert any(example.endswith(f"\n{block}") for block in shown if "triton.bind(" in block)


def test_readme_links_lead_somewhere(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", readme) if "://" not in target]
    assert targets
    assert not [target for target in targets if not (root / target).exists()]
