# SPDX-License-Identifier: Apache-2.0
"""How a client has a model run, once it knows the model; no input or output happens here."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from pytriton import dtypes
from pytriton.client._core import advice
from pytriton.client._core import operations as ops
from pytriton.client._core.flow import Exchange, Flow, Pause
from pytriton.client._core.generation import Generation
from pytriton.client._core.memory import PlacedTensors, TensorMemory
from pytriton.client._core.request import Call, Input, Signature
from pytriton.client._core.settings import Settings
from pytriton.client._core.stream_request import StreamRequest
from pytriton.client._core.tensors import Array, TensorData, encode_array
from pytriton.client.exceptions import (
    PyTritonClientConnectionError,
    PyTritonClientError,
    PyTritonClientInferenceServerError,
    PyTritonClientTimeoutError,
)
from pytriton.client.options import InferOptions
from pytriton.exceptions import ErrorCode

__all__ = ["Inference", "is_unknown_model"]

_LOGGER = logging.getLogger(__name__)
_TOO_SMALL: Final = "shared memory size specified"
_NOWHERE: Final[Mapping[str, ops.OutputRegion]] = {}


class Inference:
    """The flows that run a model."""

    def __init__(self, settings: Settings, memory: TensorMemory | None = None) -> None:
        self.settings = settings
        self.memory = memory
        """Shared memory with the server, if the client was told to use it."""
        self.binary = True
        """Whether tensors travel as bytes."""
        self._ids = itertools.count()
        self._row_bytes: dict[str, int] = {}

    def infer(self, signature: Signature, call: Call) -> Flow[dict[str, Array]]:
        """Run the model once, or in parts if the batch is too large and parts are allowed."""
        self._check_kind(signature, decoupled=False)
        inputs = signature.inputs_of(call, may_split=self.settings.split_batches)
        parts = self._parts(signature, inputs, call)
        if len(parts) == 1:
            return signature.debatched((yield from self._infer_part(signature, inputs, call)), call)
        results, begun = [], time.monotonic()
        for index, part in enumerate(parts):
            options = self._options_of_part(call.options, index, len(parts), time.monotonic() - begun)
            results.append((yield from self._infer_part(signature, part, call._replace(options=options))))
        joined = {name: np.concatenate([result[name] for result in results]) for name in results[0]}
        return signature.debatched(joined, call)

    def stream(self, signature: Signature, call: Call) -> Flow[StreamRequest]:
        """The request whose responses come one by one; its timeout is that of each response."""
        settings, timeout_s = self.settings, self.settings.inference_timeout_s
        self._check_kind(signature, decoupled=True)
        inputs = signature.inputs_of(call)
        if settings.url.protocol == "http":
            generation = Generation(signature, inputs, call, settings.what)
            operation: ops.Operation = generation.operation(settings.model_name, settings.model_version)
            return StreamRequest(self._exchange(operation, call, timeout_s), generation.outputs)
        placed = None
        if self.memory is not None:
            placed = yield from self.memory.place(inputs, {}, self._asking(call, timeout_s))
        tensors = [_tensor(item) for item in inputs] if placed is None else placed.tensors
        operation = self._operation(tensors, call, self._id(call), placed)
        return StreamRequest(self._exchange(operation, call, timeout_s), lambda outputs: outputs, placed)

    def command(self, signature: Signature, call: Call, *, decoupled: bool) -> Exchange:
        """The whole request, over the wire; the timeout is that of each response."""
        self._check_kind(signature, decoupled=decoupled)
        tensors = [_tensor(item) for item in signature.inputs_of(call)]
        operation = self._operation(tensors, call, self._id(call))
        return self._exchange(operation, call, self.settings.inference_timeout_s)

    def _check_kind(self, signature: Signature, *, decoupled: bool) -> None:
        """Streaming models need streaming clients, and the others the others."""
        if signature.decoupled == decoupled:
            return
        if signature.decoupled:
            raise PyTritonClientInferenceServerError(
                f"{self.settings.what} is decoupled: it may give any number of responses; "
                f"{advice.STREAMING_CLIENT}."
            )
        raise PyTritonClientInferenceServerError(
            f"{self.settings.what} is not decoupled: it gives one response; "
            "use ModelClient or AsyncioModelClient."
        )

    def _parts(self, signature: Signature, inputs: Sequence[Input], call: Call) -> list[Sequence[Input]]:
        size, limit = (len(inputs[0].array), signature.max_batch_size) if call.is_batch else (1, 1)
        if size <= limit or not self.settings.split_batches:
            return [inputs]
        return [
            [item._replace(array=item.array[start : start + limit]) for item in inputs]
            for start in range(0, size, limit)
        ]

    def _options_of_part(
        self, options: InferOptions, index: int, count: int, elapsed_s: float
    ) -> InferOptions:
        """What is left of the call's time; the first part may start a sequence, the last one may end it."""
        remaining_s = None if options.timeout_s is None else options.timeout_s - elapsed_s
        if remaining_s is not None and remaining_s <= 0:
            raise PyTritonClientTimeoutError(
                f"{self.settings.what}: {index} of {count} parts of the batch were answered within the "
                f"{options.timeout_s:.3g} s for all of them. Deadline Exceeded"
            )
        return dataclasses.replace(
            options,
            timeout_s=remaining_s,
            sequence_start=options.sequence_start and index == 0,
            sequence_end=options.sequence_end and index == count - 1,
        )

    def _infer_part(
        self, signature: Signature, inputs: Sequence[Input], call: Call
    ) -> Flow[dict[str, Array]]:
        timeout_s = call.options.timeout_s or self.settings.inference_timeout_s
        request_id = self._id(call)
        attempt = self._attempt if self.memory is None or not self.binary else self._attempt_in_memory
        if self.settings.retry is None:
            return (yield from attempt(signature, inputs, call, request_id, timeout_s))
        retry, deadline = self.settings.retry, time.monotonic() + timeout_s
        for failures in itertools.count(1):
            try:
                remaining_s = max(deadline - time.monotonic(), 0.001)
                return (yield from attempt(signature, inputs, call, request_id, remaining_s))
            except PyTritonClientError as error:
                pause = retry.pause_s(failures)
                enough_time = time.monotonic() + pause < deadline
                if failures >= retry.attempts or not enough_time or not _may_repeat(error, retry.idempotent):
                    raise
                _LOGGER.info("Trying again in %.3g s, for the %d. time: %s", pause, failures, error)
            yield Pause(pause)
        raise AssertionError

    def _attempt(
        self, _: Signature, inputs: Sequence[Input], call: Call, request_id: str, timeout_s: float
    ) -> Flow[dict[str, Array]]:
        operation = self._operation([_tensor(item) for item in inputs], call, request_id)
        result: dict[str, Array] = yield self._exchange(operation, call, timeout_s)
        return result

    def _attempt_in_memory(
        self, signature: Signature, inputs: Sequence[Input], call: Call, request_id: str, timeout_s: float
    ) -> Flow[dict[str, Array]]:
        memory, deadline = self.memory, time.monotonic() + timeout_s
        assert memory is not None
        sizes = self._output_sizes(signature, inputs, call)
        for is_last in (False, True):
            remaining_s = max(deadline - time.monotonic(), 0.001)
            placed = yield from memory.place(inputs, sizes, self._asking(call, remaining_s))
            if placed is None:
                break
            operation = self._operation(placed.tensors, call, request_id, placed, signature)
            remaining_s = max(deadline - time.monotonic(), 0.001)
            try:
                results = placed.taken((yield self._exchange(operation, call, remaining_s)))
            except PyTritonClientInferenceServerError as error:
                again = memory.has_forgotten(error)  # then nothing has been run
                placed.give_back()
                if is_last or (not again and not (_TOO_SMALL in str(error) and self._may_guess(call))):
                    raise
                sizes = sizes if again else {}
            except BaseException:
                placed.discard()
                raise
            else:
                placed.give_back()
                self._learn(results, inputs, call)
                return results
        remaining_s = max(deadline - time.monotonic(), 0.001)
        results = yield from self._attempt(signature, inputs, call, request_id, remaining_s)
        self._learn(results, inputs, call)
        return results

    def _output_sizes(self, signature: Signature, inputs: Sequence[Input], call: Call) -> dict[str, int]:
        """Bytes of outputs: as the configuration has them, or as they were so far if runs may be repeated."""
        rows = len(inputs[0].array) if signature.batching else 1
        sizes = {}
        for name in call.options.outputs or signature.outputs:
            spec = signature.outputs[name]
            if spec.datatype is dtypes.BYTES:
                continue
            if all(size >= 0 for size in spec.shape):
                sizes[name] = rows * math.prod(spec.shape) * spec.datatype.byte_size
            elif name in self._row_bytes and self._may_guess(call):
                sizes[name] = rows * self._row_bytes[name]
        return sizes

    def _may_guess(self, call: Call) -> bool:
        """Whether it does no harm to run the model again if a result is larger than it was so far."""
        retry = self.settings.retry
        return retry is not None and retry.idempotent and not call.options.sequence_id

    def _learn(self, results: Mapping[str, Array], inputs: Sequence[Input], call: Call) -> None:
        if not self._may_guess(call):
            return
        rows = max(len(inputs[0].array) if inputs[0].array.ndim else 1, 1)
        for name, array in results.items():
            self._row_bytes[name] = max(self._row_bytes.get(name, 0), -(-array.nbytes // rows))

    def _id(self, call: Call) -> str:
        return str(next(self._ids)) if call.options.request_id is None else call.options.request_id

    def _asking(self, call: Call, timeout_s: float) -> Callable[[ops.Operation], Exchange]:
        return lambda operation: self._exchange(operation, call, timeout_s)

    def _exchange(self, operation: ops.Operation, call: Call, timeout_s: float) -> Exchange:
        settings = self.settings
        headers = {**settings.headers, **call.headers} if call.headers else settings.headers
        return Exchange(operation, timeout_s, headers, settings.what)

    def _operation(
        self,
        tensors: Sequence[TensorData],
        call: Call,
        request_id: str,
        placed: PlacedTensors | None = None,
        signature: Signature | None = None,
    ) -> ops.Infer:
        options = call.options
        outputs = tuple(options.outputs or ())
        if placed is not None and placed.outputs and not outputs and signature is not None:
            outputs = tuple(signature.outputs)  # who names some must name all
        return ops.Infer(
            self.settings.model_name,
            self.settings.model_version,
            request_id,
            tensors,
            outputs,
            call.parameters,
            _reserved(call),
            placed.outputs if placed is not None else _NOWHERE,
            options.compression or self.settings.compression,
            self.binary,
        )


def _tensor(item: Input) -> TensorData:
    return TensorData(
        item.name,
        item.datatype.name,
        item.array.shape,
        encode_array(item.array, item.datatype, item.where),
    )


def is_unknown_model(error: PyTritonClientError) -> bool:
    """Whether the server says that it has no such model."""
    return (
        isinstance(error, PyTritonClientInferenceServerError)
        and error.code in (ErrorCode.NOT_FOUND, None)  # streams over gRPC tell no codes
        and "Request for unknown model" in str(error)
    )


def _may_repeat(error: PyTritonClientError, idempotent: bool) -> bool:
    if isinstance(error, PyTritonClientConnectionError):
        return idempotent or not error.sent
    if not isinstance(error, PyTritonClientInferenceServerError):
        return False
    # "Unavailable" is said before a request reaches its model: the queue is full, the model is not loaded.
    # A model that was known before is not yet loaded in a server that has just come back.
    return error.code is ErrorCode.UNAVAILABLE or is_unknown_model(error)


def _reserved(call: Call) -> dict[str, ops.ParameterValue]:
    options = call.options
    reserved: dict[str, ops.ParameterValue] = {}
    if options.sequence_id:
        reserved["sequence_id"] = options.sequence_id
        reserved["sequence_start"] = options.sequence_start
        reserved["sequence_end"] = options.sequence_end
    if options.priority:
        reserved["priority"] = options.priority
    if options.queue_timeout_us is not None:
        reserved["timeout"] = options.queue_timeout_us
    return reserved
