# SPDX-License-Identifier: Apache-2.0
"""Models that belong together, for programs of several files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from pytriton.app.description import describe
from pytriton.app.model import Model, Options, define
from pytriton.app.place import Place
from pytriton.app.stub import client_stub
from pytriton.exceptions import PyTritonDefinitionError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.workers import Device, WorkerProcesses

if TYPE_CHECKING:
    from pytriton.serving.base import TritonBase
    from pytriton.serving.binding import InferFunction

__all__ = ["Bound", "Router"]

_Target = TypeVar("_Target", bound=Callable[..., Any])


class Bound(NamedTuple):
    """A model as `Triton.bind` describes it."""

    name: str
    version: int
    arguments: Mapping[str, Any]


class Router:
    """Models that belong together: an app includes them, `app.include(router)`."""

    def __init__(self, *, prefix: str = "") -> None:
        """Make an empty one.

        Args:
            prefix: Beginning of the names of all its models, such as "vision.".
        """
        self._prefix = prefix
        self._models: list[Model] = []
        self._bound: list[Bound] = []
        self._included: list[tuple[Router, str]] = []

    @overload
    def model(self, target: _Target, /) -> _Target: ...

    @overload
    def model(
        self,
        /,
        *,
        name: str | None = None,
        version: int = 1,
        output: str | None = None,
        max_batch_size: int | None = None,
        config: ModelConfig | None = None,
        workers: int | WorkerProcesses = 1,
        devices: Sequence[Device] = (),
    ) -> Callable[[_Target], _Target]: ...

    def model(
        self,
        target: Any = None,
        /,
        *,
        name: str | None = None,
        version: int = 1,
        output: str | None = None,
        max_batch_size: int | None = None,
        config: ModelConfig | None = None,
        workers: int | WorkerProcesses = 1,
        devices: Sequence[Device] = (),
    ) -> Any:
        """Decorator that makes a model of a typed function or class, which stays as it is.

        Inputs, parameters of requests, outputs, batching and streaming follow from its annotations;
        PyTritonDefinitionError says which of them does not describe a model.

        Args:
            target: The function, or a class with `__call__`, if there are no options.
            name: Name of the model; that of the function or class by default.
            version: Version of the model.
            output: Name of the output, if there is one; "output" by default.
            max_batch_size: Rows of the largest batch; 64 by default.
            config: All options of batching, instead of max_batch_size.
            workers: How many workers serve it, on each device if there are devices: threads that share a
                function, processes that each make an object of a class; or what else `WorkerProcesses` says.
            devices: Devices such as 0, "cuda:0" or "cpu", in turn one for each process, which sees no other;
                a constructor with a parameter `device` is given it by the name that it has there.
        """
        options = Options(name, version, output, max_batch_size, config, workers, devices)
        if target is not None:
            return self._define(target, options, sys._getframe(1).f_locals)

        def decorate(target: Any) -> Any:
            return self._define(target, options, sys._getframe(1).f_locals)

        return decorate

    def bind(
        self,
        model_name: str,
        infer_func: InferFunction | Sequence[InferFunction],
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        model_version: int = 1,
        config: ModelConfig | None = None,
        strict: bool = False,
        **options: Any,
    ) -> None:
        """Add a model as `Triton.bind` describes it; it is bound with the others.

        Args:
            model_name: Name of the model.
            infer_func: Function that takes a list of requests, or one under a decorator such as @batch.
            inputs: Inputs of the model.
            outputs: Outputs of the model.
            model_version: Version of the model.
            config: Batching and other options.
            strict: Whether outputs are checked against `outputs` to the letter.
            options: Whatever else `Triton.bind` takes.
        """
        if self._has(model_name, model_version):
            raise _known_already(model_name, model_version, _line_of(sys._getframe(1)))
        arguments = dict(
            infer_func=infer_func, inputs=inputs, outputs=outputs, config=config, strict=strict, **options
        )
        self._bound.append(Bound(model_name, model_version, arguments))

    def include(self, router: Router, *, prefix: str = "") -> None:
        """Take the models of a router too, those included that it gets later.

        Args:
            router: The router.
            prefix: Beginning of the names of its models, before its own.
        """
        given: Any = router
        if not isinstance(given, Router):
            raise PyTritonDefinitionError(
                f"include takes a Router or an App, got {given!r}.", _line_of(sys._getframe(1))
            )
        if router is self or self in router._routers():
            raise PyTritonDefinitionError("A router cannot include itself.", _line_of(sys._getframe(1)))
        self._included.append((router, prefix))

    def bind_to(self, triton: TritonBase) -> None:
        """Bind all models to a Triton or RemoteTriton, beside whatever else is bound to it.

        Args:
            triton: What serves them; at once if it runs.
        """
        for model in self.models:
            triton.bind(model.name, **model.bind_arguments())
        for name, version, arguments in self._all_bound():
            triton.bind(name, model_version=version, **arguments)

    @property
    def models(self) -> list[Model]:
        """The models made of functions and classes, those of included routers too."""
        return list(self._all_models())

    def describe(self) -> str:
        """What the models made of functions and classes take and give, as Markdown."""
        return describe(self.models)

    def client_stub(self, source: str = "") -> str:
        """Source of a module with a typed client for each model made of a function or class.

        Args:
            source: Where the models are from, such as "module:app", to be told in its first line.
        """
        return client_stub(self.models, source)

    def _define(self, target: Any, options: Options, scope: Mapping[str, Any]) -> Any:
        model = define(target, options, scope)
        if self._has(model.name, model.version):
            raise _known_already(model.name, model.version, Place(model.name, target).location)
        self._models.append(model)
        return target

    def _has(self, name: str, version: int) -> bool:
        known = {(model.name.lower(), model.version) for model in self._models}
        known |= {(bound.name.lower(), bound.version) for bound in self._bound}
        return (name.lower(), version) in known

    def _routers(self) -> Iterator[Router]:
        for router, _ in self._included:
            yield router
            yield from router._routers()

    def _all_models(self) -> Iterator[Model]:
        for model in self._models:
            yield model.prefixed(self._prefix)
        for router, prefix in self._included:
            for model in router._all_models():
                yield model.prefixed(prefix + self._prefix)

    def _all_bound(self) -> Iterator[Bound]:
        for bound in self._bound:
            yield bound._replace(name=self._prefix + bound.name)
        for router, prefix in self._included:
            for bound in router._all_bound():
                yield bound._replace(name=prefix + self._prefix + bound.name)


def _known_already(name: str, version: int, place: str) -> PyTritonDefinitionError:
    return PyTritonDefinitionError(
        f'There is a model "{name}" version {version} already (case does not count); '
        "give one of them another name or version.",
        place,
    )


def _line_of(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
