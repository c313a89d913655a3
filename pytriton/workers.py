# SPDX-License-Identifier: Apache-2.0
"""Processes that run functions: how many, on which devices, and what is done when one of them fails."""

from __future__ import annotations

import enum
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from pytriton.exceptions import PyTritonValidationError

__all__ = ["Device", "WorkerProcesses", "WorkerState", "WorkerStatus"]

Device: TypeAlias = int | str | Sequence[int | str]
"""A GPU, by its number as this process sees it (1 or "cuda:1") or by its UUID, or several of them for one
worker; "cpu" for none."""

_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
_CPU: Final = "cpu"
_CUDA: Final = "cuda:"
_UUIDS: Final = ("GPU-", "MIG-")
_POSSIBLE: Final = 'a device is a number, "cuda:N", "cpu" or a UUID that begins with GPU- or MIG-'
_TIMES: Final = (
    "start_timeout_s",
    "hang_timeout_s",
    "health_check_period_s",
    "health_check_timeout_s",
    "restart_delay_s",
    "max_restart_delay_s",
    "stable_after_s",
)


class WorkerState(enum.Enum):
    """What a worker process is about."""

    STARTING = "starting"
    """It makes its function and warms it up."""
    READY = "ready"
    """It takes requests."""
    WAITING = "waiting"
    """Its process has ended; another one is started in a moment."""
    LEAVING = "leaving"
    """It finishes the requests that it has, and ends."""


@dataclass(frozen=True)
class WorkerStatus:
    """A worker process as it is now."""

    index: int
    """Its number, which the process that replaces it has too."""
    device: Device | None
    """Its entry in `WorkerProcesses.devices`."""
    state: WorkerState
    pid: int | None
    """Its process, if there is one at the moment."""
    restarts: int
    """How often its process was replaced."""


