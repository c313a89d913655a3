# SPDX-License-Identifier: Apache-2.0
"""What a client knows of its model and how it proceeds; no input or output happens here."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from pytriton.client import _operations as ops
from pytriton.client._config import config_from_json, config_from_metadata, wire_shapes
from pytriton.client._flow import Exchange, Flow, Pause
from pytriton.client._request import Call, Input, Signature
from pytriton.client._settings import Settings
from pytriton.client._tensors import Array, TensorData, encode_array
from pytriton.client.exceptions import (
    PyTritonClientAccessDeniedError,
    PyTritonClientConnectionError,
    PyTritonClientError,
    PyTritonClientInferenceServerError,
    PyTritonClientModelUnavailableError,
    PyTritonClientProtocolError,
    PyTritonClientTimeoutError,
)
from pytriton.constants import BOOTSTRAP_MODEL_NAME
from pytriton.exceptions import ErrorCode
from pytriton.model_config.triton_model_config import TritonModelConfig

__all__ = ["Session"]

_LOGGER = logging.getLogger(__name__)

_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 1.0
_SHOWN_MODELS: Final = 20
_START_S: Final = 10.0
_COMING: Final = ("LOADING", "READY")  # the latter while we asked
_UNKNOWN_MODEL: Final = (ErrorCode.NOT_FOUND, ErrorCode.INVALID_ARG)


class Session:
    """What a client knows of its model, and the flows of its methods."""

    def __init__(
        self, settings: Settings, config: TritonModelConfig | None = None, *, verified: bool = False
    ) -> None:
        """Begin with a configuration that is known, if there is one.

        Args:
            settings: What the client was told.
            config: The model, so that the server need not be asked.
            verified: Whether nothing needs to be asked before the first request.
        """
        self.settings = settings
        self.config = config
        self.binary = True
        self._signature = Signature(config) if config is not None and verified else None
        self._ids = itertools.count()

    @property
    def is_ready(self) -> bool:
        """Whether requests can be made: connect() is still to come otherwise."""
        return self._signature is not None

    @property
    def signature(self) -> Signature:
        """The model's inputs and outputs."""
        assert self._signature is not None
        return self._signature

    def connect(self, timeout_s: float | None = None) -> Flow[TritonModelConfig]:
        """Ask for the model's configuration; wait for a server that is not there yet or just starts."""
        waiting = _Waiting(self.settings.init_timeout_s if timeout_s is None else timeout_s)
        while True:
            try:
                version = self.settings.model_version
                document = yield self._ask(
                    ops.GetConfig(self.settings.model_name, version), waiting.remaining_s
                )
                return self._adopt(config_from_json(document), wire_shapes(document))
            except PyTritonClientTimeoutError as error:
                if not waiting.since_server_was_away:
                    _LOGGER.info("Waiting up to %.3g s: %s", waiting.remaining_s, error)
                waiting.since_server_was_away = True
                yield from waiting.pause(self._server_timed_out(waiting, waiting.reason(error)))
            except PyTritonClientProtocolError:
                raise
            except PyTritonClientInferenceServerError as error:
                if error.code is not ErrorCode.UNAVAILABLE:
                    config = yield from self._without_config(waiting, error)
                    if config is not None:
                        return config
                yield from waiting.pause(self._model_timed_out(waiting, error))

    def wait_for_server(self, timeout_s: float) -> Flow[None]:
        """Poll until the server is live and ready."""
        waiting = _Waiting(timeout_s)
        last: Exception | None = None
        while True:
            try:
                live = yield self._ask(ops.ServerLive(), waiting.remaining_s)
                if live and (yield self._ask(ops.ServerReady(), waiting.remaining_s)):
                    return
            except PyTritonClientTimeoutError as error:
                last = waiting.reason(error)
            except PyTritonClientInferenceServerError as error:
                if error.code is not ErrorCode.UNAVAILABLE:
                    raise
                last = error
            yield from waiting.pause(self._server_timed_out(waiting, last))

    def wait_for_model(self, timeout_s: float) -> Flow[None]:
        """Poll until the model is ready, then ask for its configuration."""
        waiting = _Waiting(timeout_s)
        last: Exception | None = None
        operation = ops.ModelReady(self.settings.model_name, self.settings.model_version)
        while True:
            try:
                if (yield self._ask(operation, waiting.remaining_s)):
                    break
                last = None
            except PyTritonClientTimeoutError as error:
                last = waiting.reason(error)
            except PyTritonClientInferenceServerError as error:
                if error.code not in (ErrorCode.UNAVAILABLE, *_UNKNOWN_MODEL):
                    raise
                last = error
            yield from waiting.pause(self._model_timed_out(waiting, last))
        yield from self.connect(waiting.remaining_s)

    def load_model(self, config: str | None, files: dict[str, bytes] | None) -> Flow[None]:
        """Load the model."""
        files = {name: bytes(content) for name, content in (files or {}).items()}
        yield self._ask(ops.LoadModel(self.settings.model_name, config, files), self.settings.init_timeout_s)

    def unload_model(self) -> Flow[None]:
        """Unload the model."""
        yield self._ask(ops.UnloadModel(self.settings.model_name), self.settings.init_timeout_s)

    def _adopt(
        self, config: TritonModelConfig, shapes: Mapping[str, tuple[int, ...]] | None = None
    ) -> TritonModelConfig:
        self.config, self._signature = config, Signature(config, shapes)
        return config

    def _without_config(
        self, waiting: _Waiting, cause: PyTritonClientInferenceServerError
    ) -> Flow[TritonModelConfig | None]:
        """Take the metadata where there is no configuration; None if the model may be on its way."""
        settings = self.settings
        denied = isinstance(cause, PyTritonClientAccessDeniedError)
        if cause.code not in (*_UNKNOWN_MODEL, ErrorCode.UNSUPPORTED) and not denied:
            raise cause
        try:
            metadata = yield self._ask(
                ops.GetMetadata(settings.model_name, settings.model_version), waiting.remaining_s
            )
            if not denied:
                server = yield self._ask(ops.ServerMetadata(), waiting.remaining_s)
                self.binary = "binary_tensor_data" in (server.get("extensions") or ())
        except PyTritonClientInferenceServerError:
            if denied:
                raise cause from None
            yield from self._check_model_is_coming(waiting, cause)
            return None
        return self._adopt(config_from_metadata(metadata))

    def _check_model_is_coming(self, waiting: _Waiting, cause: PyTritonClientError) -> Flow[None]:
        try:
            answer: list[ops.ModelEntry] = yield self._ask(ops.RepositoryIndex(), waiting.remaining_s)
            entries = [entry for entry in answer if entry.name != BOOTSTRAP_MODEL_NAME]
        except PyTritonClientError:
            entries, known = [], "it does not tell which models it has"
        else:
            known = f"it has {_listed(entries)}"
        name, version = self.settings.model_name, self.settings.model_version
        mine = [entry for entry in entries if entry.name == name and version in ("", entry.version)]
        # A server that has just come up loads its models one after the other.
        if waiting.since_server_was_away or any(entry.state in _COMING for entry in mine):
            return
        # One without models is just starting, one that hides its list may be; and no state is the first one.
        may_be_coming = not entries or any(not entry.state for entry in mine)
        if may_be_coming and waiting.elapsed_s < _START_S:
            return
        reasons = "".join(f" ({entry.state}: {entry.reason})" for entry in mine if entry.reason)
        raise PyTritonClientModelUnavailableError(
            f"{cause}{reasons}. The server answers; {known}. "
            "If the model is still to come, wait_for_model(timeout_s) waits for it."
        )

    def _server_timed_out(self, waiting: _Waiting, last: Exception | None) -> PyTritonClientTimeoutError:
        return PyTritonClientTimeoutError(
            f"Waiting for server {self.settings.target} to be ready timed out after {waiting.total_s:.3g} s. "
            f"{last or 'It answers that it is not ready.'}"
        )

    def _model_timed_out(self, waiting: _Waiting, last: Exception | None) -> PyTritonClientTimeoutError:
        settings = self.settings
        name = f"{settings.model_name}/{settings.model_version or '<latest>'}"
        return PyTritonClientTimeoutError(
            f"Waiting for model {name} to be ready timed out. Timeout while waiting for model at "
            f"{settings.target} after {waiting.total_s:.3g} s. "
            f"{last or 'The server answers that it is not ready.'}"
        )

    def infer(self, call: Call) -> Flow[dict[str, Array]]:
        """Run the model once, or in parts if the batch is too large and parts are allowed."""
        signature = self.signature
        self.check_kind(decoupled=False)
        inputs = signature.inputs_of(call, may_split=self.settings.split_batches)
        parts = self._parts(signature, inputs, call)
        results = []
        for part in parts:
            results.append((yield from self._infer_once(signature, part, call)))
        if len(results) == 1:
            return signature.debatched(results[0], call)
        joined = {name: np.concatenate([result[name] for result in results]) for name in results[0]}
        return signature.debatched(joined, call)

    def stream(self, call: Call) -> Exchange:
        """The request whose responses come one by one."""
        self.check_kind(decoupled=True)
        operation = self.operation(self.signature.inputs_of(call), call)
        return Exchange(operation, self.settings.inference_timeout_s, self._headers(call), self.settings.what)

    def operation(self, inputs: Sequence[Input], call: Call) -> ops.Infer:
        """The operation that runs the model on inputs."""
        options = call.options
        return ops.Infer(
            self.settings.model_name,
            self.settings.model_version,
            str(next(self._ids)) if options.request_id is None else options.request_id,
            [
                TensorData(
                    item.name,
                    item.datatype.name,
                    item.array.shape,
                    encode_array(item.array, item.datatype, item.where),
                )
                for item in inputs
            ],
            tuple(options.outputs or ()),
            call.parameters,
            _reserved(call),
            compression=options.compression or self.settings.compression,
            binary=self.binary,
        )

    def check_kind(self, *, decoupled: bool) -> None:
        """Streaming models need streaming clients, and the others the others."""
        signature = self.signature
        if signature.decoupled == decoupled:
            return
        if signature.decoupled:
            raise PyTritonClientInferenceServerError(
                f"{self.settings.what} is decoupled: it may give any number of responses; "
                "use DecoupledModelClient or AsyncioDecoupledModelClient over gRPC."
            )
        raise PyTritonClientInferenceServerError(
            f"{self.settings.what} is not decoupled: it gives one response; "
            "use ModelClient or AsyncioModelClient."
        )

    def timeout_s(self, call: Call) -> float:
        """How long a call may take."""
        return call.options.timeout_s or self.settings.inference_timeout_s

    def _parts(self, signature: Signature, inputs: Sequence[Input], call: Call) -> list[Sequence[Input]]:
        size, limit = (len(inputs[0].array), signature.max_batch_size) if call.is_batch else (1, 1)
        if size <= limit or not self.settings.split_batches:
            return [inputs]
        return [
            [item._replace(array=item.array[start : start + limit]) for item in inputs]
            for start in range(0, size, limit)
        ]

    def _infer_once(
        self, signature: Signature, inputs: Sequence[Input], call: Call
    ) -> Flow[dict[str, Array]]:
        operation = self.operation(inputs, call)
        timeout_s = self.timeout_s(call)
        headers = self._headers(call)
        if self.settings.retry is None:
            result: dict[str, Array] = yield Exchange(operation, timeout_s, headers, self.settings.what)
            return result
        return (yield from self._persistently(operation, timeout_s, headers))

    def _persistently(self, operation: ops.Infer, timeout_s: float, headers: Any) -> Flow[dict[str, Array]]:
        retry = self.settings.retry
        assert retry is not None
        deadline = time.monotonic() + timeout_s
        for failures in itertools.count(1):
            try:
                remaining = max(deadline - time.monotonic(), 0.001)
                result: dict[str, Array] = yield Exchange(operation, remaining, headers, self.settings.what)
                return result
            except PyTritonClientError as error:
                pause = retry.pause_s(failures)
                enough_time = time.monotonic() + pause < deadline
                if failures >= retry.attempts or not enough_time or not _may_repeat(error, retry.idempotent):
                    raise
                _LOGGER.info("Trying again in %.3g s, for the %d. time: %s", pause, failures, error)
            yield Pause(pause)
        raise AssertionError

    def _headers(self, call: Call) -> Mapping[str, str]:
        return {**self.settings.headers, **call.headers} if call.headers else self.settings.headers

    def _ask(self, operation: ops.Operation, remaining_s: float) -> Exchange:
        timeout_s = max(min(remaining_s, self.settings.inference_timeout_s), 0.001)
        return Exchange(operation, timeout_s, self.settings.headers, self.settings.what)


