# SPDX-License-Identifier: Apache-2.0
"""The command that starts a server."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from pytriton.constants import BOOTSTRAP_MODEL_NAME
from pytriton.server.config import TritonConfig
from pytriton.server.locate import ServerBinary, locate_backends
from pytriton.server.ports import Endpoint
from pytriton.server.repository import ModelRepository
from pytriton.server.security import TritonSecurityConfig

__all__ = ["has_models_of_its_own", "server_command", "with_default_model"]


def has_models_of_its_own(config: TritonConfig) -> bool:
    """Whether the server loads models that nobody binds."""
    return config.model_repository is not None or bool(config.model_repositories)


def with_default_model(
    config: TritonConfig, opened: Sequence[Endpoint], models: Collection[str]
) -> TritonConfig:
    """Let the only model be that of Vertex AI; the server sees two, for one of ours starts it."""
    vertex = any(endpoint.option == "vertex_ai" for endpoint in opened)
    if not vertex or config.vertex_ai_default_model is not None or len(models) != 1:
        return config
    (name,) = models
    return replace(config, vertex_ai_default_model=name)


def server_command(
    config: TritonConfig,
    security: TritonSecurityConfig,
    opened: Sequence[Endpoint],
    binary: ServerBinary,
    repository: ModelRepository,
    *,
    loads_all: bool = False,
) -> list[str]:
    """Executable and arguments.

    Args:
        config: Options of the server.
        security: Which endpoints need a token.
        opened: Where it listens.
        binary: The executable.
        repository: The models that are bound.
        loads_all: Whether it loads them when it starts.
    """
    ours: dict[str, Any] = {
        f"{endpoint.option}_address": endpoint.server_address
        for endpoint in opened
        if getattr(config, f"{endpoint.option}_address", None) is not None
    }
    if config.cache_directory is None and binary.cache_directory is not None:
        ours["cache_directory"] = str(binary.cache_directory)
    if (restriction := security.restriction) is not None:
        ours |= {"http_restricted_api": restriction, "grpc_restricted_protocol": restriction}
    if not has_models_of_its_own(config):
        # We drain before we end the server. With a timeout it would wait for idle connections to go away too.
        ours["exit_timeout_secs"] = 0
    # The server takes "*" only alone; the bootstrap model is then one of all.
    loaded = "*" if loads_all or has_models_of_its_own(config) else BOOTSTRAP_MODEL_NAME
    return [
        str(binary.path),
        f"--model-repository={repository.path}",
        "--model-control-mode=explicit",
        f"--load-model={loaded}",
        f"--backend-directory={locate_backends()}",
        *TritonConfig(**ours).over(config).arguments(),
    ]
