# SPDX-License-Identifier: Apache-2.0
"""Results of a request: readable, as JSON, in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pytriton import dtypes
from pytriton.client.exceptions import PyTritonClientValueError

__all__ = ["SUFFIXES", "as_document", "as_text", "check_path", "save"]

Outputs = Mapping[str, npt.NDArray[Any]]
SUFFIXES: Final = (".npy", ".npz", ".json")
_SHOWN: Final = 200
_EDGE: Final = 5


def as_text(array: npt.NDArray[Any], width: int) -> str:
    """An array's values; of large ones the beginning and the end."""
    return np.array2string(
        _readable(array),
        max_line_width=width,
        threshold=_SHOWN,
        edgeitems=_EDGE,
        separator=", ",
        suppress_small=False,
        formatter={"object": repr, "str_kind": repr} if array.dtype.kind in "OSU" else None,
    )


def as_document(outputs: Outputs) -> dict[str, Any]:
    """The same for programs: datatype, shape and values by name."""
    return {
        name: {
            "datatype": dtypes.resolve(array.dtype).name,
            "shape": list(array.shape),
            "data": _readable(array).tolist(),
        }
        for name, array in outputs.items()
    }


def check_path(path: Path) -> None:
    """Refuse a file that results cannot be saved to, before anything is asked."""
    if path.suffix not in SUFFIXES:
        raise PyTritonClientValueError(
            f"--output {path}: expected a file that ends in {', '.join(SUFFIXES)}."
        )
    if not path.absolute().parent.is_dir():
        raise PyTritonClientValueError(f"--output {path}: there is no directory {path.absolute().parent}.")


def save(outputs: Sequence[Outputs], path: Path) -> None:
    """Save the results: .npz and .json all of them, .npy the only one.

    Args:
        outputs: One for each response; of a stream there may be several.
        path: Where to.
    """
    try:
        if path.suffix == ".json":
            documents = [as_document(each) for each in outputs]
            whole = documents[0] if len(documents) == 1 else documents
            path.write_text(json.dumps(whole, ensure_ascii=False) + "\n", encoding="utf-8")
            return
        named = _named(outputs)
        if path.suffix == ".npz":
            np.savez(path, **named)  # type: ignore[arg-type]
        elif len(named) == 1:
            np.save(path, next(iter(named.values())))
        else:
            raise PyTritonClientValueError(
                f"--output {path}: there are {len(named)} arrays ({', '.join(named)}); save them as .npz."
            )
    except OSError as error:
        raise PyTritonClientValueError(f"--output {path}: {error.strerror or error}.") from None


def _named(outputs: Sequence[Outputs]) -> dict[str, npt.NDArray[Any]]:
    single = len(outputs) == 1
    return {
        name if single else f"{name}_{position}": _storable(array)
        for position, each in enumerate(outputs)
        for name, array in each.items()
    }


def _storable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # Of objects NumPy would make pickles, which nobody should have to load.
    return array.astype(np.bytes_) if array.dtype == object else array


def _readable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype.kind not in "OS":
        return array
    decoded = np.empty(array.size, object)
    decoded[:] = [
        value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
        for value in array.ravel()
    ]
    return decoded.reshape(array.shape)
