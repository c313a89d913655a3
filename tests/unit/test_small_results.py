# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from pytriton.model_config import Tensor
from pytriton.request import Array
from tests.helpers.serving import FLOAT, serving

ROW = np.arange(4, dtype=np.float32).reshape(1, 4)
LARGE = np.arange(1 << 16, dtype=np.float32).reshape(1, -1)


class Unhurried(dict[str, Any]):
    """A response that is like any other, but does not take the short way of small ones."""


@pytest.mark.parametrize("batching", [True, False])
@pytest.mark.parametrize("decoupled", [True, False])
@pytest.mark.parametrize(
    "given",
    [
        (ROW, ROW + 1),
        (ROW, np.zeros((1, 0), np.int32)),
        (ROW, np.arange(6, dtype=np.int32).reshape(1, 2, 3)),
        (ROW.astype(">f4"), ROW),
        (ROW[:, ::2], np.array([[7]], np.int32)),
        (LARGE, np.array([[7]], np.int32)),
    ],
)
def test_small_results_are_as_others(given: tuple[Array, ...], *, decoupled: bool, batching: bool) -> None:
    kinds: Iterator[Any] = iter((dict, Unhurried))

    def function(requests: Any) -> Any:
        kind = next(kinds)
        return [kind(zip(("OUTPUT_2", "OUTPUT_1"), given, strict=True)) for _ in requests]

    outputs = [FLOAT, Tensor((-1,), np.int32)]
    with serving(function, [FLOAT], outputs, batching=batching, decoupled=decoupled) as served:
        rows = [ROW, ROW] if batching else [ROW]
        swift, slow = served.echo(*rows), served.echo(*rows)
        for request in range(len(rows)):
            for index in range(2):
                one, other = swift.output(index, request), slow.output(index, request)
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(2, 4), (4,), ()])
def test_small_results_of_a_wrong_batch_size_are_refused(shape: tuple[int, ...]) -> None:
    wrong = np.zeros(shape, np.float32)
    with serving(lambda requests: [{"OUTPUT_1": wrong} for _ in requests], decoupled=True) as served:
        assert "expected the batch size 1" in served.echo(ROW).error(request=0)
