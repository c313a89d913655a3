# SPDX-License-Identifier: Apache-2.0
"""What an inference function is given: requests, one by one or as a whole batch."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, overload

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "Array",
    "ParameterValue",
    "Request",
    "RequestBatch",
    "RequestRecords",
    "RequestState",
    "Requests",
    "Response",
    "Responses",
]

Array: TypeAlias = "npt.NDArray[Any]"
ParameterValue: TypeAlias = str | int | bool | float


@dataclass
class _NamedArrays:
    """Arrays by name, with the manners of a mapping."""

    data: dict[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.data[name]

    def __setitem__(self, name: str, array: Array) -> None:
        self.data[name] = array

    def __delitem__(self, name: str) -> None:
        del self.data[name]

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __contains__(self, name: object) -> bool:
        return name in self.data

    def keys(self) -> KeysView[str]:
        return self.data.keys()

    def values(self) -> ValuesView[Array]:
        return self.data.values()

    def items(self) -> ItemsView[str, Array]:
        return self.data.items()


class RequestState:
    """What is known of a request while it is served. One that was made by hand is nobody's."""

    _records: RequestRecords | None = None
    _index: int = 0

    @property
    def id(self) -> str:
        """The id that the client gave it, if it did."""
        return "" if self._records is None else self._records.id(self._index)

    @property
    def timeout_s(self) -> float | None:
        """How long after its arrival the client wants the answer at most, if it said so."""
        timeout_us = 0 if self._records is None else self._records.timeout_us(self._index)
        return timeout_us / 1e6 if timeout_us else None

    @property
    def remaining_time_s(self) -> float | None:
        """What is left of the timeout, at least 0; it counts from when the request left the queue."""
        timeout_s = self.timeout_s
        if timeout_s is None or self._records is None:
            return None
        return max(0.0, timeout_s - (monotonic_ns() - self._records.received_ns()) / 1e9)

    def is_cancelled(self) -> bool:
        """Whether the request was cancelled, or its client has gone."""
        return self._records is not None and self._records.is_cancelled(self._index)

    def belongs_to(self, records: RequestRecords, index: int) -> None:
        """Say where to look."""
        self._records = records
        self._index = index


@dataclass
class Request(_NamedArrays, RequestState):
    """One request: its inputs by name, its parameters, and the outputs that it asks for."""

    parameters: dict[str, ParameterValue] | None = None
    span: Any | None = None
    requested_output_names: list[str] | None = None

    def traced_span(self, span_name: str) -> AbstractContextManager[None]:
        """Context in which a part of the work on this request is traced, where it is traced at all."""
        if self.span is None:
            return nullcontext()
        from pytriton.telemetry.tracing import traced_span

        return traced_span(self, span_name)


@dataclass
class Response(_NamedArrays):
    """The outputs of one request by name.

    Args:
        data: Arrays by output name.
        parameters: What is sent along with them, for the client to read.
        final: Whether the request gets no response after this one, though others of its batch may; for
            decoupled models. Without any data it is only the end.
    """

    parameters: Mapping[str, ParameterValue] | None = None
    final: bool = False


Requests: TypeAlias = list[Request]
Responses: TypeAlias = list[Response]


class RequestRecords(Protocol):
    """What is known of the requests of a batch besides their inputs; looked up only when somebody asks."""

    def __len__(self) -> int: ...

    def rows(self) -> list[int]: ...

    def parameters(self, index: int) -> dict[str, ParameterValue]: ...

    def requested_output_names(self, index: int) -> list[str]: ...

    def trace_context(self, index: int) -> str: ...

    def id(self, index: int) -> str: ...

    def timeout_us(self, index: int) -> int: ...

    def received_ns(self) -> int: ...

    def is_cancelled(self, index: int) -> bool: ...


class RequestBatch(Sequence[Request]):
    """The requests of one batch, whose inputs lie in memory as whole arrays.

    As a sequence it makes `Request` objects, whose arrays are views. Whoever is content with the whole
    arrays never pays for that, whatever the number of requests.
    """

    __slots__ = ("_inputs", "_records", "_requests", "batching", "spans", "total_rows")

    def __init__(
        self, inputs: dict[str, Array], records: RequestRecords, *, total_rows: int, batching: bool
    ) -> None:
        self._inputs = inputs
        self._records = records
        self._requests: list[Request] | None = None
        self.total_rows = total_rows
        self.batching = batching
        """Whether the first dimension of every array counts the rows of all requests."""
        self.spans: Sequence[Any | None] | None = None
        """Span of each request, where there is tracing."""

    @property
    def inputs(self) -> dict[str, Array]:
        """Inputs of the whole batch by name, not copied."""
        return self._inputs

    @property
    def rows(self) -> list[int]:
        """Rows of each request."""
        return self._records.rows()

    @property
    def untouched(self) -> bool:
        """Whether nobody has seen the requests one by one, and may have changed them."""
        return self._requests is None

    def with_inputs(self, inputs: dict[str, Array]) -> RequestBatch:
        """The same requests with other inputs."""
        batch = RequestBatch(inputs, self._records, total_rows=self.total_rows, batching=self.batching)
        batch.spans = self.spans
        return batch

    def is_requested(self, output: str, index: int | None = None) -> bool:
        """Whether one request, or any of them, asks for an output."""
        indices = range(len(self)) if index is None else (index,)
        return any(output in self._records.requested_output_names(each) for each in indices)

    def trace_context(self, index: int) -> str:
        """Span of the server for a request, as JSON with W3C headers; empty where it does not trace it."""
        return self._records.trace_context(index)

    def parameters(self, index: int) -> dict[str, ParameterValue]:
        """Parameters of a request."""
        return self._records.parameters(index)

    @property
    def records(self) -> RequestRecords:
        """What is known of the requests besides their inputs."""
        return self._records

    def is_cancelled(self, index: int) -> bool:
        """Whether a request was cancelled, or its client has gone."""
        return self._records.is_cancelled(index)

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Request: ...

    @overload
    def __getitem__(self, index: slice) -> list[Request]: ...

    def __getitem__(self, index: int | slice) -> Request | list[Request]:
        return self._split()[index]

    def __iter__(self) -> Iterator[Request]:
        return iter(self._split())

    def _split(self) -> list[Request]:
        if self._requests is None:
            self._requests = [
                Request(
                    data,
                    self._records.parameters(index),
                    self.spans[index] if self.spans is not None else None,
                    requested_output_names=self._records.requested_output_names(index),
                )
                for index, data in enumerate(split_rows(self._inputs, self.rows))
            ]
            for index, request in enumerate(self._requests):
                request.belongs_to(self._records, index)
        return self._requests


def split_rows(arrays: dict[str, Array], rows: Sequence[int]) -> Iterator[dict[str, Array]]:
    """Views of consecutive rows, so many for each; a single part is the whole."""
    if len(rows) == 1:
        yield dict(arrays)
        return
    start = 0
    for count in rows:
        stop = start + count
        yield {name: array[start:stop] for name, array in arrays.items()}
        start = stop
