# SPDX-License-Identifier: Apache-2.0
"""The client of one model whose methods return futures."""

from __future__ import annotations

import collections
import functools
import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from pytriton.client._core.tensors import Array
from pytriton.client._core.tracing import in_context
from pytriton.client._threads.future import AbortableFuture, settled_here
from pytriton.client._threads.pool import Pool
from pytriton.client.exceptions import PyTritonClientQueueFullError, PyTritonClientValueError
from pytriton.client.model_client import ModelClient
from pytriton.client.options import Compression, InferOptions, Retry, SharedMemory, Tls, is_integer
from pytriton.model_config.triton_model_config import TritonModelConfig

__all__ = ["FuturesModelClient"]

_WINDOW: Final = 256


class FuturesModelClient:
    """Asks one model over HTTP or gRPC; its methods return futures at once.

    `max_workers` requests are under way at a time and `max_queue_size` more wait; who sends still more has to
    wait as well, or gets PyTritonClientQueueFullError, as do callbacks of the futures. `cancel()` cancels a
    future that still waits; `abort()` ends a request that is under way too.

    For example:

    with FuturesModelClient("localhost", "Linear") as client:
        futures = [client.infer_sample(features) for features in samples]
        print([future.result()["scores"] for future in futures])
    """

    def __init__(
        self,
        url: str,
        model_name: str,
        model_version: str | None = None,
        *,
        max_workers: int | None = 128,
        max_queue_size: int | None = 128,
        non_blocking: bool = False,
        init_timeout_s: float | None = None,
        inference_timeout_s: float | None = None,
        access_token: str | None = None,
        headers: Mapping[str, str] | None = None,
        tls: Tls | None = None,
        retry: Retry | None = None,
        compression: Compression | None = None,
        split_batches: bool = False,
        shared_memory: SharedMemory = "off",
    ) -> None:
        """Describe the model to ask; nothing is sent yet.

        Args:
            url: Where the server is: [scheme://]host[:port], with http (the default), https, grpc or grpcs;
                port 8000 by default, for gRPC 8001. An IPv6 address stands in brackets. A user name, and what
                follows the port, are left out.
            model_name: Name of the model.
            model_version: Version of the model; the latest by default.
            max_workers: Requests that are under way at a time; None is any number.
            max_queue_size: Requests that wait for one of these to end; None is any number.
            non_blocking: Whether a full queue is an error at once, not only after inference_timeout_s.
            init_timeout_s: Seconds that server and model may take to be ready; 300 by default.
            inference_timeout_s: Seconds that a request may take; 60 by default.
            access_token: Token of a server that restricts its endpoints.
            headers: Headers (gRPC: metadata) of every request.
            tls: Certificates for https and grpcs; the system's authorities by default.
            retry: When a request is sent again; never by default.
            compression: How requests are compressed, "gzip" or "deflate"; not at all by default.
            split_batches: Whether batches larger than the model takes are sent in parts and joined again.
            shared_memory: "auto" has large tensors go through shared memory where the server is on this
                machine and allows it; "always" fails where that cannot be done; "off" by default.

        Raises:
            PyTritonClientInvalidUrlError: The URL cannot be understood.
            PyTritonClientValueError: Another argument is not what it should be.
            ValueError: max_workers or max_queue_size is not greater than 0.
        """
        for name, limit in (("max_workers", max_workers), ("max_queue_size", max_queue_size)):
            _check_limit(name, limit)
        client = ModelClient(
            url,
            model_name,
            model_version,
            init_timeout_s=init_timeout_s,
            inference_timeout_s=inference_timeout_s,
            access_token=access_token,
            headers=headers,
            tls=tls,
            retry=retry,
            compression=compression,
            split_batches=split_batches,
            shared_memory=shared_memory,
        )
        self._client = client
        self._non_blocking = non_blocking
        self._patience_s = client._settings.inference_timeout_s
        self._window = _WINDOW if max_workers is None else max_workers
        self._pool = Pool(max_workers, max_queue_size, client.close)
        # The threads know the pool alone, so a client that nobody closed goes as other objects go.
        self._finalizer = weakref.finalize(self, self._pool.close, wait=False)
        self._finalizer.atexit = False

    def infer_sample(
        self,
        *inputs: Any,
        parameters: Mapping[str, str | int | float | bool] | None = None,
        headers: Mapping[str, str | int | float | bool] | None = None,
        options: InferOptions | None = None,
        **named_inputs: Any,
    ) -> AbortableFuture[dict[str, Array]]:
        """Run the model on one sample; the future has what ModelClient.infer_sample returns or raises.

        A future that is aborted while its request is under way has a PyTritonClientAbortedError.

        Raises:
            PyTritonClientQueueFullError: Too many requests wait.
            PyTritonClientClosedError: The client is closed.
        """
        return self._ask(
            functools.partial(
                self._client.infer_sample,
                *inputs,
                parameters=parameters,
                headers=headers,
                options=options,
                **named_inputs,
            )
        )

    def infer_batch(
        self,
        *inputs: Any,
        parameters: Mapping[str, str | int | float | bool] | None = None,
        headers: Mapping[str, str | int | float | bool] | None = None,
        options: InferOptions | None = None,
        **named_inputs: Any,
    ) -> AbortableFuture[dict[str, Array]]:
        """Run the model on a batch; the future has what ModelClient.infer_batch returns or raises.

        A future that is aborted while its request is under way has a PyTritonClientAbortedError.

        Raises:
            PyTritonClientQueueFullError: Too many requests wait.
            PyTritonClientClosedError: The client is closed.
        """
        return self._ask(
            functools.partial(
                self._client.infer_batch,
                *inputs,
                parameters=parameters,
                headers=headers,
                options=options,
                **named_inputs,
            )
        )

    def map(
        self, inputs: Iterable[Any], *, is_batch: bool = False, progress: bool = False
    ) -> Iterator[dict[str, Array]]:
        """Run the model on each of many inputs and give the results in their order, as they come.

        Args:
            inputs: Dicts of arrays by name, tuples of arrays by position, or arrays if the model has one;
                taken one by one, never far ahead of the results.
            is_batch: Whether each has a batch dimension.
            progress: Whether a progress bar is shown; needs the package tqdm.

        Raises:
            PyTritonClientError: The first of the requests that fails; those that are under way are aborted.
            PyTritonClientClosedError: The client is closed.
            ImportError: tqdm is not installed.
        """
        infer = self._client.infer_batch if is_batch else self._client.infer_sample
        calls = iter(functools.partial(_apply, infer, each) for each in _with_progress(inputs, progress))
        window: collections.deque[AbortableFuture[dict[str, Array]]] = collections.deque()
        try:
            for call in itertools.islice(calls, self._window):
                window.append(self._submit(call, patience_s=None))
            while window:
                result = window.popleft().result()
                for call in itertools.islice(calls, 1):
                    window.append(self._submit(call, patience_s=None))
                yield result
        finally:
            for future in window:
                future.abort()

    def wait_for_model(self, timeout_s: float) -> AbortableFuture[None]:
        """Wait until the model is ready; the future has what ModelClient.wait_for_model raises.

        Raises:
            PyTritonClientQueueFullError: Too many requests wait.
            PyTritonClientClosedError: The client is closed.
        """
        return self._ask(functools.partial(self._client.wait_for_model, timeout_s))

    def model_config(self) -> AbortableFuture[TritonModelConfig]:
        """The model's configuration; the future has what ModelClient.model_config raises.

        Raises:
            PyTritonClientQueueFullError: Too many requests wait.
            PyTritonClientClosedError: The client is closed.
        """
        return self._ask(lambda: self._client.model_config)

    def close(self, wait: bool = True) -> None:
        """Take no more requests; those that wait are still sent.

        Args:
            wait: Whether to return only when all futures are done. A callback of a future never waits: it
                runs in the thread that has to settle the others.
        """
        self._pool.close(wait=wait and not self._is_own_thread())

    def __enter__(self) -> FuturesModelClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the client."""
        self.close()

    def _ask(self, function: Callable[[], Any]) -> AbortableFuture[Any]:
        return self._submit(function, patience_s=self._patience_s, blocking=not self._non_blocking)

    def _submit(
        self, function: Callable[[], Any], *, patience_s: float | None, blocking: bool = True
    ) -> AbortableFuture[Any]:
        work, own = _Work(self._client, in_context(function)), self._is_own_thread()
        try:
            return self._pool.submit(work, patience_s=patience_s, blocking=blocking and not own)
        except PyTritonClientQueueFullError as error:
            if not own:
                raise
            raise PyTritonClientQueueFullError(
                f"{error} This was sent in a thread of the client itself, by a callback of a future: it does "
                "not wait for a place in the queue, which it may be the one to free."
            ) from None

    def _is_own_thread(self) -> bool:
        """Whether this thread is one of the client's, as it is in the callbacks of its futures."""
        work = settled_here()
        return isinstance(work, _Work) and work.client is self._client


@dataclass(frozen=True)
class _Work:
    """What a future stands for."""

    client: ModelClient
    function: Callable[[], Any]

    def __call__(self) -> Any:
        return self.function()


def _check_limit(name: str, limit: Any) -> None:
    if limit is None:
        return
    if not is_integer(limit):
        raise PyTritonClientValueError(
            f"{name} must be an integer greater than 0, or None for any number, got {limit!r}."
        )
    if limit <= 0:  # a ValueError since 0.7
        raise ValueError(f"{name} must be greater than 0, or None for any number; got {limit}.")


def _apply(infer: Any, inputs: Any) -> dict[str, Array]:
    result: dict[str, Array]
    if isinstance(inputs, Mapping):
        result = infer(**inputs)
    elif isinstance(inputs, tuple):
        result = infer(*inputs)
    else:
        result = infer(inputs)
    return result


def _with_progress(inputs: Iterable[Any], progress: bool) -> Iterable[Any]:
    if not progress:
        return inputs
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError("A progress bar needs the package tqdm: pip install tqdm") from error
    wrapped: Iterable[Any] = tqdm(inputs)
    return wrapped
