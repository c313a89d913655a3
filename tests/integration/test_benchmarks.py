# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks ask of the package beyond its interface."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2

from benchmarks.cache import Cache
from benchmarks.measure.full_batch import measure_full_batch
from benchmarks.streams.bare import BareStream
from benchmarks.subjects.pytriton import PyTriton
from benchmarks.workbench import Workbench
from pytriton.model_config import ModelConfig, Tensor
from tests.helpers.server import Model, Server


def test_a_full_batch_is_copied_once_in_and_at_most_twice_out(tmp_path: Path) -> None:
    subject = PyTriton(Workbench(Cache(tmp_path / "cache"), Path(sys.executable)))
    counted = measure_full_batch(subject, tmp_path)
    assert [batch.rows for batch in counted] == [128] * 3
    assert all(batch.copies_in == 1 and 1 <= batch.copies_out <= 2 for batch in counted)


def test_a_client_that_only_counts_responses_gets_all_of_them(serve: Callable[..., Server]) -> None:
    def count(requests: list[Any]) -> Iterator[list[Any]]:
        for number in range(int(requests[0]["x"][0])):
            yield [{"y": np.array([number], np.float32)}]

    config = ModelConfig(batching=False, decoupled=True)
    server = serve(
        Model("count", count, [Tensor((1,), np.float32, "x")], [Tensor((1,), np.float32, "y")], config)
    )
    request = service_pb2.ModelInferRequest(model_name="count")
    request.inputs.add(name="x", datatype="FP32", shape=[1])
    request.raw_input_contents.append(np.float32(1000).tobytes())
    with BareStream(server.grpc_port, "/inference.GRPCInferenceService/ModelStreamInfer") as stream:
        stream.count(request.SerializeToString(), 1000)
        response = service_pb2.ModelStreamInferResponse.FromString(stream.last)
    assert not response.error_message
    assert response.infer_response.raw_output_contents[0] == np.float32(999).tobytes()
