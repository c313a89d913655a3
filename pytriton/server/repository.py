# SPDX-License-Identifier: Apache-2.0
"""Model repository on disk: per model the server's configuration and the backend's binding."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pytriton.constants import BOOTSTRAP_MODEL_NAME
from pytriton.exceptions import PyTritonValidationError
from pytriton.limits import Limits, default_stream_memory_bytes, default_worker_shared_memory_bytes
from pytriton.model_config import pbtxt
from pytriton.model_config.common import DeviceKind
from pytriton.model_config.generator import ModelConfigGenerator
from pytriton.model_config.triton_model_config import TensorSpec, TritonModelConfig

__all__ = [
    "ATTACH_TIMEOUT_S",
    "RESUME_TIMEOUT_S",
    "ModelRepository",
    "SavedModel",
    "binding_text",
]

ATTACH_TIMEOUT_S: Final = 30.0
"""How long the server waits for the workers of a model that it loads."""
RESUME_TIMEOUT_S: Final = 0.5
"""How long a server that was started again waits for workers that may be in the middle of a long call."""

_HEADER: Final = "pytriton-binding 1"
_CONFIG: Final = "config.pbtxt"
_BINDING: Final = "binding"
_FILE_MODE: Final = 0o700
# The server loads what is newer than what it has; file systems differ in how finely they tell.
_CLOCK_STEP_NS: Final = 1_000_000
_REFUSAL: Final = "refused"


@dataclass(frozen=True)
class SavedModel:
    """The files of a model as they were, with their times."""

    name: str
    config: Mapping[str, Any] | None
    versions: Mapping[int, TritonModelConfig]
    files: Mapping[Path, tuple[bytes | None, int]]


class ModelRepository:
    """The models of one server, under one directory."""

    def __init__(
        self, path: Path, attach_timeout_s: float = ATTACH_TIMEOUT_S, limits: Limits | None = None
    ) -> None:
        self._path = path
        self._limits = limits or Limits()
        self._attach_timeout_s = attach_timeout_s
        self._configs: dict[str, Mapping[str, Any]] = {}
        self._versions: dict[str, dict[int, TritonModelConfig]] = {}
        self._clock_ns = 0

    @property
    def path(self) -> Path:
        """The directory, as the server is told."""
        return self._path

    def add(
        self, model: TritonModelConfig, socket_path: Path, workers: int, *, resumed: bool = False
    ) -> None:
        """Write a version of a model, or write it anew; the other versions of its name stay as they are.

        One that is resumed has been served before: it does not wait for workers that are slow to come back.
        """
        directory = self._directory(model.model_name)
        versions = {**self._versions.get(model.model_name, {}), int(model.model_version): model}
        config = _config(model, versions)
        timeout_s = RESUME_TIMEOUT_S if resumed else self._attach_timeout_s
        text = binding_text(model, socket_path, workers, timeout_s, resumed=resumed, limits=self._limits)
        self._write_version(directory, _version_name(model), text)
        self._write_config(directory, config)
        self._versions[model.model_name] = versions

    def update_config(self, model: TritonModelConfig) -> None:
        """Write the configuration of a version of a model anew; its own files stay as they are."""
        versions = {**self._versions.get(model.model_name, {}), int(model.model_version): model}
        self._write_config(self._directory(model.model_name), _config(model, versions))
        self._versions[model.model_name] = versions

    def remove(self, model: TritonModelConfig) -> None:
        """Remove a version of a model, and the model with its last version."""
        directory = self._directory(model.model_name)
        versions = self._versions.get(model.model_name, {})
        versions.pop(int(model.model_version), None)
        shutil.rmtree(directory / _version_name(model), ignore_errors=True)
        if versions:
            self._write_config(directory, _config(next(iter(versions.values())), versions))
        else:
            self._versions.pop(model.model_name, None)
            shutil.rmtree(directory, ignore_errors=True)

    def save(self, name: str) -> SavedModel:
        """What there is of a model now."""
        directory = self._directory(name)
        files = {
            path: (None if path.is_dir() else path.read_bytes(), path.stat().st_mtime_ns)
            for path in (directory, *directory.rglob("*"))
            if path.exists()
        }
        return SavedModel(name, self._configs.get(name), dict(self._versions.get(name, {})), files)

    def restore(self, saved: SavedModel) -> None:
        """Make a model as it was; the server takes it for unchanged."""
        shutil.rmtree(self._directory(saved.name), ignore_errors=True)
        for path, (content, _) in sorted(saved.files.items()):
            if content is None:
                path.mkdir(mode=_FILE_MODE)
            else:
                path.write_bytes(content)
        for path, (_, time_ns) in saved.files.items():
            os.utime(path, ns=(time_ns, time_ns))
        self._versions.pop(saved.name, None)
        if saved.config is not None:
            self._configs[saved.name] = saved.config
        if saved.versions:
            self._versions[saved.name] = dict(saved.versions)

    def config(self, name: str) -> Mapping[str, Any]:
        """The configuration of a model, in the server's JSON form."""
        return self._configs[name]

    def files(self, name: str) -> dict[str, bytes]:
        """What else there is of a model, by path in its directory."""
        directory = self._directory(name)
        paths = [path for path in directory.rglob("*") if path.is_file() and path.name != _CONFIG]
        return {path.relative_to(directory).as_posix(): path.read_bytes() for path in sorted(paths)}

    def touch(self, name: str) -> None:
        """Let the server look anew which versions there are."""
        self._set_times(self._directory(name))

    def add_bootstrap(self) -> None:
        """Write the model whose loading brings the backend into the server."""
        self.add_placeholder(BOOTSTRAP_MODEL_NAME, [1], kind="bootstrap")

    def add_placeholder(self, name: str, versions: Sequence[int], *, kind: str = "placeholder") -> None:
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
            self._write_version(directory, str(version), _lines([_HEADER, f"kind {kind}"]))
        self._write_config(directory, ModelConfigGenerator(model, versions).get_config())

    def add_refused(self, name: str, refused: Sequence[int]) -> None:
        """Let the next load of a model fail, and some versions be unloaded by it while the others serve on.

        Only so a version whose load has failed counts as unloaded, and the server as ready.
        """
        directory = self._directory(name)
        for version in refused:
            self._write_version(directory, str(version), _lines([_HEADER, "kind placeholder"]))
        (directory / _REFUSAL).touch()
        self._set_times(directory / _REFUSAL, directory)

    def clear(self) -> None:
        """Remove all models; the directory is there afterwards, even if it was not before."""
        shutil.rmtree(self._path, ignore_errors=True)
        self._path.mkdir(mode=_FILE_MODE, parents=True, exist_ok=True)
        self._versions.clear()

    def remove_bootstrap(self) -> None:
        """Remove it again."""
        shutil.rmtree(self._path / BOOTSTRAP_MODEL_NAME, ignore_errors=True)

    def _directory(self, name: str) -> Path:
        directory = self._path / name
        if name in ("", ".", "..") or "\0" in name or directory.parent != self._path:
            raise PyTritonValidationError(f"Model name {name!r} is no name for a directory; choose another.")
        return directory

    def _write_version(self, directory: Path, version: str, binding: str) -> None:
        (directory / version).mkdir(mode=_FILE_MODE, parents=True, exist_ok=True)
        _write(directory / version / _BINDING, binding)
        self._set_times(directory / version / _BINDING, directory / version)

    def _write_config(self, directory: Path, config: Mapping[str, Any]) -> None:
        self._configs[directory.name] = config
        _write(directory / _CONFIG, pbtxt.dumps(config))
        self._set_times(directory / _CONFIG, directory)

    def _set_times(self, *paths: Path) -> None:
        self._clock_ns = max(time.time_ns(), self._clock_ns + _CLOCK_STEP_NS)
        for path in paths:
            os.utime(path, ns=(self._clock_ns, self._clock_ns))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:  # a disk that is full names no file
        advice = "workspaces lie in PYTRITON_HOME, or where Triton(workspace=...) says"
        raise OSError(error.errno, f"{error.strerror}; {advice}", str(path)) from error