@dataclass(frozen=True)
class WorkerProcesses:
    """Serve a function by processes of their own, each with its own interpreter and its own devices.

    Each is a new interpreter: nothing of this process is forked, so that CUDA may be in use here, and no
    script is run again. If `infer_func` is a class, each process makes one object of it and calls that; so it
    does with what a function returns, if `factory` says so; any other function is called as it is.

    A process that dies, hangs or is not healthy any more is replaced; the requests that it held fail at once
    with a status that says that they can be sent again (gRPC UNAVAILABLE, HTTP 503), and no others do.
    """

    count: int | None = None
    """Number of processes; by default `per_device` for each device, or one."""
    devices: Sequence[Device] = ()
    """Devices, in turn one for each process: it sees no other GPU (CUDA_VISIBLE_DEVICES), and a class or
    factory with a parameter `device` is given the entry. CUDA counts from 0 in each process."""
    per_device: int = 1
    """Processes on each device, unless there is a `count`."""
    factory: bool | None = None
    """Whether `infer_func` makes the function that is served; by default, if it is a class."""
    args: Sequence[Any] = ()
    """Positional arguments of the class or factory."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the class or factory."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the processes, besides those of this one."""
    start_timeout_s: float = 600.0
    """How long a process may take until it is ready: to import, to make its function, to warm it up."""
    hang_timeout_s: float | None = None
    """How long a function may run before its process is taken to hang: one call of it, one step of a
    generator, or what a coroutine does between two awaits. No limit by default."""
    health_check: str | Callable[..., Any] | None = None
    """Method of what is served, or function that takes it, called every so often on a thread of its own. The
    process is replaced if it raises, returns False, or does not return in time."""
    health_check_period_s: float = 10.0
    health_check_timeout_s: float = 5.0
    max_restarts: int = 5
    """How often in a row a process is replaced before serving ends with an error."""
    restart_delay_s: float = 0.1
    """How long the first replacement waits; every other one in a row waits twice as long."""
    max_restart_delay_s: float = 30.0
    stable_after_s: float = 10.0
    """How long a process has to be ready until its end is not in a row with those before."""

    def __post_init__(self) -> None:
        """Check what was given."""
        if self.count is not None and self.per_device != 1:
            raise PyTritonValidationError(
                f"WorkerProcesses: count={self.count} is the number in all, per_device={self.per_device} "
                "that for each device; give one of them."
            )
        for name in ("count", "per_device"):
            check_count(f"WorkerProcesses: {name}", getattr(self, name), optional=name == "count")
        check_count("WorkerProcesses: max_restarts", self.max_restarts, least=0)
        for name in _TIMES:
            self._check_time(name)
        if isinstance(self.devices, (str, int)):
            raise PyTritonValidationError(
                f"WorkerProcesses: devices must be a list, got {self.devices!r}; write [{self.devices!r}]."
            )
        if isinstance(self.devices, list) and not self.devices:
            raise PyTritonValidationError(
                "WorkerProcesses: devices is an empty list; name at least one, or leave it out for none in "
                "particular."
            )
        for device in self.devices:
            visible(device, os.environ)
        if isinstance(self.args, str):
            raise PyTritonValidationError(
                f"WorkerProcesses: args must be a list, got {self.args!r}; write ({self.args!r},)."
            )
        for name, value in self.env.items():
            pair: tuple[Any, Any] = name, value
            if not all(isinstance(part, str) for part in pair):
                raise PyTritonValidationError(f"WorkerProcesses: env[{name!r}] must be text, got {value!r}.")
        check: Any = self.health_check
        if check is not None and not isinstance(check, str) and not callable(check):
            raise PyTritonValidationError(
                f"WorkerProcesses: health_check must be the name of a method or a function, got {check!r}."
            )

    @property
    def total(self) -> int:
        """Number of processes."""
        return self.count if self.count is not None else self.per_device * max(1, len(self.devices))

    def device(self, index: int) -> Device | None:
        """Device of the process with a number."""
        return self.devices[index % len(self.devices)] if self.devices else None

    def environment(self, index: int) -> dict[str, str]:
        """Variables for the process with a number, besides those of this one."""
        device = self.device(index)
        chosen = {} if device is None else {_VISIBLE: visible(device, os.environ)}
        return {**chosen, **self.env}

    def _check_time(self, name: str) -> None:
        value = getattr(self, name)
        if value is None and name == "hang_timeout_s":
            return
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        zero_is_allowed = name in ("restart_delay_s", "max_restart_delay_s", "stable_after_s")
        if not number or value < 0 or (value == 0 and not zero_is_allowed):
            least = "0 or more" if zero_is_allowed else "positive"
            raise PyTritonValidationError(f"WorkerProcesses: {name} must be {least} seconds, got {value!r}.")


def check_count(what: str, value: Any, *, least: int = 1, optional: bool = False) -> None:
    """Refuse what is no number of processes."""
    if optional and value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise PyTritonValidationError(f"{what} must be a whole number, {least} or more, got {value!r}.")


def visible(device: Device, environment: Mapping[str, str]) -> str:
    """CUDA_VISIBLE_DEVICES for a process that shall see one entry; numbers count what this process sees."""
    if isinstance(device, str):
        return ",".join(_visible_name(part.strip(), environment) for part in device.split(","))
    if not isinstance(device, int) or isinstance(device, bool):
        if not isinstance(device, Sequence) or not device:
            raise PyTritonValidationError(
                f"WorkerProcesses: {_POSSIBLE}, or a list of these; got {device!r}."
            )
        return ",".join(visible(part, environment) for part in device)
    if device < 0:
        raise PyTritonValidationError(f"WorkerProcesses: a device is 0 or more, got {device}.")
    seen = environment.get(_VISIBLE)
    if seen is None:
        return str(device)
    names = [name.strip() for name in seen.split(",") if name.strip()]
    if device >= len(names):
        raise PyTritonValidationError(
            f"WorkerProcesses: there is no device {device}: {_VISIBLE}={seen!r} has {len(names)} of them."
        )
    return names[device]


def _visible_name(name: str, environment: Mapping[str, str]) -> str:
    number = name.removeprefix(_CUDA)
    if number.isascii() and number.isdecimal():
        return visible(int(number), environment)
    if name != _CPU and not name.startswith(_UUIDS):
        raise PyTritonValidationError(f"WorkerProcesses: {_POSSIBLE}; got {name!r}.")
    return name
