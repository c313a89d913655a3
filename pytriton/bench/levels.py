# SPDX-License-Identifier: Apache-2.0
"""The steps of a sweep: `1,2,4`, or `1-64` for every doubling in between."""

from __future__ import annotations

from typing import TypeVar

from pytriton.client.exceptions import PyTritonClientValueError

__all__ = ["counts", "rates"]

Number = TypeVar("Number", int, float)


def counts(text: str, option: str) -> list[int]:
    """Whole numbers, all greater than 0."""
    return [int(value) for value in _values(text, option, whole=True)]


def rates(text: str, option: str) -> list[float]:
    """Numbers, all greater than 0."""
    return _values(text, option, whole=False)


def _values(text: str, option: str, *, whole: bool) -> list[float]:
    values: list[float] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low = _number(first, text, option, whole)
        values.append(low)
        if dash:
            high = _number(last, text, option, whole)
            if high < low:
                raise PyTritonClientValueError(f"{option}: {part!r} goes down; write {last}-{first}.")
            while values[-1] * 2 < high:
                values.append(values[-1] * 2)
            if values[-1] < high:
                values.append(high)
    return values


def _number(text: str, whole_text: str, option: str, whole: bool) -> float:
    try:
        value = float(int(text)) if whole else float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        kind = "whole numbers" if whole else "numbers"
        raise PyTritonClientValueError(
            f"{option}: expected {kind} greater than 0, such as 8, or 1,2,4, or 1-64 for every doubling; got "
            f"{whole_text!r}."
        )
    return value
