# SPDX-License-Identifier: Apache-2.0
"""What the README and the page on applications show is so."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pytest

from pytriton import F32, U8, App
from pytriton.app import Model
from pytriton.exceptions import PyTritonDefinitionError
from pytriton.testing import TestClient
from tests.helpers.applications import app

ROOT = Path(__file__).resolve().parents[3]
PAGES = ["README.md", "docs/application.md"]


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.M)


@pytest.fixture
def linear(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    block = next(block for block in blocks(request.param) if "def linear(" in block)
    module = types.ModuleType("linear")
    monkeypatch.setitem(sys.modules, "linear", module)
    exec(block, vars(module))
    return module


@pytest.mark.parametrize("linear", PAGES, indirect=True)
def test_the_first_program(linear: types.ModuleType) -> None:
    with TestClient(linear.app) as client:
        assert client.model("linear").infer_sample([1, 2])["output"].tolist() == [3.0, 3.0, 3.0]


def test_the_first_program_has_eight_lines() -> None:
    block = next(block for block in blocks("README.md") if "def linear(" in block)
    assert len([line for line in block.splitlines() if line.strip()]) == 8


def test_the_error_that_is_shown() -> None:
    page = (ROOT / "docs/application.md").read_text(encoding="utf-8")
    shown = re.search(r"^app\.py:9: (.*?)\n```", page, re.DOTALL | re.M)
    assert shown is not None

    def embed(mask: Annotated[F32, "batch", 3], text: str) -> Annotated[F32, "batch", 2]:
        raise NotImplementedError

    with pytest.raises(PyTritonDefinitionError) as caught:
        App().model(embed)
    assert str(caught.value).partition(": ")[2] == " ".join(shown[1].split())


def test_options_that_are_named() -> None:
    page = (ROOT / "docs/application.md").read_text(encoding="utf-8")
    section = page.partition("## Options")[2].partition("##")[0]
    options = [name for name in App.model.__kwdefaults__ or {} if name != "target"]
    assert options
    assert [name for name in options if f"`{name}`" not in section] == []


class ClassifyResult(NamedTuple):
    label: list[str]
    probability: Annotated[F32, "batch"]


def test_descriptions() -> None:
    described = App()

    @described.model(max_batch_size=16, version=2)
    def classify(
        image: Annotated[U8, "batch", 2, "w"], mask: Annotated[U8, "batch", -1] | None = None, top: int = 1
    ) -> ClassifyResult:
        """What an image shows."""
        raise NotImplementedError

    assert described.describe() == (
        "## classify\n\nWhat an image shows.\n\nVersion 2. Batches of up to 16 rows.\n\n"
        "| | name | datatype | shape | |\n| --- | --- | --- | --- | --- |\n"
        "| input | `image` | UINT8 | (batch, 2, w) |  |\n"
        "| input | `mask` | UINT8 | (batch, any) | optional |\n"
        "| parameter | `top` | int | | default `1` |\n"
        "| output | `label` | BYTES | (batch) |  |\n"
        "| output | `probability` | FP32 | (batch) |  |\n"
    )


def test_every_model_is_described() -> None:
    page: Any = app.describe()
    models: list[Model] = app.models
    assert [model.name for model in models] == re.findall(r"^## (.*)$", page, re.M)
