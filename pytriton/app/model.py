# SPDX-License-Identifier: Apache-2.0
"""One model of an application: a function or class, what its annotations say, and its options."""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pytriton.app.place import Place
from pytriton.app.placement import Placement, place_model
from pytriton.app.signature import Input, Parameter, Signature, read_signature
from pytriton.app.tensor_type import TensorType
from pytriton.exceptions import PyTritonDefinitionError, PyTritonValidationError
from pytriton.model_config import ModelConfig, Tensor, rules
from pytriton.workers import Device, WorkerProcesses

__all__ = ["DEFAULT_MAX_BATCH_SIZE", "Model", "Options", "define"]

DEFAULT_MAX_BATCH_SIZE: Final = 64
_COROUTINES_IN_FLIGHT: Final = 64


@dataclass(frozen=True)
class Options:
    """What may be said of a model besides its annotations."""

    name: str | None = None
    version: int = 1
    output: str | None = None
    max_batch_size: int | None = None
    config: ModelConfig | None = None
    workers: int | WorkerProcesses = 1
    devices: Sequence[Device] = ()


@dataclass(frozen=True)
class Model:
    """One model of an application."""

    name: str
    version: int
    target: Callable[..., Any]
    """The function or class as the user wrote it."""
    signature: Signature = field(repr=False)
    config: ModelConfig = field(repr=False)
    placement: Placement = field(repr=False)

    @property
    def description(self) -> str:
        """The docstring."""
        return inspect.getdoc(self.target) or "" if self.target.__doc__ else ""

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs."""
        return self.signature.inputs

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Parameters of requests."""
        return self.signature.parameters

    @property
    def outputs(self) -> Mapping[str, TensorType]:
        """The outputs by name."""
        return self.signature.result.outputs

    @property
    def streaming(self) -> bool:
        """Whether it gives any number of responses to a request."""
        return self.signature.streaming

    def prefixed(self, prefix: str) -> Model:
        """The same model under a longer name."""
        return dataclasses.replace(self, name=prefix + self.name) if prefix else self

    def tensors(self) -> tuple[list[Tensor], list[Tensor]]:
        """Inputs and outputs as bind takes them."""
        inputs = [each.type.tensor(each.name, optional=each.optional) for each in self.inputs]
        return inputs, [kind.tensor(name) for name, kind in self.outputs.items()]

    def function(self) -> Callable[..., Any]:
        """What serves the model, made in this process: of a class, for an object of it."""
        return self.placement.function(self.name, self.target, self.signature)

    def bind_arguments(self) -> dict[str, Any]:
        """What bind is told, all but the name."""
        inputs, outputs = self.tensors()
        return {
            **self.placement.arguments(self.name, self.target, self.signature),
            "inputs": inputs,
            "outputs": outputs,
            "model_version": self.version,
            "config": self.config,
        }


def define(target: Callable[..., Any], options: Options, scope: Mapping[str, Any]) -> Model:
    """Make a model of a function or class; PyTritonDefinitionError if its annotations do not describe one.

    Args:
        target: The function or class.
        options: What else was said of it.
        scope: Names besides its module's globals that annotations may use.
    """
    name = options.name if options.name is not None else getattr(target, "__name__", None)
    if name is None:
        raise PyTritonDefinitionError(f"{target!r} has no name; write @app.model(name=...).")
    try:
        rules.check_model_name(name)
    except PyTritonValidationError as error:
        advice = " Write @app.model(name=...)." if options.name is None else ""
        raise PyTritonDefinitionError(error.message + advice, Place(name, target).location) from None
    function, is_method = _function_of(target, name)
    place = Place(name, function)
    if type(options.version) is not int or options.version < 0:
        raise place.error(f"version is {options.version!r}", "give a whole number of 0 or more")
    signature = read_signature(function, place, scope, is_method=is_method)
    if options.output is not None:
        signature = _renamed(signature, options.output, place)
    return Model(
        name,
        options.version,
        target,
        signature,
        _config(signature, options, place),
        place_model(target, options.workers, options.devices, place),
    )


def _function_of(target: Any, name: str) -> tuple[Callable[..., Any], bool]:
    """The function whose annotations count, and whether its first parameter is `self`."""
    if not callable(target):
        raise PyTritonDefinitionError(f"@app.model takes a function or a class, got {target!r}.")
    if inspect.ismethod(target):
        return target.__func__, True
    if not inspect.isclass(target) and inspect.isroutine(target):
        return target, False
    call = getattr(target if inspect.isclass(target) else type(target), "__call__", None)  # noqa: B004
    if not isinstance(call, types.FunctionType):
        raise Place(name, target).error(
            f"{target!r} has no method __call__(self, ...)",
            "write one with annotations, it is called for requests",
        )
    return call, True


def _renamed(signature: Signature, output: str, place: Place) -> Signature:
    name: Any = output
    if not isinstance(name, str) or not name:
        raise place.at_return().error(f"output is {output!r}", "give the name of the output, a text")
    if signature.result.container is not None:
        raise place.at_return().error(
            f"output={output!r} was given for several outputs", "their names are those of the fields"
        )
    return dataclasses.replace(signature, result=signature.result.renamed(output))


def _config(signature: Signature, options: Options, place: Place) -> ModelConfig:
    given, size = options.config, options.max_batch_size
    if given is not None and size is not None:
        raise place.error("config and max_batch_size were both given", "say it in one of the two")
    if given is not None and not given.batching:
        raise place.error(
            "config has batching=False", "models of an app always have it; max_batch_size=1 gives single rows"
        )
    if given is not None and given.response_cache and signature.parameters:
        names = ", ".join(parameter.name for parameter in signature.parameters)
        raise place.error(
            f"config has response_cache=True, but the answers depend on parameters ({names})",
            "Triton's cache knows a request by its inputs alone: make them inputs, or do without the cache",
        )
    if size is not None and (type(size) is not int or size < 1):
        raise place.error(f"max_batch_size is {size!r}", "give 1 or more; 1 gives single rows")
    default = ModelConfig(max_batch_size=DEFAULT_MAX_BATCH_SIZE if size is None else size)
    config = default if given is None else given
    config = dataclasses.replace(config, decoupled=signature.streaming)
    if signature.streaming and not signature.batched:
        if (given is not None or size is not None) and config.max_batch_size != 1:
            raise place.error(
                f"max_batch_size is {config.max_batch_size}, but a function that is typed per sample streams "
                "the answer to one sample at a time",
                "make it 1 or leave it out, or type the function per batch",
            )
        config.max_batch_size = 1
    if signature.is_async and not signature.streaming and not signature.batched:
        config.batches_in_flight = config.batches_in_flight or _COROUTINES_IN_FLIGHT
    return config
