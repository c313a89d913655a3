# SPDX-License-Identifier: Apache-2.0
"""What can be asked of a server, whatever the protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from pytriton import dtypes
from pytriton.client._core.tensors import TensorData

__all__ = [
    "Generate",
    "GetConfig",
    "GetMetadata",
    "GetStatistics",
    "InRegion",
    "Infer",
    "LoadModel",
    "MemoryStatus",
    "ModelEntry",
    "ModelReady",
    "Operation",
    "OutputRegion",
    "ParameterValue",
    "RegisterMemory",
    "RepositoryIndex",
    "ServerLive",
    "ServerMetadata",
    "ServerReady",
    "UnloadModel",
    "UnregisterMemory",
]

ParameterValue: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Operation:
    """Something to ask of a server."""

    @property
    def is_idempotent(self) -> bool:
        """Whether asking twice is as good as asking once."""
        return True


@dataclass(frozen=True, slots=True)
class ServerLive(Operation):
    """Whether the server lives: bool."""


@dataclass(frozen=True, slots=True)
class ServerReady(Operation):
    """Whether the server and all its models are ready: bool."""


@dataclass(frozen=True, slots=True)
class ServerMetadata(Operation):
    """What the server is: dict with name, version and extensions."""


@dataclass(frozen=True, slots=True)
class ModelReady(Operation):
    """Whether a model is ready: bool."""

    model: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class GetConfig(Operation):
    """A model's configuration: dict in the server's JSON form."""

    model: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class GetMetadata(Operation):
    """A model's metadata: dict in the protocol's JSON form."""

    model: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class GetStatistics(Operation):
    """Statistics of a model, or of all of them: list of dicts in Triton's JSON form."""

    model: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A line of the repository index."""

    name: str
    version: str = ""
    state: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RepositoryIndex(Operation):
    """The models that the server knows: list of ModelEntry."""


@dataclass(frozen=True, slots=True)
class LoadModel(Operation):
    """Load a model, or load it again."""

    model: str
    config: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnloadModel(Operation):
    """Unload a model."""

    model: str


@dataclass(frozen=True, slots=True)
class RegisterMemory(Operation):
    """Tell the server of a region of system shared memory."""

    name: str
    key: str
    byte_size: int


@dataclass(frozen=True, slots=True)
class UnregisterMemory(Operation):
    """Have the server forget a region of system shared memory."""

    name: str


@dataclass(frozen=True, slots=True)
class MemoryStatus(Operation):
    """The regions of system shared memory that the server knows: list of names."""


@dataclass(frozen=True, slots=True)
class OutputRegion:
    """Where in registered shared memory an output shall be put."""

    region: str
    byte_size: int
    offset: int = 0


class InRegion(NamedTuple):
    """An output, of numbers, that the server has put into shared memory."""

    datatype: dtypes.DataType
    shape: tuple[int, ...]

    @property
    def byte_size(self) -> int:
        """How many bytes it has."""
        return math.prod(self.shape) * self.datatype.byte_size


@dataclass(frozen=True, slots=True)
class Infer(Operation):
    """Run a model: dict of its outputs by name, arrays or, of those in shared memory, InRegion."""

    model: str
    version: str
    request_id: str
    inputs: Sequence[TensorData]
    outputs: Sequence[str]
    """Names to ask for; none asks for all."""
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    """The user's own."""
    reserved: Mapping[str, ParameterValue] = field(default_factory=dict)
    """Parameters that mean something to the server: priority, timeout, sequence_id and its like."""
    regions: Mapping[str, OutputRegion] = field(default_factory=dict)
    compression: str | None = None
    binary: bool = True
    """Whether tensors travel as bytes; HTTP without the binary extension needs JSON."""

    @property
    def is_idempotent(self) -> bool:
        """A model may do anything."""
        return False


@dataclass(frozen=True, slots=True)
class Generate(Operation):
    """Run a model over HTTP that gives any number of responses, which come as events."""

    model: str
    version: str
    document: Mapping[str, Any]

    @property
    def is_idempotent(self) -> bool:
        """A model may do anything."""
        return False
