# SPDX-License-Identifier: Apache-2.0
"""What the clients ask, answered in this process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from pytriton.client._core import failures
from pytriton.client._core import operations as ops
from pytriton.client._core.flow import Exchange
from pytriton.client._core.tensors import decode_data
from pytriton.client.exceptions import PyTritonClientError, PyTritonClientTimeoutError
from pytriton.dtypes import from_name
from pytriton.exceptions import ErrorCode
from pytriton.model_config.generator import ModelConfigGenerator
from pytriton.testing._block import Requested
from pytriton.testing._job import Failed, Job, Outputs
from pytriton.testing._model import LocalModel

__all__ = ["URL", "LocalTransport"]

URL: Final = "http://test"
"""What stands for the server's address in messages."""


class LocalTransport:
    """Answers what the server would answer, for any number of threads."""

    def __init__(self, models: Sequence[LocalModel]) -> None:
        self._models = models

    def exchange(self, command: Exchange) -> Any:
        """Answer one question."""
        operation = command.operation
        if isinstance(operation, ops.Infer):
            outputs = self.receive(self.submit(command), command)
            return {} if outputs is None else outputs
        if isinstance(operation, (ops.ServerLive, ops.ServerReady)):
            return True
        if isinstance(operation, ops.ServerMetadata):
            return {"name": "test", "version": "", "extensions": ["binary_tensor_data"]}
        if isinstance(operation, ops.RepositoryIndex):
            return [
                ops.ModelEntry(name, str(version), "READY")
                for name, version in (model.label for model in self._models)
            ]
        if isinstance(operation, (ops.GetConfig, ops.ModelReady)):
            model = self._found(operation.model, operation.version, command.what)
            return isinstance(operation, ops.ModelReady) or ModelConfigGenerator(model.config).get_config()
        raise self._error(
            ErrorCode.UNSUPPORTED, f"there is no {type(operation).__name__} without a server", command.what
        )

    def stream(self, command: Exchange, timeout_s: float | None) -> Any:
        """The test client's own streams take another way."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open."""

    def find(self, name: str, version: str) -> LocalModel | None:
        """A model, if there is one; the latest version if none is asked for."""
        found = [model for model in self._models if model.label[0] == name]
        if version:
            found = [model for model in found if str(model.label[1]) == version]
        return max(found, key=lambda model: model.label[1], default=None)

    def unknown(self, name: str, version: str) -> str:
        """What is said of a model that is not there."""
        labels = [model.label for model in self._models]
        known = ", ".join(f'"{known}" version {number}' for known, number in labels) or "none"
        asked = f'"{name}" version {version}' if version else f'"{name}"'
        return f"There is no model {asked}; there are {known}."

    def _found(self, name: str, version: str, what: str) -> LocalModel:
        model = self.find(name, version)
        if model is None:
            raise self._error(ErrorCode.NOT_FOUND, self.unknown(name, version), what)
        return model

    def submit(self, command: Exchange) -> Job:
        """Send a request."""
        operation = command.operation
        assert isinstance(operation, ops.Infer)
        model = self._found(operation.model, operation.version, command.what)
        specs = {spec.name: spec for spec in model.config.inputs or ()}
        outputs = [spec.name for spec in model.config.outputs or ()]
        batching = model.config.batching
        inputs = {}
        for tensor in operation.inputs:
            array = decode_data(tensor.data, from_name(tensor.datatype), tensor.shape)
            if not specs[tensor.name].shape:  # on the wire it has a dimension of size 1
                array = array.reshape(array.shape[: int(batching)])
            inputs[tensor.name] = array
        asked = [outputs.index(name) for name in operation.outputs] or range(len(outputs))
        rows = len(next(iter(inputs.values()))) if batching and inputs else 0
        timeout = operation.reserved.get("timeout", 0)
        return model.submit(
            Requested(
                inputs, rows, operation.parameters, asked, operation.request_id, math.ceil(float(timeout))
            )
        )

    def receive(self, job: Job, command: Exchange) -> Outputs | None:
        """The next response to a request, None after the last."""
        try:
            answer = job.next(command.timeout_s)
        except TimeoutError:
            job.cancel()
            raise PyTritonClientTimeoutError(
                f"{command.what}: no answer came within {command.timeout_s:.3g} s."
            ) from None
        if isinstance(answer, Failed):
            raise self._error(answer.code, answer.text, command.what)
        return answer

    @staticmethod
    def _error(code: ErrorCode, text: str, what: str) -> PyTritonClientError:
        return failures.from_grpc_status(code.grpc_status, text, what, URL)
