# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from pytriton import dtypes
from pytriton.exceptions import PyTritonBadParameterError
from pytriton.model_config.common import (
    ModelWarmup,
    WarmupInput,
    generate_warmup_data,
    generate_warmup_requests,
)
from pytriton.model_config.triton_model_config import TensorSpec

NAMES = [row.numpy_name for row in dtypes.DATATYPES]


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    def save(array: Any) -> str:
        path = tmp_path / "data.npy"
        np.save(path, array)
        return str(path)

    return save


@pytest.mark.parametrize("name", [*NAMES, float, "FP32", np.dtype("int8")])
@pytest.mark.parametrize("batch_size", [3, None])
def test_zeros_of_every_dtype(name: Any, batch_size: int | None) -> None:
    data = generate_warmup_data(WarmupInput(name, [2, 4], zero_data=True), batch_size)
    assert data.shape == ((2, 4) if batch_size is None else (3, 2, 4))
    assert data.dtype == dtypes.resolve(name).numpy_dtype
    assert (data == (b"" if data.dtype == object else 0)).all()


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (np.bool_, 0, 1),
        (np.int8, -128, 127),
        (np.uint8, 0, 255),
        (np.int16, -(2**15), 2**15 - 1),
        (np.uint16, 0, 2**16 - 1),
        (np.int32, 0, 99),
        (np.uint32, 0, 99),
        (np.int64, 0, 99),
        (np.uint64, 0, 99),
        (np.float16, 0, 1 - 2**-11),
        (np.float32, 0, 1 - 2**-24),
        (np.float64, 0, 1 - 2**-53),
        (ml_dtypes.bfloat16, 0, 1 - 2**-8),
    ],
)
def test_random_numbers_are_within_bounds(dtype: Any, low: float, high: float) -> None:
    data = generate_warmup_data(WarmupInput(dtype, (10_000,), random_data=True), 2)
    assert data.shape == (2, 10_000)
    assert data.dtype == np.dtype(dtype)
    exact = data.astype(np.float64)
    assert low <= exact.min()
    assert exact.max() <= high
    # The chance that a tenth of the range at either end stays empty is nil.
    assert exact.min() <= low + (high - low) / 10
    assert exact.max() >= high - (high - low) / 10


@pytest.mark.parametrize("dtype", [bytes, str, object, np.bytes_, np.str_, np.dtype("S3")])
def test_random_strings(dtype: Any) -> None:
    data = generate_warmup_data(WarmupInput(dtype, (1000,), random_data=True), 1)
    assert data.dtype == object
    lengths = {len(string) for string in data[0]}
    assert (min(lengths), max(lengths)) == (8, 32)
    assert all(string.isalnum() and string == string.lower() for string in data[0])
    assert len(set(data[0])) == 1000


def test_scalars() -> None:
    assert generate_warmup_data(WarmupInput(np.int32, (), random_data=True), 5).shape == (5,)
    assert generate_warmup_data(WarmupInput(bytes, (), random_data=True), 5).shape == (5,)


@pytest.mark.parametrize("shape", [(2,), [2]])
def test_files(saved: Any, shape: Any) -> None:
    def load(array: Any, batch_size: int | None, dtype: Any = np.float32) -> Any:
        return generate_warmup_data(WarmupInput(dtype, shape, input_data_file=saved(array)), batch_size)

    rows = np.arange(6).reshape(3, 2)
    assert load(rows, 3).tolist() == rows.tolist()
    assert load(rows, 3).dtype == np.float32
    assert load(rows[0], 3).tolist() == [[0, 1]] * 3
    assert load(rows, 2).tolist() == [[0, 1], [2, 3]]
    assert load(rows, 5).tolist() == [[0, 1], [2, 3], [4, 5], [0, 1], [2, 3]]
    assert load(rows[0], None).tolist() == [0, 1]
    assert load(np.array(["a", "é"]), 1, bytes).tolist() == [[b"a", "é".encode()]]
    assert load(np.array([b"a", b"b"]), 1, object).tolist() == [[b"a", b"b"]]
    load(rows[0], 3)[...] = 1  # a copy that may be written to


def test_files_that_do_not_fit(saved: Any, tmp_path: Path) -> None:
    def fail(item: WarmupInput, batch_size: int | None, message: str) -> None:
        with pytest.raises(PyTritonBadParameterError, match=message):
            generate_warmup_data(item, batch_size)

    path = saved(np.zeros((3, 2)))
    fail(
        WarmupInput(np.float32, (4,), input_data_file=path),
        3,
        r"data\.npy has shape \(3, 2\); expected \(3, 4\)",
    )
    fail(WarmupInput(np.float32, (2,), input_data_file=path), None, r"expected \(2,\)\.")
    fail(WarmupInput(bytes, (2,), input_data_file=path), 3, "dtype float64, which cannot become object")
    path = saved(np.array(["a", "b"]))
    fail(WarmupInput(np.float32, (2,), input_data_file=path), 3, r"\|S1, which cannot become float32")
    path = saved(np.zeros((0, 2)))
    fail(WarmupInput(np.float32, (2,), input_data_file=path), 3, r"shape \(0, 2\)")
    path = saved(np.array([b"x"], dtype=object))
    fail(WarmupInput(bytes, (1,), input_data_file=path), 1, "cannot be read: .*allow_pickle")
    fail(WarmupInput(bytes, (1,), input_data_file=str(tmp_path / "no")), 1, "no cannot be read")
    (tmp_path / "empty").touch()
    fail(WarmupInput(bytes, (1,), input_data_file=str(tmp_path / "empty")), 1, "empty cannot be read")
    with open(tmp_path / "two.npz", "wb") as file:
        np.savez(file, a=np.zeros(1))
    fail(WarmupInput(bytes, (1,), input_data_file=str(tmp_path / "two.npz")), 1, "must be one array")


def test_one_source_is_needed(saved: Any) -> None:
    path = saved(np.full((1, 2), 7))
    item = WarmupInput(np.int8, (2,), zero_data=True, random_data=True, input_data_file=path)
    assert generate_warmup_data(item, 1).tolist() == [[7, 7]]
    item.input_data_file = None
    assert generate_warmup_data(item, 1).tolist() == [[0, 0]]
    with pytest.raises(PyTritonBadParameterError, match="`zero_data`, `random_data` or `input_data_file`"):
        generate_warmup_data(WarmupInput(np.int8, (2,)), 1)
    with pytest.raises(PyTritonBadParameterError, match="complex"):
        generate_warmup_data(WarmupInput(complex, (2,), zero_data=True), 1)


def test_requests() -> None:
    zeros = WarmupInput(np.float32, (2,), zero_data=True)
    warmups = [ModelWarmup("a", 2, {"x": zeros}, 2), ModelWarmup("b", 1, {"x": zeros, "y": zeros}, 1)]
    requests = generate_warmup_requests(warmups, [], [])
    assert [{name: array.shape for name, array in request.items()} for request in requests] == [
        {"x": (2, 2)},
        {"x": (2, 2)},
        {"x": (1, 2), "y": (1, 2)},
    ]
    assert generate_warmup_requests(None, [], []) == []
    with pytest.raises(PyTritonBadParameterError, match=r'Warm-up "b" has an input "y"; the model has x\.'):
        generate_warmup_requests(warmups, [TensorSpec("x", (2,), np.float32)], [])
