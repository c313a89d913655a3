# SPDX-License-Identifier: Apache-2.0
"""Where a model runs: in threads of this process, or in processes that each make an object of its class."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from pytriton.app.per_batch import serve_batches
from pytriton.app.per_sample import serve_samples
from pytriton.app.place import Place
from pytriton.app.signature import Signature
from pytriton.exceptions import PyTritonValidationError
from pytriton.worker.factory import call_factory
from pytriton.workers import Device, WorkerProcesses

__all__ = ["Placement", "place_model"]

_CUDA: Final = "cuda:"
_CPU: Final = "cpu"
_CHECK: Final = "__pytriton_check__"

Target: TypeAlias = Callable[..., Any]


@dataclasses.dataclass(frozen=True)
class Placement:
    """Threads, or processes."""

    threads: int
    processes: WorkerProcesses | None = None
    devices: tuple[Device, ...] = ()
    """Devices as the user named them; empty if they are those of `processes`."""

    def arguments(self, name: str, target: Target, signature: Signature) -> dict[str, Any]:
        """What `bind` is told of the function and its workers."""
        if self.processes is None:
            serve = _serve(name, target, signature)
            return {"infer_func": [serve] * self.threads}
        check = self.processes.health_check
        maker = _Maker(name, target, signature, named=bool(self.devices), check=check)
        health_check = None if check is None else _check_target
        return {
            "infer_func": maker,
            "workers": dataclasses.replace(self.processes, factory=True, health_check=health_check),
        }

    def function(self, name: str, target: Target, signature: Signature) -> Target:
        """What serves the model, made in this process."""
        processes = self.processes
        if processes is None:
            return _serve(name, target, signature)
        maker = _Maker(name, target, signature, named=bool(self.devices), check=processes.health_check)
        served: Target = call_factory(maker, processes.args, processes.kwargs, processes.device(0))
        return served


def place_model(
    target: Target, workers: int | WorkerProcesses, devices: Sequence[Device], place: Place
) -> Placement:
    """Decide where a model runs; PyTritonDefinitionError if that is not possible."""
    given: Any = workers
    if isinstance(devices, str):
        raise place.error(f"devices is {devices!r}", f"give a list: devices=[{devices!r}]")
    if isinstance(devices, list) and not devices:
        raise place.error("devices is []", "name at least one, or leave it out for none in particular")
    if isinstance(given, WorkerProcesses):
        if devices:
            raise place.error("devices and WorkerProcesses were both given", "say it in one of the two")
        return Placement(0, _checked(target, given, place))
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise place.error(f"workers is {given!r}", "give 1 or more, or WorkerProcesses(...)")
    if not inspect.isclass(target) and not devices:
        return Placement(given)
    try:
        numbers = tuple(_number(device) for device in devices)
        processes = WorkerProcesses(devices=numbers, per_device=given)
    except PyTritonValidationError as error:
        raise place.error(f"devices is {list(devices)!r}", error.message.rstrip(".")) from None
    return Placement(0, _checked(target, processes, place), tuple(devices))


def _checked(target: Target, processes: WorkerProcesses, place: Place) -> WorkerProcesses:
    """Refuse a constructor that would miss a value."""
    if not inspect.isclass(target):
        return processes
    signature = inspect.signature(target)
    options = dict(processes.kwargs)
    if "device" in signature.parameters and processes.devices:
        options.setdefault("device", None)
    try:
        signature.bind(*processes.args, **options)
    except TypeError as error:
        raise Place(place.model, target.__init__).error(
            f"the constructor cannot be called: {error}",
            'give its parameters defaults; "device" is given with @app.model(devices=[...]), others with '
            "workers=WorkerProcesses(kwargs={...})",
        ) from None
    return processes


def _number(device: Device) -> Device:
    """A device as CUDA counts it."""
    if isinstance(device, str) and device.startswith(_CUDA) and device[len(_CUDA) :].isdecimal():
        return int(device[len(_CUDA) :])
    return device


def _name(device: Device) -> str:
    """What a device is called in the process that sees no other one."""
    if device == _CPU:  # there is no GPU of that name, so the process sees none
        return _CPU
    return (
        f"{_CUDA}0"
        if isinstance(device, (str, int))
        else ",".join(f"{_CUDA}{index}" for index in range(len(device)))
    )


def _serve(name: str, target: Target, signature: Signature) -> Target:
    serve = serve_batches if signature.batched else serve_samples
    return serve(name, target, signature)


class _Maker:
    """Makes what serves a model, in the process that is to serve it."""

    def __init__(self, name: str, target: Target, signature: Signature, *, named: bool, check: Any) -> None:
        self._name = name
        self._target = target
        self._signature = signature
        self._named = named
        self._check = check

    def __call__(self, *args: Any, device: Device | None = None, **kwargs: Any) -> Target:
        target = self._target
        if inspect.isclass(target):
            told = _name(device) if self._named and device is not None else device
            target = call_factory(target, args, kwargs, told)
        served = _serve(self._name, target, self._signature)
        if isinstance(self._check, str):
            setattr(served, _CHECK, getattr(target, self._check))
        elif self._check is not None:
            setattr(served, _CHECK, functools.partial(self._check, target))
        return served


def _check_target(served: Any) -> Any:
    return getattr(served, _CHECK)()