class _Waiting:
    """Time for something to come up, and ever longer pauses between looks."""

    def __init__(self, total_s: float) -> None:
        self.total_s = total_s
        self.since_server_was_away = False
        self._deadline = time.monotonic() + total_s
        self._pause_s = _FIRST_PAUSE_S
        self._reason: PyTritonClientTimeoutError | None = None

    @property
    def remaining_s(self) -> float:
        return self._deadline - time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return self.total_s - self.remaining_s

    def reason(self, error: PyTritonClientTimeoutError) -> Exception:
        """The error, or the last one that tells more: the last look may have had no time to see anything."""
        if isinstance(error, PyTritonClientConnectionError) or self._reason is None:
            self._reason = error
        return self._reason

    def pause(self, error: PyTritonClientTimeoutError) -> Flow[None]:
        """Wait a little, or raise when the time is over."""
        remaining = self.remaining_s
        if remaining <= 0:
            raise error
        yield Pause(min(self._pause_s, remaining))
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)


def _may_repeat(error: PyTritonClientError, idempotent: bool) -> bool:
    if isinstance(error, PyTritonClientConnectionError):
        return idempotent or not error.sent
    if not isinstance(error, PyTritonClientInferenceServerError):
        return False
    # "Unavailable" is said before a request reaches its model: the queue is full, the model is not loaded.
    # A model that was known before is not yet loaded in a server that has just come back.
    not_loaded = error.code is ErrorCode.NOT_FOUND and "unknown model" in str(error)
    return error.code is ErrorCode.UNAVAILABLE or not_loaded


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


def _listed(entries: Sequence[ops.ModelEntry]) -> str:
    names = sorted({entry.name for entry in entries if entry.state in ("READY", "")})
    if not names:
        return "no models that are ready"
    shown = ", ".join(f'"{name}"' for name in names[:_SHOWN_MODELS])
    more = f" and {len(names) - _SHOWN_MODELS} more" if len(names) > _SHOWN_MODELS else ""
    return f"the models {shown}{more}"
