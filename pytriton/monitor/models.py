# SPDX-License-Identifier: Apache-2.0
"""The models of a server: state, tensors, statistics, as far as the server tells."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pytriton import dtypes
from pytriton.client.exceptions import (
    PyTritonClientInferenceServerError,
    PyTritonClientModelUnavailableError,
)
from pytriton.exceptions import ErrorCode, PyTritonError
from pytriton.monitor.server import LackingError, RestrictedError, Server
from pytriton.monitor.statistics import Totals

__all__ = ["ModelInfo", "TensorInfo", "list_models"]

_SHOWN: Final = 20


@dataclass(frozen=True)
class TensorInfo:
    """An input or output as requests have it, without the batch dimension where that is known."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False

    def __str__(self) -> str:
        shape = ", ".join("*" if size < 0 else str(size) for size in self.shape)
        return f"{self.name}: {self.datatype}[{shape}]{' optional' if self.optional else ''}"


@dataclass
class ModelInfo:
    """One version of a model."""

    name: str
    version: str
    state: str
    reason: str = ""
    platform: str = ""
    inputs: list[TensorInfo] = field(default_factory=list)
    outputs: list[TensorInfo] = field(default_factory=list)
    max_batch_size: int | None = None
    """0 without batching; None where the server does not tell."""
    decoupled: bool = False
    totals: Totals | None = None


def list_models(server: Server, name: str | None = None) -> tuple[list[ModelInfo], list[str]]:
    """The models, and a sentence for each kind of thing that the server does not tell.

    Args:
        server: The server.
        name: Only this one, which must be there; all otherwise, for which the server must be able to list
            them.
    """
    notes: list[str] = []
    totals = _statistics(server, notes)
    models = _all(server, totals, notes) if name is None else _versions(server, name, totals)
    for model in models:
        if model.state == "READY":
            several = sum(other.name == model.name for other in models) > 1
            _describe(server, model, model.version if several else "", notes)
        model.totals = totals.get((model.name, model.version))
    return models, notes


def _all(server: Server, totals: Mapping[tuple[str, str], Totals], notes: list[str]) -> list[ModelInfo]:
    try:
        models = [
            ModelInfo(entry.name, entry.version, entry.state or _state(server, entry.name), entry.reason)
            for entry in server.index()
        ]
    except (LackingError, RestrictedError) as error:
        if not totals:
            raise
        _note(notes, error.message)
        models = []
    # Models that were loaded out of a request are in no repository.
    known = {(model.name, model.version) for model in models}
    return models + [ModelInfo(*key, "READY") for key in totals if key not in known]


def _state(server: Server, name: str) -> str:
    return "READY" if server.is_ready(name) else "UNAVAILABLE"


def _versions(server: Server, name: str, totals: Mapping[tuple[str, str], Totals]) -> list[ModelInfo]:
    try:
        index = server.index()
    except (LackingError, RestrictedError):
        index = []
    if entries := [entry for entry in index if entry.name == name]:
        return [ModelInfo(name, entry.version, entry.state, entry.reason) for entry in entries]
    try:
        metadata = server.model_metadata(name)
    except PyTritonClientInferenceServerError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        known = {entry.name for entry in index} | {model for model, _ in totals}
        raise _unknown(server, name, sorted(known)) from error
    versions = [str(version) for version in metadata.get("versions") or [""]]
    return [ModelInfo(name, version, "READY") for version in versions]


def _unknown(server: Server, name: str, known: list[str]) -> PyTritonClientModelUnavailableError:
    listed = ", ".join(f'"{model}"' for model in known[:_SHOWN])
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    there = f"; it has {listed}{more}" if known else ""
    return PyTritonClientModelUnavailableError(
        f'server {server.url.with_scheme} has no model "{name}"{there}.{_close(name, known)}'
    )


def _close(name: str, known: Iterable[str]) -> str:
    lowered = {model.lower(): model for model in known}
    close = difflib.get_close_matches(name.lower(), lowered, 3)
    meant = " or ".join(f'"{lowered[model]}"' for model in close)
    return f" Did you mean {meant}?" if close else ""


def _describe(server: Server, model: ModelInfo, version: str, notes: list[str]) -> None:
    try:
        config = server.config(model.name, version)
    except (LackingError, RestrictedError) as error:
        _note(notes, error.message)
    except PyTritonClientInferenceServerError:
        pass  # it has gone meanwhile, or its configuration is of a kind that nobody is told
    else:
        _take_config(model, config)
        return
    metadata = server.model_metadata(model.name, version)
    model.platform = str(metadata.get("platform") or "")
    model.inputs = [_of_metadata(tensor) for tensor in metadata.get("inputs") or ()]
    model.outputs = [_of_metadata(tensor) for tensor in metadata.get("outputs") or ()]


def _take_config(model: ModelInfo, config: Mapping[str, Any]) -> None:
    model.platform = str(config.get("backend") or config.get("platform") or "")
    model.max_batch_size = int(config.get("max_batch_size") or 0)
    model.decoupled = bool((config.get("model_transaction_policy") or {}).get("decoupled"))
    model.inputs = [_of_config(tensor) for tensor in config.get("input") or ()]
    model.outputs = [_of_config(tensor) for tensor in config.get("output") or ()]


def _statistics(server: Server, notes: list[str]) -> dict[tuple[str, str], Totals]:
    try:
        found = server.statistics()
    except (LackingError, RestrictedError) as error:
        _note(notes, error.message)
        return {}
    return {(str(entry.get("name")), str(entry.get("version"))): Totals.of(entry) for entry in found}


def _note(notes: list[str], text: str) -> None:
    if text not in notes:
        notes.append(text)


def _of_config(tensor: Mapping[str, Any]) -> TensorInfo:
    name = str(tensor.get("data_type", ""))
    try:
        datatype = dtypes.from_config_name(name).name
    except PyTritonError:
        datatype = name.removeprefix("TYPE_")
    dims = tuple(int(size) for size in tensor.get("dims") or ())
    return TensorInfo(str(tensor["name"]), datatype, dims, bool(tensor.get("optional")))


def _of_metadata(tensor: Mapping[str, Any]) -> TensorInfo:
    shape = tuple(int(size) for size in tensor.get("shape") or ())
    return TensorInfo(str(tensor["name"]), str(tensor.get("datatype", "")), shape)