def _config(model: TritonModelConfig, versions: Mapping[int, TritonModelConfig]) -> dict[str, Any]:
    """The configuration that all versions of a model share: instances are as many as any of them needs."""
    groups: dict[DeviceKind, int | None] = {}
    for version in versions.values():
        for kind, count in version.instance_group.items():
            groups[kind] = max(count or 1, groups.get(kind) or 1)
    return ModelConfigGenerator(replace(model, instance_group=groups), sorted(versions)).get_config()


def binding_text(
    model: TritonModelConfig,
    socket_path: Path,
    workers: int,
    attach_timeout_s: float = ATTACH_TIMEOUT_S,
    *,
    resumed: bool = False,
    limits: Limits | None = None,
) -> str:
    """What the backend has to know of a model beyond the server's configuration."""
    lines = [
        _HEADER,
        "kind model",
        f"socket {socket_path}",
        f"workers {workers}",
        f"attach-timeout-ms {int(attach_timeout_s * 1000)}",
        f"resumed {int(resumed)}",
        *_limit_lines(model, limits or Limits()),
        f"queue-policy {int(model.has_queue_policy)}",
        f"batching {int(model.batching)}",
        f"decoupled {int(model.decoupled)}",
        *_tensor_lines("input", model.inputs or ()),
        *_tensor_lines("output", model.outputs or ()),
    ]
    return _lines(lines)


def _limit_lines(model: TritonModelConfig, limits: Limits) -> Iterable[str]:
    all_bytes, streams = limits.all_shared_memory_bytes, limits.all_stream_memory_bytes
    of_model = model.shared_memory_bytes or all_bytes
    of_worker = model.worker_shared_memory_bytes or default_worker_shared_memory_bytes(of_model)
    yield f"memory-limit {of_worker}"
    yield f"model-memory-limit {of_model}"
    yield f"total-memory-limit {all_bytes}"
    yield f"stream-memory-limit {model.stream_memory_bytes or default_stream_memory_bytes(streams)}"
    yield f"total-stream-memory-limit {streams}"


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
