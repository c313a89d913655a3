# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pytriton import dtypes
from pytriton.dtypes import DATATYPES, DataType
from pytriton.exceptions import PyTritonValidationError

NUMERIC = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}


class JaxLikeScalar:
    """Array libraries have scalar classes that are no NumPy types but carry the dtype."""

    dtype = np.dtype(np.float32)


# (given, v2 name, what Tensor.dtype becomes)
CASES: list[tuple[Any, str, type[Any]]] = [
    *((scalar, name, scalar) for name, scalar in NUMERIC.items()),
    *((np.dtype(scalar), name, scalar) for name, scalar in NUMERIC.items()),
    *((np.dtype(scalar).name, name, scalar) for name, scalar in NUMERIC.items()),
    *((np.dtype(scalar).str, name, scalar) for name, scalar in NUMERIC.items()),
    *((name, name, scalar) for name, scalar in NUMERIC.items()),
    *((f"TYPE_{name}", name, scalar) for name, scalar in NUMERIC.items()),
    (bool, "BOOL", np.bool_),
    (int, "INT64", np.int64),
    (float, "FP64", np.float64),
    (np.longlong, "INT64", np.int64),
    (np.ulonglong, "UINT64", np.uint64),
    (np.intc, "INT32", np.int32),
    (np.dtype(">f4"), "FP32", np.float32),
    (">i2", "INT16", np.int16),
    ("bool", "BOOL", np.bool_),
    ("int", "INT64", np.int64),
    ("float", "FP64", np.float64),
    ("f", "FP32", np.float32),
    (JaxLikeScalar, "FP32", np.float32),
    (bytes, "BYTES", bytes),
    (str, "BYTES", str),
    (object, "BYTES", object),
    (np.bytes_, "BYTES", np.bytes_),
    (np.str_, "BYTES", np.str_),
    (np.object_, "BYTES", np.object_),
    (np.dtype("S"), "BYTES", np.bytes_),
    (np.dtype("S5"), "BYTES", np.bytes_),
    (np.dtype("U7"), "BYTES", np.str_),
    (np.dtype("O"), "BYTES", np.object_),
    ("S5", "BYTES", np.bytes_),
    ("U", "BYTES", np.str_),
    ("O", "BYTES", np.object_),
    ("object", "BYTES", np.object_),
    ("bytes", "BYTES", np.bytes_),
    ("str", "BYTES", np.str_),
    ("BYTES", "BYTES", np.bytes_),
    ("TYPE_STRING", "BYTES", np.bytes_),
]

UNSUPPORTED: list[Any] = [
    None,
    complex,
    np.complex64,
    "complex128",
    np.longdouble,
    np.datetime64,
    np.timedelta64,
    "datetime64[s]",
    datetime.datetime,
    np.void,
    np.dtype([("a", "f4")]),
    [("a", "f4")],
    (np.float32, (2,)),
    {"names": ["a"], "formats": ["f4"]},
    np.generic,
    np.number,
    np.integer,
    np.floating,
    np.character,
    list,
    dict,
    np.ndarray,
    "",
    "float31",
    "TYPE_BYTES",
    "fp32",
    5,
    3.5,
    memoryview,
]


@pytest.mark.parametrize(("given", "name", "scalar"), CASES, ids=repr)
def test_whatever_a_user_gives_is_resolved(given: Any, name: str, scalar: type[Any]) -> None:
    assert dtypes.resolve(given).name == name
    assert dtypes.scalar_type(given) is scalar


@pytest.mark.parametrize("given", UNSUPPORTED, ids=repr)
def test_an_unsupported_dtype_is_refused_with_the_list_of_supported_ones(given: Any) -> None:
    with pytest.raises(PyTritonValidationError, match=r"is not supported; supported are bool, uint8-uint64"):
        dtypes.resolve(given)


def test_the_message_names_what_was_given() -> None:
    with pytest.raises(PyTritonValidationError, match="complex64"):
        dtypes.resolve(np.complex64)


@pytest.mark.parametrize("row", DATATYPES, ids=lambda row: row.name)
def test_every_row_is_found_by_all_of_its_names(row: DataType) -> None:
    assert dtypes.from_name(row.name) is row
    assert dtypes.from_number(row.number) is row
    assert dtypes.from_config_name(row.config_name) is row
    assert dtypes.resolve(row.name) is row
    assert dtypes.resolve(row.config_name) is row


@pytest.mark.parametrize("row", [r for r in DATATYPES if r.name in NUMERIC], ids=lambda row: row.name)
def test_numbers_have_the_size_and_type_of_numpy(row: DataType) -> None:
    assert row.numpy_dtype == np.dtype(NUMERIC[row.name])
    assert row.numpy_dtype.itemsize == row.byte_size
    assert row.numpy_dtype.isnative
    assert row.config_name == f"TYPE_{row.name}"


def test_the_table_is_that_of_the_server() -> None:
    assert [(row.number, row.name) for row in DATATYPES] == list(
        enumerate([*NUMERIC, "BYTES", "BF16"], start=1)
    )


def test_strings_are_objects_of_any_size() -> None:
    assert dtypes.BYTES.numpy_dtype == np.dtype(object)
    assert dtypes.BYTES.byte_size == 0
    assert dtypes.BYTES.config_name == "TYPE_STRING"


@pytest.mark.parametrize(
    ("find", "key"),
    [
        (dtypes.from_name, "STRING"),
        (dtypes.from_name, "fp32"),
        (dtypes.from_config_name, "TYPE_BYTES"),
        (dtypes.from_config_name, "TYPE_INVALID"),
        (dtypes.from_number, 0),
        (dtypes.from_number, 15),
    ],
)
def test_unknown_names_and_numbers_are_refused(find: Any, key: Any) -> None:
    with pytest.raises(PyTritonValidationError, match=f"{key}.*known are"):
        find(key)


def test_bfloat16_is_resolved_where_ml_dtypes_is_installed() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")

    for given in ("bfloat16", "BF16", "TYPE_BF16", ml_dtypes.bfloat16, np.dtype(ml_dtypes.bfloat16)):
        row = dtypes.resolve(given)
        assert (row.name, row.number, row.byte_size) == ("BF16", 14, 2)
        assert dtypes.scalar_type(given) is ml_dtypes.bfloat16
    assert dtypes.from_name("BF16").numpy_dtype == np.dtype(ml_dtypes.bfloat16)


@pytest.mark.parametrize("name", ["int4", "uint4", "float8_e5m2", "float8_e4m3fn"])
def test_other_types_of_ml_dtypes_are_refused(name: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")

    with pytest.raises(PyTritonValidationError, match="not supported"):
        dtypes.resolve(getattr(ml_dtypes, name))


def test_bfloat16_without_ml_dtypes_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)

    assert dtypes.resolve("bfloat16").name == "BF16"
    with pytest.raises(PyTritonValidationError, match="pip install ml_dtypes"):
        dtypes.scalar_type("bfloat16")


def test_ml_dtypes_is_not_imported_for_other_types() -> None:
    script = (
        "import sys, numpy as np, pytriton.dtypes as d\n"
        "[row.numpy_dtype for row in d.DATATYPES if row.name != 'BF16']\n"
        "d.resolve('float32'); d.resolve('BF16'); d.scalar_type(np.int8)\n"
        "sys.exit('ml_dtypes' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
