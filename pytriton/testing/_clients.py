# SPDX-License-Identifier: Apache-2.0
"""Clients of models that are served in this process: the real ones, but for where their requests go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from pytriton.client._base.client_blocking import BlockingClient
from pytriton.client._core.flow import Exchange, Flow, Transport
from pytriton.client._core.request import Call
from pytriton.client._core.tensors import Array
from pytriton.client.exceptions import PyTritonClientClosedError, PyTritonClientError
from pytriton.testing._job import Job
from pytriton.testing._model import LocalModel
from pytriton.testing._transport import URL, LocalTransport

__all__ = ["LocalClient", "LocalResponses", "LocalStreamClient"]

Answer = TypeVar("Answer")
Outputs = dict[str, Array]


class _InProcess(BlockingClient[Answer]):
    """What both kinds have in common."""

    def __init__(
        self, transport: LocalTransport, model: LocalModel, version: str | None, timeout_s: float
    ) -> None:
        self._local = transport
        self._model = model
        super().__init__(URL, model.label[0], version, inference_timeout_s=timeout_s)

    def infer_together(
        self,
        requests: Sequence[Mapping[str, Any]],
        *,
        parameters: Sequence[Mapping[str, Any] | None] | None = None,
        samples: bool = True,
    ) -> list[Answer | PyTritonClientError]:
        """Send several requests so that they make one batch, as far as the model's batch size lets them.

        Args:
            requests: The inputs of each by name.
            parameters: The parameters of each.
            samples: Whether each is one sample without a batch dimension, else a batch.

        Returns:
            For each request, in their order, its answer or the exception that it would have raised.
        """
        self._ready()
        given = parameters or [None] * len(requests)
        begun: list[Any] = []
        with self._model.hold():
            for inputs, its_parameters in zip(requests, given, strict=True):
                call = Call.create((), dict(inputs), its_parameters, is_batch=not samples)
                try:
                    begun.append(self._begin(call))
                except PyTritonClientError as error:
                    begun.append(error)
        return [each if isinstance(each, PyTritonClientError) else self._outcome(each) for each in begun]

    def _begin(self, call: Call) -> Any:
        """Send a request."""
        raise NotImplementedError

    def _outcome(self, begun: Any) -> Any:
        """What there is to say of a request that was sent."""
        raise NotImplementedError

    def _open(self) -> Transport:
        with self._lock:
            if self._closed:
                raise PyTritonClientClosedError(f"The client of {self._settings.what} is closed.")
            self._transport = self._local
            return self._local


class _Begun(NamedTuple):
    """A request that is under way."""

    flow: Flow[Outputs]
    command: Exchange
    job: Job


class LocalClient(_InProcess[Outputs]):
    """Asks a model that gives one response to a request."""

    def _infer(self, call: Call) -> Outputs:
        self._ready()
        return self._run(self._session.infer(call))

    def _begin(self, call: Call) -> _Begun:
        flow = self._session.infer(call)
        command = next(flow)
        assert isinstance(command, Exchange)
        return _Begun(flow, command, self._local.submit(command))

    def _outcome(self, begun: _Begun) -> Any:
        try:
            outputs = self._local.receive(begun.job, begun.command)
        except PyTritonClientError as error:
            begun.flow.close()
            return error
        try:
            begun.flow.send(outputs)
        except StopIteration as stop:
            return stop.value
        raise AssertionError


class LocalStreamClient(_InProcess["LocalResponses"]):
    """Asks a model that gives any number of responses to a request; its methods return iterators."""

    def _infer(self, call: Call) -> LocalResponses:
        self._ready()
        return self._begin(call)

    def _begin(self, call: Call) -> LocalResponses:
        signature = self._session.signature
        command = self._session.command(call, decoupled=True)
        return LocalResponses(self._local, command, lambda outputs: signature.debatched(outputs, call))

    def _outcome(self, begun: LocalResponses) -> LocalResponses:
        return begun


class LocalResponses(Iterator[Outputs]):
    """Responses to one request, as they come; closing it early cancels the request."""

    def __init__(
        self, transport: LocalTransport, command: Exchange, finish: Callable[[Outputs], Outputs]
    ) -> None:
        self._transport = transport
        self._command = command
        self._finish = finish
        self._job: Job | None = transport.submit(command)

    def __next__(self) -> Outputs:
        if self._job is None:
            raise StopIteration
        try:
            outputs = self._transport.receive(self._job, self._command)
        except BaseException:
            self.close()
            raise
        if outputs is None:
            self.close()
            raise StopIteration
        return self._finish(outputs)

    def close(self) -> None:
        """Want no more responses; the function is told."""
        job, self._job = self._job, None
        if job is not None:
            job.cancel()

    def __enter__(self) -> LocalResponses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Want no more responses."""
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_job", None) is not None:
            self.close()
