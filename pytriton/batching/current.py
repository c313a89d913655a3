# SPDX-License-Identifier: Apache-2.0
"""The batch that the running function works on: what is known of its requests besides their inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from itertools import accumulate
from typing import TypeAlias, overload

from pytriton.exceptions import PyTritonInvalidOperationError
from pytriton.request import ParameterValue, RequestRecords, RequestState

__all__ = ["CurrentBatch", "CurrentRequest", "current_batch", "current_records", "find_records_with"]

FindRecords: TypeAlias = Callable[[], RequestRecords | None]

_find_records: ContextVar[FindRecords | None] = ContextVar("pytriton_find_records", default=None)

_row: ContextVar[int | None] = ContextVar("pytriton_row", default=None)


class CurrentRequest(RequestState):
    """A request without its inputs."""

    def __init__(self, records: RequestRecords, index: int) -> None:
        self.belongs_to(records, index)
        self._given = records, index

    @property
    def rows(self) -> int:
        """Rows of its part of the batch."""
        records, index = self._given
        return records.rows()[index]

    @property
    def parameters(self) -> dict[str, ParameterValue]:
        """Parameters of the request, and headers that the server passes on."""
        records, index = self._given
        return records.parameters(index)

    @property
    def requested_output_names(self) -> list[str]:
        """Outputs that the client asked for."""
        records, index = self._given
        return records.requested_output_names(index)


class CurrentBatch(Sequence[CurrentRequest]):
    """The requests of the batch that a function works on, in the order of their rows."""

    def __init__(self, records: RequestRecords) -> None:
        self._requests = [CurrentRequest(records, index) for index in range(len(records))]

    def is_cancelled(self) -> bool:
        """Whether nobody wants the result any more: every request was cancelled, or its client has gone."""
        return all(request.is_cancelled() for request in self._requests)

    @property
    def remaining_time_s(self) -> float | None:
        """How long anybody still waits for the result; None if somebody has set no limit."""
        times = [request.remaining_time_s for request in self._requests]
        known = [time for time in times if time is not None]
        return max(known) if known and len(known) == len(times) else None

    def __len__(self) -> int:
        return len(self._requests)

    @overload
    def __getitem__(self, index: int) -> CurrentRequest: ...

    @overload
    def __getitem__(self, index: slice) -> list[CurrentRequest]: ...

    def __getitem__(self, index: int | slice) -> CurrentRequest | list[CurrentRequest]:
        return self._requests[index]


def current_batch() -> CurrentBatch:
    """The batch that the calling function works on, whatever its decorators."""
    records = current_records()
    if records is None:
        raise PyTritonInvalidOperationError(
            "No batch is being worked on here. Call current_batch() in the inference function itself; "
            "its other threads can be given what it returns."
        )
    return CurrentBatch(records)


def current_records() -> RequestRecords | None:
    """What is known of the requests that the calling function works on; None elsewhere."""
    find = _find_records.get()
    return None if find is None else find()


def current_request() -> CurrentRequest:
    """The request that the calling function works on: one of an App that is typed per sample."""
    row = _row.get()
    if row is None:
        raise PyTritonInvalidOperationError(
            "No single request is being worked on here: that is so in a function of an App that is typed per "
            "sample. Others have current_batch(), whose entries are the requests in the order of their rows."
        )
    batch = current_batch()
    ends = accumulate(request.rows for request in batch)
    return next(request for request, end in zip(batch, ends, strict=True) if row < end)


def work_on_row(row: int) -> None:
    """Say which row of the batch the function works on, in the present context."""
    _row.set(row)


def find_records_with(find: FindRecords) -> None:
    """Say how `current_batch` learns of the batch, in the present context."""
    _find_records.set(find)
