# SPDX-License-Identifier: Apache-2.0
"""The responses to one request of a streaming model, as iterators."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Protocol, TypeVar

from pytriton.client._core.stream_request import StreamRequest
from pytriton.client._core.tensors import Array
from pytriton.client.exceptions import PyTritonClientError

__all__ = ["Responses", "StreamCall"]

Outputs = dict[str, Array]
Self = TypeVar("Self", bound="Responses")


class StreamCall(Protocol):
    """A request under way that is answered bit by bit; its exceptions are the clients'."""

    def __next__(self) -> Any:
        """The next response, for StreamRequest.outputs; StopIteration if there are no more."""

    def cancel(self) -> None:
        """Want no more; may be called at any time, by any thread, after the end too."""


class Responses(Iterator[Outputs]):
    """Responses to one request, as they come; closing it early cancels the request on the server.

    for outputs in client.infer_sample("prompt"):
        print(outputs["token"])
    """

    def __init__(
        self,
        begin: Callable[[], StreamCall],
        request: StreamRequest,
        finish: Callable[[Outputs], Outputs],
        failed: Callable[[PyTritonClientError], PyTritonClientError],
    ) -> None:
        """Send the request.

        Args:
            begin: Sends it.
            request: The request.
            finish: What is done with each response.
            failed: Gives the exception to raise in place of one.
        """
        self._request = request
        self._failed = failed
        self._finish = finish
        self._turn = threading.Lock()
        self._over = True
        try:
            self._call = begin()
        except BaseException:
            request.end(complete=False)
            raise
        self._over = False

    def __iter__(self) -> Responses:
        return self

    def __next__(self) -> Outputs:
        with self._turn:  # each of several threads has a response to itself
            return self._next()

    def _next(self) -> Outputs:
        if self._over:
            raise StopIteration
        try:
            return self._finish(self._request.outputs(next(self._call)))
        except StopIteration:
            self._request.end(complete=True)
            self.close()
            raise
        except PyTritonClientError as error:
            if self._over:  # by another thread
                raise StopIteration from None
            self.close()
            raise self._failed(error) from error.__cause__
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Want no more responses; the server is told."""
        self._over = True
        self._call.cancel()
        self._request.end(complete=False)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Want no more responses."""
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_over", True):
            self.close()
