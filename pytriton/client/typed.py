# SPDX-License-Identifier: Apache-2.0
"""What typed clients are made of: the classes that `app.client_stub()` writes are each a `ModelStub`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, ClassVar, Protocol, TypeVar

from pytriton.client._core.tensors import Array

__all__ = ["ModelStub", "Source", "text", "texts"]

_Self = TypeVar("_Self", bound="ModelStub")
_Result = TypeVar("_Result")


class Source(Protocol):
    """Something that has clients of models, such as `TestClient` and `TestServer` of `pytriton.testing`."""

    def model(self, name: str) -> Any:
        """The client of a model that gives one response to each request."""

    def stream(self, name: str) -> Any:
        """The client of a streaming model."""


class ModelStub:
    """A model to be called like the function that serves it; any number of threads may share it."""

    MODEL: ClassVar[str]
    STREAMING: ClassVar[bool] = False

    def __init__(self, source: str | Source, **options: Any) -> None:
        """Describe where the model is; nothing is sent yet.

        Args:
            source: URL of a server, with grpc:// for a streaming model; or what has clients of its own.
            options: What else `ModelClient` takes, with a URL.
        """
        self._client = self._connect(source, options) if isinstance(source, str) else self._of(source)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def _sample(self, inputs: dict[str, Any], parameters: dict[str, Any]) -> Any:
        return self._client.infer_sample(parameters=_given(parameters), **_given(inputs))

    def _batch(self, inputs: dict[str, Any], parameters: dict[str, Any]) -> Any:
        return self._client.infer_batch(parameters=_given(parameters), **_given(inputs))

    @staticmethod
    def _each(steps: Any, convert: Callable[[Any], _Result]) -> Iterator[_Result]:
        """The converted steps of a stream, which is closed when nobody wants more of them."""
        with steps:
            for outputs in steps:
                yield convert(outputs)

    @classmethod
    def _connect(cls, url: str, options: dict[str, Any]) -> Any:
        if cls.STREAMING:
            from pytriton.client import DecoupledModelClient

            return DecoupledModelClient(url, cls.MODEL, **options)
        from pytriton.client import ModelClient

        return ModelClient(url, cls.MODEL, **options)

    @classmethod
    def _of(cls, source: Source) -> Any:
        return source.stream(cls.MODEL) if cls.STREAMING else source.model(cls.MODEL)


def text(array: Array) -> str:
    """The text of one string."""
    encoded: bytes = array.item()
    return encoded.decode()


def texts(array: Array) -> list[str]:
    """The texts of a list of strings."""
    return [encoded.decode() for encoded in array.tolist()]


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
