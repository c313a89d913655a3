# SPDX-License-Identifier: Apache-2.0
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What editors see of an App: functions and classes stay what they are, and wrong options are marked.

An expected mistake is ignored, and an ignored mistake that is none is an error, for mypy and for pyright.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt

from pytriton import App, Router
from pytriton.app import Model
from pytriton.arrays import F32, Strings
from pytriton.model_config import ModelConfig
from pytriton.testing import TestClient, TestServer, serving
from pytriton.triton import Triton, TritonConfig

if TYPE_CHECKING:
    from typing_extensions import assert_type

    app = App()
    router = Router(prefix="v2.")
    app.include(router)
    app.include(router, prefix="x")
    app.include(app, "x")  # type: ignore[call-arg]

    @app.model
    def linear(features: Annotated[F32, "batch", 2], scale: float = 1.0) -> Annotated[F32, "batch", 3]:
        assert_type(features, npt.NDArray[np.float32])
        return np.zeros((len(features), 3), np.float32)

    assert_type(linear(np.zeros((1, 2), np.float32)), npt.NDArray[np.float32])
    linear(np.zeros((1, 2), np.float32), scale=2.0)
    linear("text")  # type: ignore[arg-type]
    linear(np.zeros((1, 2), np.float32), factor=1)  # type: ignore[call-arg]

    class Scored(NamedTuple):
        score: Annotated[F32, "batch"]
        label: list[str]

    class Counted(TypedDict):
        words: Annotated[Strings, "words"]
        count: int

    @router.model(name="label", max_batch_size=8)
    def label(text: list[str], mode: Literal["a", "b"] = "a") -> Scored:
        assert_type(text, list[str])
        return Scored(np.zeros(len(text), np.float32), text)

    assert_type(label(["a"], mode="b").label, list[str])
    label(["a"], mode="c")  # type: ignore[arg-type]

    @app.model(config=ModelConfig(max_batch_size=8), output="y", version=2)
    async def count(text: str) -> Counted:
        return {"words": np.array([text.encode()], object), "count": 1}

    async def use_count() -> None:
        assert_type((await count("a"))["count"], int)

    @app.model
    def tokens(prompt: str) -> Iterator[str]:
        yield prompt

    assert_type(tokens("a"), Iterator[str])

    @app.model
    async def tokens_async(prompt: str) -> AsyncIterator[str]:
        yield prompt

    @app.model(devices=["cuda:0"], workers=2)
    class Embedder:
        def __init__(self, device: str) -> None:
            self.device = device

        def __call__(self, text: list[str]) -> Annotated[F32, "batch", 2]:
            return np.zeros((len(text), 2), np.float32)

    assert_type(Embedder("cpu").device, str)
    assert_type(Embedder("cpu")(["a"]), npt.NDArray[np.float32])

    app.model(nmae="x")  # type: ignore[call-overload]
    app.model(name=1)  # type: ignore[call-overload]
    app.model(1)  # type: ignore[call-overload]

    assert_type(app.models, list[Model])
    assert_type(app.triton(config=TritonConfig(http_port=1)), Triton)
    app.triton(port=1)  # type: ignore[call-arg]
    app.serve(server="/opt/tritonserver")
    app.serve(server=1)  # type: ignore[arg-type]
    assert_type(app.describe(), str)
    assert_type(app.client_stub("app:app"), str)

    with TestClient(app, timeout_s=1.0) as client:
        assert_type(client, TestClient)
        assert_type(client.model("linear").infer_sample([1, 2]), dict[str, npt.NDArray[Any]])
        for step in client.stream("tokens").infer_sample("a"):
            assert_type(step, dict[str, npt.NDArray[Any]])
        client.model("linear").infer_together([{"features": [1, 2]}])

    with serving(app, config=TritonConfig(log_verbose=1)) as server:
        assert_type(server, TestServer)
        assert_type(server.http_url, str)
