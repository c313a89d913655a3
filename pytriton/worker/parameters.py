# SPDX-License-Identifier: Apache-2.0
"""Parameters of a response as the server reads them."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from numbers import Integral, Real
from struct import Struct
from struct import error as StructError
from typing import Any, Final

from pytriton.worker import layout
from pytriton.worker.layout import PARAMETER_HEADER

__all__ = ["encode_parameters"]

_INT: Final = Struct("=q")
_BOOL: Final = Struct("=?")
_DOUBLE: Final = Struct("=d")


def encode_parameters(parameters: Mapping[Any, Any]) -> bytes:
    """The meta part of a response; raises ValueError for what no parameter can be."""
    parts: list[bytes] = []
    for name, value in parameters.items():
        if not isinstance(name, str) or not name or "\0" in name:
            raise ValueError(f"a response parameter is named {name!r}; expected a string without NUL")
        kind, content = _encode(name, value)
        key = name.encode()
        parts += (PARAMETER_HEADER.pack(len(key), kind, len(content)), key, content)
    return b"".join(parts)


def _encode(name: str, value: Any) -> tuple[int, bytes]:
    if isinstance(value, str) and "\0" not in value:
        return layout.PARAMETER_STRING, value.encode()
    if isinstance(value, bool):
        return layout.PARAMETER_BOOL, _BOOL.pack(value)
    if isinstance(value, Integral):
        try:
            return layout.PARAMETER_INT, _INT.pack(operator.index(value))
        except StructError:
            raise ValueError(f'response parameter "{name}" is {value}; expected 64 bits at most') from None
    if isinstance(value, Real):
        return layout.PARAMETER_DOUBLE, _DOUBLE.pack(float(value))
    raise ValueError(
        f'response parameter "{name}" is {value!r}; expected a string without NUL, a number or a bool'
    )
