# SPDX-License-Identifier: Apache-2.0
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
# mypy: disable-error-code="import-not-found"
"""What editors see of the client module that `client_stub` writes; `stub` is that module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from stub import Add, Embedder, Shout, Summary, Tokens
    from typing_extensions import assert_type

    x = np.ones((2, 3), np.float32)
    with Add("localhost") as add:
        assert_type(add(x, x), npt.NDArray[np.float32])
        assert_type(add(y=x, x=x), npt.NDArray[np.float32])
        add(x)  # type: ignore[call-arg]
        add(x, "text")  # type: ignore[arg-type]
    shout = Shout("localhost", inference_timeout_s=3)
    assert_type(shout("a", times=2, end="!"), str)
    shout("a", 2)  # type: ignore[call-arg]
    shout("a", end="?")  # type: ignore[arg-type]
    assert_type(Summary("localhost")(x).label, list[str])
    assert_type(Summary("localhost")(x, scale=2.0).mean, npt.NDArray[np.float32])
    assert_type(Tokens("grpc://localhost")("a"), Iterator[str])
    assert_type(Embedder("localhost")(["a"]), npt.NDArray[np.float32])
