# SPDX-License-Identifier: Apache-2.0
"""The clients against MLServer, where it is installed: PYTRITON_MLSERVER or PATH says where `mlserver` is."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

import numpy as np
import pytest

from pytriton.client import AsyncioModelClient, FuturesModelClient, ModelClient
from pytriton.client.exceptions import PyTritonClientModelUnavailableError, PyTritonClientValueError
from tests.helpers.server import LOCAL, TIMEOUT_S, free_ports

_MLSERVER: Final = os.environ.get("PYTRITON_MLSERVER") or shutil.which("mlserver")
_START_S: Final = 50.0
_RUNTIME: Final = """
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Double(MLModel):
    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        array = NumpyCodec.decode_input(payload.inputs[0])
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("y", 2 * array)])
"""

pytestmark = [
    pytest.mark.skipif(_MLSERVER is None, reason="MLServer is not installed; see PYTRITON_MLSERVER"),
    pytest.mark.timeout(2 * _START_S),
]


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    assert _MLSERVER is not None
    folder = tmp_path_factory.mktemp("mlserver")
    http, grpc, metrics = free_ports(3)
    settings = {"host": LOCAL, "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    (folder / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0}))
    (folder / "double_runtime.py").write_text(_RUNTIME)
    tensors = [{"name": name, "datatype": "FP32", "shape": [-1, 2]} for name in "xy"]
    model = {"name": "double", "implementation": "double_runtime.Double"}
    described = json.dumps({**model, "inputs": tensors[:1], "outputs": tensors[1:]})
    (folder / "model-settings.json").write_text(described)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    with subprocess.Popen([_MLSERVER, "start", "."], cwd=folder, env=environment) as process:
        try:
            with ModelClient(f"http://{LOCAL}:{http}", "double", init_timeout_s=_START_S) as client:
                client.wait_for_model(_START_S)
            yield {"http": http, "grpc": grpc}
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


@pytest.fixture(params=["http", "grpc"])
def url(request: pytest.FixtureRequest, ports: dict[str, int]) -> str:
    return f"{request.param}://{LOCAL}:{ports[request.param]}"


def test_results(url: str) -> None:
    batch = np.arange(6, dtype=np.float32).reshape(3, 2)
    with ModelClient(url, "double") as client:
        assert client.infer_sample([1, 2])["y"].tolist() == [2, 4]
        assert np.array_equal(client.infer_batch(batch)["y"], 2 * batch)
    with FuturesModelClient(url, "double", max_workers=2) as futures:
        assert [result["y"].tolist() for result in futures.map(iter(batch))] == (2 * batch).tolist()

    async def main() -> None:
        async with AsyncioModelClient(url, "double") as client:
            assert np.array_equal((await client.infer_batch(batch))["y"], 2 * batch)

    asyncio.run(main())


def test_shared_memory_that_it_has_not(url: str) -> None:
    large = np.ones((100_000, 2), np.float32)
    with ModelClient(url, "double", shared_memory="auto") as client:
        for _ in range(2):
            assert np.array_equal(client.infer_batch(large)["y"], 2 * large)


def test_mistakes(url: str) -> None:
    with ModelClient(url, "double") as client, pytest.raises(PyTritonClientValueError, match=r"shape \(2\)"):
        client.infer_sample([1, 2, 3])
    unavailable = pytest.raises(PyTritonClientModelUnavailableError, match="The server answers")
    with ModelClient(url, "nope", init_timeout_s=5) as client, unavailable:
        client.infer_sample([1])
