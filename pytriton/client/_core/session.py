# SPDX-License-Identifier: Apache-2.0
"""What a client knows of its model and how it proceeds; no input or output happens here."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final

from pytriton.client._core import advice
from pytriton.client._core import operations as ops
from pytriton.client._core.config import config_from_json, config_from_metadata, wire_shapes
from pytriton.client._core.flow import Exchange, Flow, Pause
from pytriton.client._core.inference import Inference, is_unknown_model
from pytriton.client._core.memory import TensorMemory
from pytriton.client._core.request import Call, Signature
from pytriton.client._core.settings import Settings
from pytriton.client._core.stream_request import StreamRequest
from pytriton.client._core.tensors import Array
from pytriton.client.exceptions import (
    PyTritonClientAccessDeniedError,
    PyTritonClientConnectionError,
    PyTritonClientError,
    PyTritonClientInferenceServerError,
    PyTritonClientInputError,
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
_TOKEN_HEADER: Final = "triton-access-token"
_UNKNOWN_MODEL: Final = (ErrorCode.NOT_FOUND, ErrorCode.INVALID_ARG)


class Session:
    """What a client knows of its model, and the flows of its methods."""

    def __init__(
        self,
        settings: Settings,
        config: TritonModelConfig | None = None,
        *,
        verified: bool = False,
        memory: TensorMemory | None = None,
    ) -> None:
        """Begin with a configuration that is known, if there is one.

        Args:
            settings: What the client was told.
            config: The model, so that the server need not be asked.
            verified: Whether nothing needs to be asked before the first request.
            memory: Shared memory with the server, if the client was told to use it.
        """
        self.settings = settings
        self.config = config
        self._signature = Signature(config) if config is not None and verified else None
        self._asks = not verified
        self._is_outdated = False
        self.inference = Inference(settings, memory)

    @property
    def is_ready(self) -> bool:
        """Whether requests can be made: connect() is still to come otherwise."""
        return self._signature is not None and not self._is_outdated

    @property
    def signature(self) -> Signature:
        """The model's inputs and outputs."""
        assert self._signature is not None
        return self._signature

    def infer(self, call: Call) -> Flow[dict[str, Array]]:
        """Run the model."""
        try:
            return (yield from self.inference.infer(self.signature, call))
        except PyTritonClientError as error:
            raise self.learn(error) from error.__cause__

    def stream(self, call: Call) -> Flow[StreamRequest]:
        """The request whose responses come one by one."""
        try:
            return (yield from self.inference.stream(self.signature, call))
        except PyTritonClientError as error:
            raise self.learn(error) from error.__cause__

    def command(self, call: Call, *, decoupled: bool = False) -> Exchange:
        """The whole request, over the wire, for those who send it themselves."""
        return self.inference.command(self.signature, call, decoupled=decoupled)

    def learn(self, error: PyTritonClientError) -> PyTritonClientError:
        """What a request has failed with; the model is asked for anew if it may have become another one."""
        gone = is_unknown_model(error)
        if self._asks and (gone or isinstance(error, PyTritonClientInputError) or _is_changed(error)):
            # Who is in the midst of a request goes on with what was known.
            self._is_outdated, self.config = True, None
        if gone:
            return PyTritonClientModelUnavailableError(f"{error}. The server answers; it has no such model.")
        return error

    def connect(self, timeout_s: float | None = None) -> Flow[TritonModelConfig]:
        """Ask for the model's configuration; wait for a server that is not there yet or just starts."""
        waiting = _Waiting(self.settings.init_timeout_s if timeout_s is None else timeout_s)
        told: PyTritonClientInferenceServerError | None = None
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
                late = told is not None and waiting.remaining_s <= 0  # the last look had no time left
                yield from waiting.pause(
                    self._model_timed_out(waiting, told)
                    if late
                    else self._server_timed_out(waiting, waiting.reason(error))
                )
            except PyTritonClientProtocolError:
                raise
            except PyTritonClientInferenceServerError as error:
                told = error
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
        self._is_outdated = False
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
                extensions = server.get("extensions") or ()
                if "model_configuration" in extensions and is_unknown_model(cause):
                    return None  # the model has come between the two questions
                self.inference.binary = "binary_tensor_data" in extensions
        except PyTritonClientInferenceServerError:
            if denied:
                raise cause from None
            yield from self._check_model_is_coming(waiting, cause)
            return None
        except PyTritonClientTimeoutError:
            if waiting.remaining_s > 0:
                raise
            return None  # that there is no time left is told by who waits
        return self._adopt(config_from_metadata(metadata))

    def _check_model_is_coming(self, waiting: _Waiting, cause: PyTritonClientError) -> Flow[None]:
        try:
            answer: list[ops.ModelEntry] = yield self._ask(ops.RepositoryIndex(), waiting.remaining_s)
            entries = [entry for entry in answer if entry.name != BOOTSTRAP_MODEL_NAME]
        except PyTritonClientAccessDeniedError:
            entries = []
            known = f"it does not tell which models it has: that is restricted, and {advice.TOKEN_FOR_LIST}"
            if any(name.endswith(_TOKEN_HEADER) for name in self.settings.headers):
                known += f", {advice.OTHER_TOKEN}"
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
        if may_be_coming and not self._is_outdated and waiting.elapsed_s < _START_S:
            if not waiting.told:
                _LOGGER.info(
                    "Waiting up to %.3g s for the model: %s. The server answers; %s.", _START_S, cause, known
                )
                waiting.told = True
            return
        reasons = "".join(f" ({entry.state}: {entry.reason})" for entry in mine if entry.reason)
        raise PyTritonClientModelUnavailableError(
            f"{cause}{reasons}. The server answers; {known}. {advice.WAIT}"
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

    def _ask(self, operation: ops.Operation, remaining_s: float) -> Exchange:
        timeout_s = max(min(remaining_s, self.settings.inference_timeout_s), 0.001)
        return Exchange(operation, timeout_s, self.settings.headers, self.settings.what)


class _Waiting:
    """Time for something to come up, and ever longer pauses between looks."""

    def __init__(self, total_s: float) -> None:
        self.total_s = total_s
        self.since_server_was_away = False
        self.told = False
        """Whether somebody has been told that we wait for a model that may be coming."""
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


def _is_changed(error: PyTritonClientError) -> bool:
    """Whether the server takes other inputs than those that the client knows."""
    text = str(error)
    return (
        isinstance(error, PyTritonClientInferenceServerError)
        and error.code in (ErrorCode.INVALID_ARG, None)
        and "input" in text
        and ("for model" in text or "but model" in text)
    )


def _listed(entries: Sequence[ops.ModelEntry]) -> str:
    names = sorted({entry.name for entry in entries if entry.state in ("READY", "")})
    if not names:
        return "no models that are ready"
    shown = ", ".join(f'"{name}"' for name in names[:_SHOWN_MODELS])
    more = f" and {len(names) - _SHOWN_MODELS} more" if len(names) > _SHOWN_MODELS else ""
    return f"the models {shown}{more}"
