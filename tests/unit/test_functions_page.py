# SPDX-License-Identifier: Apache-2.0
"""What docs/functions.md says of functions and `bind` is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pytriton.decorators
from pytriton.client.exceptions import PyTritonClientInferenceServerError
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.testing import TestClient
from pytriton.triton import Triton

PAGE = (Path(__file__).parents[2] / "docs" / "functions.md").read_text(encoding="utf-8")


def test_the_program() -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": "program"}
    exec(program, names)
    with TestClient(names["triton"]) as client:
        result = client.model("AddSub").infer_sample([3.0], [1.0])
    assert (result["add"].tolist(), result["sub"].tolist()) == ([4.0], [2.0])
    assert names["add_sub"].__wrapped__(a=3, b=1) == {"add": 4, "sub": 2}


@pytest.mark.parametrize("name", re.findall(r"^\| `@(\w+)", PAGE, re.MULTILINE))
def test_decorators(name: str) -> None:
    assert callable(getattr(pytriton.decorators, name))


def test_defaults() -> None:
    assert f"rows, {ModelConfig().max_batch_size} by default" in " ".join(PAGE.split())


@pytest.mark.parametrize("strict", [False, True])
def test_a_misspelt_output(strict: bool) -> None:
    @batch
    def misspelt(x: Any) -> Any:
        return {"scroes": x}

    triton = Triton()
    tensor = [Tensor(name="x", dtype=np.float32, shape=(1,))]
    triton.bind("m", misspelt, tensor, [Tensor(name="scores", dtype=np.float32, shape=(1,))], strict=strict)
    with TestClient(triton) as client:
        if not strict:
            assert client.model("m").infer_sample([1]) == {}
            return
        with pytest.raises(PyTritonClientInferenceServerError, match="scroes"):
            client.model("m").infer_sample([1])
