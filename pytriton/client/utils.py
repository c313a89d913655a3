# SPDX-License-Identifier: Apache-2.0
"""Functions for those who work with clients of NVIDIA's tritonclient themselves."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pytriton.client._core.url import TritonUrl
from pytriton.client._waits import (
    LATEST_MODEL_VERSION,
    ModelState,
    config_steps,
    model_steps,
    run,
    server_steps,
    state_of,
)
from pytriton.client.warnings import NotSupportedTimeoutWarning
from pytriton.model_config.triton_model_config import TritonModelConfig

__all__ = [
    "LATEST_MODEL_VERSION",
    "ModelState",
    "TritonUrl",
    "create_client_from_url",
    "get_model_config",
    "get_model_state",
    "parse_grpc_response",
    "parse_http_response",
    "tritonclient_module",
    "wait_for_model_ready",
    "wait_for_server_ready",
]

_SERVER_TIMEOUT_S: Final = 60.0
_MODEL_TIMEOUT_S: Final = 300.0


def create_client_from_url(url: str, network_timeout_s: float | None = None) -> Any:
    """A client of tritonclient, which must be installed.

    Args:
        url: Where the server is.
        network_timeout_s: Seconds that a network operation may take; over HTTP only.
    """
    where = TritonUrl.from_url(url)
    library = tritonclient_module(f"tritonclient.{where.protocol}")
    options: dict[str, Any] = {"ssl": True} if where.is_encrypted else {}
    if network_timeout_s is not None:
        if where.protocol == "grpc":
            warnings.warn(
                "tritonclient.grpc knows a timeout for inference only; "
                f"network_timeout_s={network_timeout_s} is ignored.",
                NotSupportedTimeoutWarning,
                stacklevel=2,
            )
        else:
            options |= {"connection_timeout": network_timeout_s, "network_timeout": network_timeout_s}
    return library.InferenceServerClient(where.without_scheme, **options)


def tritonclient_module(name: str) -> Any:
    """A module of tritonclient, or an error that says how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"This gives an object of {name}, which is not installed: pip install 'tritonclient[grpc,http]'. "
            "The clients of pytriton.client do without it."
        ) from error


def wait_for_server_ready(
    client: Any, timeout_s: float | None = None, headers: Mapping[str, str] | None = None
) -> None:
    """Wait until a server is ready; PyTritonClientTimeoutError if that takes too long.

    Args:
        client: A client of tritonclient.
        timeout_s: Seconds to wait; 60 by default.
        headers: Headers of the requests.
    """
    run(server_steps(client, _SERVER_TIMEOUT_S if timeout_s is None else timeout_s, headers=headers))


def wait_for_model_ready(
    client: Any,
    model_name: str,
    model_version: str | None = None,
    timeout_s: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Wait until a server and a model are ready; PyTritonClientTimeoutError if that takes too long.

    Args:
        client: A client of tritonclient.
        model_name: Name of the model.
        model_version: Version of the model; the latest by default.
        timeout_s: Seconds to wait; 300 by default.
        headers: Headers of the requests.
    """
    timeout = _MODEL_TIMEOUT_S if timeout_s is None else timeout_s
    run(model_steps(client, model_name, model_version, timeout, headers=headers))


def get_model_config(
    client: Any,
    model_name: str,
    model_version: str | None = None,
    timeout_s: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> TritonModelConfig:
    """Wait until a model is ready and return its configuration.

    Args:
        client: A client of tritonclient.
        model_name: Name of the model.
        model_version: Version of the model; the latest by default.
        timeout_s: Seconds to wait; 300 by default.
        headers: Headers of the requests.
    """
    timeout = _MODEL_TIMEOUT_S if timeout_s is None else timeout_s
    config: TritonModelConfig = run(config_steps(client, model_name, model_version, timeout, headers=headers))
    return config


def get_model_state(
    client: Any,
    model_name: str,
    model_version: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> ModelState:
    """The state of a model, UNAVAILABLE if the server does not know it.

    Args:
        client: A client of tritonclient.
        model_name: Name of the model.
        model_version: Version of the model; the latest by default.
        headers: Headers of the request.
    """
    return state_of(client.get_model_repository_index(headers=headers), model_name, model_version)


def parse_http_response(models: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], ModelState]:
    """States by name and version, of the entries of a repository index over HTTP."""
    return {
        (model["name"], model["version"]): ModelState(model.get("state") or "LOADING")
        for model in models
        if model.get("version")
    }


def parse_grpc_response(models: Iterable[Any]) -> dict[tuple[str, str], ModelState]:
    """States by name and version, of the entries of a repository index over gRPC."""
    return parse_http_response(
        {"name": model.name, "version": model.version, "state": model.state} for model in models
    )
