# SPDX-License-Identifier: Apache-2.0
"""The clients' gRPC with every major version of protobuf that users may have, against a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.clients import Array
from tests.helpers.server import LOCAL, Model, Server, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MAJORS: Final = (4, 5, 6, 7)
PROGRAM: Final = """
import sys
import google.protobuf
import numpy as np
from pytriton.client import DecoupledModelClient, ModelClient
from pytriton.client.exceptions import PyTritonClientError
from pytriton.client.options import InferOptions

assert google.protobuf.__version__.startswith(sys.argv[2] + "."), google.protobuf.__version__
url = sys.argv[1]
large = np.arange(100_000, dtype=np.float32)
with ModelClient(url, "double", shared_memory="always") as client:
    client.wait_for_model(20)
    assert client.model_config.max_batch_size == 8
    assert [spec.name for spec in client.model_config.inputs] == ["x"]
    assert np.array_equal(client.infer_sample(large)["x_out"], 2 * large)
with ModelClient(url, "double") as client:
    options = InferOptions(priority=1, request_id="a", outputs=["x_out"])
    result = client.infer_batch([[1], [2]], parameters={"a": 1, "b": True, "c": "d"}, options=options)
    assert result["x_out"].tolist() == [[2], [4]]
with ModelClient(url, "nope") as client:
    try:
        client.infer_sample([1])
    except PyTritonClientError as error:
        assert '"double"' in str(error), error
    else:
        raise AssertionError
with DecoupledModelClient(url, "count") as client:
    assert [outputs["x_out"].item() for outputs in client.infer_sample([3])] == [0, 1, 2]
print("done")
"""


@batch
def double(x: Array) -> dict[str, Array]:
    return {"x_out": 2 * x}


@batch
def count(x: Array) -> Iterator[dict[str, Array]]:
    for number in range(int(x[0, 0])):
        yield {"x_out": np.full_like(x, number)}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    x, y = [Tensor((-1,), np.float32, "x")], [Tensor((-1,), np.float32, "x_out")]
    models = [
        Model("double", double, x, y, ModelConfig(max_batch_size=8)),
        Model("count", count, x, y, ModelConfig(max_batch_size=8, decoupled=True)),
    ]
    with running(*models) as running_server:
        yield running_server


@pytest.mark.parametrize("major", MAJORS)
def test_client(server: Server, tmp_path: Path, major: int) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path)]
    subprocess.run([*pip, f"protobuf=={major}.*"], check=True)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, f"grpc://{LOCAL}:{server.grpc_port}", str(major)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
