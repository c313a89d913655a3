# SPDX-License-Identifier: Apache-2.0
"""What a client is told when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pytriton.client._core.url import TritonUrl
from pytriton.client.exceptions import PyTritonClientValueError
from pytriton.client.options import Compression, Retry, SharedMemory, Tls

__all__ = ["DEFAULT_INFERENCE_TIMEOUT_S", "DEFAULT_INIT_TIMEOUT_S", "Settings", "checked_timeout"]

DEFAULT_INFERENCE_TIMEOUT_S: Final = 60.0
DEFAULT_INIT_TIMEOUT_S: Final = 300.0


@dataclass(frozen=True)
class Settings:
    """What a client is told when it is made."""

    url: TritonUrl
    model_name: str
    model_version: str
    init_timeout_s: float
    inference_timeout_s: float
    ensure_model_is_ready: bool
    headers: Mapping[str, str]
    tls: Tls | None = None
    retry: Retry | None = None
    compression: Compression | None = None
    split_batches: bool = False
    shared_memory: SharedMemory = "off"

    @property
    def target(self) -> str:
        """The server, in messages."""
        return self.url.with_scheme

    @property
    def what(self) -> str:
        """The model, in messages."""
        version = f" version {self.model_version}" if self.model_version else ""
        return f'model "{self.model_name}"{version} at {self.target}'


def checked_timeout(name: str, value: Any, default: float) -> float:
    """A timeout is a number greater than 0; None is the default."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise PyTritonClientValueError(f"{name} must be a number of seconds greater than 0, got {value!r}.")
    return float(value)
