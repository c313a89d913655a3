# SPDX-License-Identifier: Apache-2.0
"""How the helper functions proceed with clients of tritonclient, blocking ones and those of asyncio."""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Final, TypeAlias

from pytriton.client._core.config import config_from_json
from pytriton.client.exceptions import PyTritonClientTimeoutError

__all__ = [
    "LATEST_MODEL_VERSION",
    "ModelState",
    "Steps",
    "config_steps",
    "model_steps",
    "run",
    "run_async",
    "server_steps",
    "state_of",
]

LATEST_MODEL_VERSION: Final = "<latest>"
_PAUSE_S: Final = 1.0

Steps: TypeAlias = Generator["Callable[[], Any] | float", Any, Any]
"""Yields functions to call, whose results it is sent, and pauses in seconds."""


class ModelState(enum.Enum):
    """State of a model in the server's repository index."""

    LOADING = "LOADING"
    UNLOADING = "UNLOADING"
    UNAVAILABLE = "UNAVAILABLE"
    READY = "READY"


def server_steps(
    client: Any, timeout_s: float, pause_s: float = _PAUSE_S, headers: Mapping[str, str] | None = None
) -> Steps:
    """Poll until a server is ready and live."""
    options = {} if headers is None else {"headers": headers}
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if (yield lambda: client.is_server_ready(**options)) and (
                yield lambda: client.is_server_live(**options)
            ):
                return
        except Exception as error:
            if not _is_passing(error):
                raise
        yield from _pause(deadline, pause_s, "Waiting for server to be ready timed out.")


def model_steps(
    client: Any,
    name: str,
    version: str | None,
    timeout_s: float,
    pause_s: float = _PAUSE_S,
    headers: Mapping[str, str] | None = None,
) -> Steps:
    """Poll until a server and a model are ready."""
    options = {} if headers is None else {"headers": headers}
    deadline = time.monotonic() + timeout_s
    yield from server_steps(client, timeout_s, pause_s, headers)
    shown = version or LATEST_MODEL_VERSION
    while not (yield lambda: client.is_model_ready(name, version or "", **options)):
        yield from _pause(
            deadline,
            pause_s,
            f"Waiting for model {name}/{shown} to be ready timed out. Timeout while waiting for model {name} "
            f"to be ready (timeout={timeout_s:0.2f}).",
        )


def config_steps(
    client: Any,
    name: str,
    version: str | None,
    timeout_s: float,
    pause_s: float = _PAUSE_S,
    headers: Mapping[str, str] | None = None,
) -> Steps:
    """Wait for a model and read its configuration."""
    yield from model_steps(client, name, version, timeout_s, pause_s, headers)
    options: dict[str, Any] = {} if headers is None else {"headers": headers}
    if ".grpc" in type(client).__module__:
        response = yield lambda: client.get_model_config(name, version or "", as_json=True, **options)
        return config_from_json(response["config"])
    return config_from_json((yield lambda: client.get_model_config(name, version or "", **options)))


def state_of(index: Any, name: str, version: str | None) -> ModelState:
    """The state of a model in a repository index of either protocol; of its highest version by default."""
    entries = (
        [(entry["name"], entry.get("version"), entry.get("state")) for entry in index]
        if isinstance(index, list)
        else [(entry.name, entry.version, entry.state) for entry in index.models]
    )
    states = {
        each_version: ModelState(state or "LOADING")
        for each_name, each_version, state in entries
        if each_name == name and each_version
    }
    if version is None:
        version = max(states, key=int, default="")
    return states.get(version, ModelState.UNAVAILABLE)


def run(steps: Steps) -> Any:
    """Go the steps in this thread."""
    try:
        step = next(steps)
        while True:
            try:
                answer = time.sleep(step) if isinstance(step, float) else step()  # type: ignore[func-returns-value]
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as stop:
        return stop.value


async def run_async(steps: Steps) -> Any:
    """Go the steps in this task."""
    try:
        step = next(steps)
        while True:
            try:
                waiting: Awaitable[Any] = asyncio.sleep(step) if isinstance(step, float) else step()
                answer = await waiting
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as stop:
        return stop.value


def _pause(deadline: float, pause_s: float, message: str) -> Steps:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise PyTritonClientTimeoutError(message)
    yield min(pause_s, float(remaining))


def _is_passing(error: Exception) -> bool:
    """Whether a server that is just coming up may be the reason."""
    if isinstance(error, (OSError, asyncio.TimeoutError)):
        return True
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    return bool(names & {"tritonclient.InferenceServerException", "grpc.RpcError", "aiohttp.ClientError"})
