# SPDX-License-Identifier: Apache-2.0
"""Model repository on disk: per model the server's configuration and the backend's binding."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pytriton.constants import BOOTSTRAP_MODEL_NAME
from pytriton.exceptions import PyTritonValidationError
from pytriton.model_config.common import DeviceKind
from pytriton.model_config.generator import ModelConfigGenerator
from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig

__all__ = ["ATTACH_TIMEOUT_S", "MEMORY_LIMIT_BYTES", "ModelRepository", "binding_text"]

ATTACH_TIMEOUT_S: Final = 30.0
"""How long the server waits for the workers of a model that it loads."""
MEMORY_LIMIT_BYTES: Final = 6 * 1024**3
"""Shared memory that one worker may use at most; only what batches need is ever taken."""

_HEADER: Final = "pytriton-binding 1"
_CONFIG: Final = "config.pbtxt"
_BINDING: Final = "binding"
_FILE_MODE: Final = 0o700


class ModelRepository:
    """The models of one server, under one directory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The directory, as the server is told."""
        return self._path

    def add(self, model: TritonModelConfig, socket_path: Path, workers: int) -> None:
        """Write a version of a model; the configuration is shared by all versions of its name."""
        directory = self._directory(model.model_name)
        version = directory / _version_name(model)
        text = binding_text(model, socket_path, workers)
        version.mkdir(mode=_FILE_MODE, parents=True, exist_ok=True)
        (version / _BINDING).write_text(text, encoding="utf-8")
        versions = sorted(int(entry.name) for entry in directory.iterdir() if entry.is_dir())
        ModelConfigGenerator(model, versions).to_file(directory / _CONFIG)

    def remove(self, model: TritonModelConfig) -> None:
        """Remove a version of a model, and the model with its last version."""
        directory = self._directory(model.model_name)
        shutil.rmtree(directory / _version_name(model), ignore_errors=True)
        with contextlib.suppress(OSError):
            if not any(entry.is_dir() for entry in directory.iterdir()):
                shutil.rmtree(directory, ignore_errors=True)

    def add_bootstrap(self) -> None:
        """Write the model whose loading brings the backend into the server."""
        self.add_placeholder(BOOTSTRAP_MODEL_NAME, [1])

    def add_placeholder(self, name: str, versions: Sequence[int]) -> None:
        """Write a model that always loads and takes no requests, in place of one of that name."""
        unused = TensorSpec("UNUSED", (1,), "int32")
        model = TritonModelConfig(
            name,
            batching=False,
            instance_group={DeviceKind.KIND_CPU: 1},
            inputs=[unused],
            outputs=[unused],
        )
        directory = self._directory(name)
        for version in versions:
            (directory / str(version)).mkdir(mode=_FILE_MODE, parents=True, exist_ok=True)
            binding = directory / str(version) / _BINDING
            binding.write_text(_lines([_HEADER, "kind bootstrap"]), encoding="utf-8")
        ModelConfigGenerator(model, versions).to_file(directory / _CONFIG)

    def remove_bootstrap(self) -> None:
        """Remove it again."""
        shutil.rmtree(self._path / BOOTSTRAP_MODEL_NAME, ignore_errors=True)

    def _directory(self, name: str) -> Path:
        directory = self._path / name
        if name in ("", ".", "..") or "\0" in name or directory.parent != self._path:
            raise PyTritonValidationError(f"Model name {name!r} is no name for a directory; choose another.")
        return directory


def binding_text(model: TritonModelConfig, socket_path: Path, workers: int) -> str:
    """What the backend has to know of a model beyond the server's configuration."""
    lines = [
        _HEADER,
        "kind model",
        f"socket {socket_path}",
        f"workers {workers}",
        f"attach-timeout-ms {int(ATTACH_TIMEOUT_S * 1000)}",
        f"memory-limit {MEMORY_LIMIT_BYTES}",
        f"batching {int(model.batching)}",
        *_tensor_lines("input", model.inputs or ()),
        *_tensor_lines("output", model.outputs or ()),
    ]
    return _lines(lines)


def _tensor_lines(role: str, specs: Sequence[TensorSpec]) -> Iterable[str]:
    for spec in specs:
        if spec.name != spec.name.strip(" "):
            raise PyTritonValidationError(
                f"The name of {role} {spec.name!r} begins or ends with a space; remove it."
            )
        yield f"{role} {spec.datatype.name} {len(spec.shape)} {spec.name}"


def _lines(lines: list[str]) -> str:
    for line in lines:
        if "\n" in line or "\r" in line:
            raise PyTritonValidationError(f"A line break is not possible in {line!r}; remove it.")
    return "\n".join(lines) + "\n"


def _version_name(model: TritonModelConfig) -> str:
    return str(int(model.model_version))
