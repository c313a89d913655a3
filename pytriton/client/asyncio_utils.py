# SPDX-License-Identifier: Apache-2.0
"""Functions for those who work with asyncio clients of NVIDIA's tritonclient themselves."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from pytriton.client._waits import (
    ModelState,
    Steps,
    config_steps,
    model_steps,
    run_async,
    server_steps,
    state_of,
)
from pytriton.client.exceptions import PyTritonClientTimeoutError
from pytriton.model_config.triton_model_config import TritonModelConfig

__all__ = [
    "asyncio_get_model_config",
    "asyncio_get_model_state",
    "asyncio_wait_for_model_ready",
    "asyncio_wait_for_model_status_loaded",
    "asyncio_wait_for_server_ready",
]

_LONGEST_PAUSE_S: Final = 0.5
_NO_LIMIT_S: Final = float("inf")


async def asyncio_get_model_state(
    client: Any, model_name: str, model_version: str | None = None
) -> ModelState:
    """The state of a model, UNAVAILABLE if the server does not know it.

    Args:
        client: An asyncio client of tritonclient.
        model_name: Name of the model.
        model_version: Version of the model; the latest by default.
    """
    return state_of(await client.get_model_repository_index(), model_name, model_version)


async def asyncio_get_model_config(
    client: Any, model_name: str, model_version: str | None = None, timeout_s: float = 60.0
) -> TritonModelConfig:
    """Wait until a model is ready and return its configuration.

    Args:
        client: An asyncio client of tritonclient.
        model_name: Name of the model.
        model_version: Version of the model; the latest by default.
        timeout_s: Seconds to wait.
    """
    steps = config_steps(client, model_name, model_version, timeout_s, _pause_of(timeout_s))
    config: TritonModelConfig = await _within(steps, timeout_s, f"model {model_name} config")
    return config


async def asyncio_wait_for_server_ready(asyncio_client: Any, sleep_time_s: float) -> None:
    """Wait until a server is ready; put it into asyncio.wait_for to limit the time.

    Args:
        asyncio_client: An asyncio client of tritonclient.
        sleep_time_s: Pause between looks.
    """
    await run_async(server_steps(asyncio_client, _NO_LIMIT_S, float(sleep_time_s)))


async def asyncio_wait_for_model_status_loaded(
    asyncio_client: Any, model_name: str, sleep_time_s: float, model_version: str | None = None
) -> None:
    """Wait until a model is ready; put it into asyncio.wait_for to limit the time.

    Args:
        asyncio_client: An asyncio client of tritonclient.
        model_name: Name of the model.
        sleep_time_s: Pause between looks.
        model_version: Version of the model; the latest by default.
    """
    while not await asyncio_client.is_model_ready(model_name, model_version or ""):
        await asyncio.sleep(sleep_time_s)


async def asyncio_wait_for_model_ready(
    asyncio_client: Any, model_name: str, model_version: str | None = None, timeout_s: float = 60.0
) -> None:
    """Wait until a server and a model are ready; PyTritonClientTimeoutError if that takes too long.

    Args:
        asyncio_client: An asyncio client of tritonclient.
        model_name: Name of the model.
        model_version: Version of the model; the latest by default.
        timeout_s: Seconds to wait.
    """
    steps = model_steps(asyncio_client, model_name, model_version, timeout_s, _pause_of(timeout_s))
    await _within(steps, timeout_s, f"model {model_name} to be ready")


async def _within(steps: Steps, timeout_s: float, what: str) -> Any:
    try:
        return await asyncio.wait_for(run_async(steps), timeout_s)
    except asyncio.TimeoutError:
        raise PyTritonClientTimeoutError(
            f"Timeout while waiting for {what} (timeout={timeout_s:0.2f})"
        ) from None


def _pause_of(timeout_s: float) -> float:
    return min(timeout_s / 10, _LONGEST_PAUSE_S)
