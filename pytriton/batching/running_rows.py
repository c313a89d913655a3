# SPDX-License-Identifier: Apache-2.0
"""One step of streams, of which some have ended before the others."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

from pytriton.request import Array, Response

__all__ = ["RunningRows"]


class RunningRows(dict[str, Array]):
    """Outputs of those rows of a batch whose streams go on; arrays have no other rows.

    So whoever takes it for outputs of the whole batch finds too few rows, and gives no wrong answers.
    """

    def __init__(self, outputs: Mapping[str, Array], rows: Sequence[int]) -> None:
        super().__init__(outputs)
        self.rows = rows
        """Numbers of the rows, in ascending order."""

    def first(self, count: int) -> RunningRows:
        """What belongs to the first rows of the batch."""
        rows = self.rows[: bisect_left(self.rows, count)]
        return RunningRows({name: array[: len(rows)] for name, array in self.items()}, rows)

    def split(self, counts: Sequence[int]) -> list[Any]:
        """Responses of requests of so many rows: the end for those that have none left."""
        responses: list[Any] = []
        row = start = 0
        for index, count in enumerate(counts):
            row += count
            stop = bisect_left(self.rows, row)
            if 0 < stop - start < count:
                raise ValueError(
                    f"Only {stop - start} of {count} rows of request {index} go on, but a response has all "
                    "rows of its request: those that are grouped apart must yield equally often."
                )
            part = {name: array[start:stop] for name, array in self.items()}
            responses.append(part if stop > start else Response({}, final=True))
            start = stop
        return responses
