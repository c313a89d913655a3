# SPDX-License-Identifier: Apache-2.0
"""What all models of a server may take together, and how long they have to end."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytriton.exceptions import PyTritonValidationError

__all__ = [
    "DRAIN_TIMEOUT_S",
    "Limits",
    "address_space_in_words",
    "address_space_limit",
    "check_bytes",
    "default_stream_memory_bytes",
    "default_worker_shared_memory_bytes",
    "few_descriptors",
]

DRAIN_TIMEOUT_S: Final = 30.0
_WORKER_BYTES: Final = 6 * 1024**3
_ADDRESS_SPACE_SHARE: Final = 16
"""Workers that an address space is thought to be for: the server has the memory of all of them in its own."""
_STREAM_BYTES: Final = 1024**3
_LEAST_BYTES: Final = 1 << 20
_DESCRIPTORS: Final = 256
_MOST_REQUESTS: Final = (1 << 32) - 1


@dataclass(frozen=True)
class Limits:
    """What all models of a server may take together, and how long they have to end.

    Those of a single model are in ModelConfig. See docs/limits.md for what a client is told.

    Args:
        shared_memory_bytes: Shared memory that batches are in, of all models together; by default half of the
            memory that this machine, or this container, has.
        stream_memory_bytes: What the server may hold of all streams together whose clients do not read them;
            by default a quarter of the memory.
        drain_timeout_s: How long stop(), unbind() and bind(replace=True) wait for requests in flight; by
            default TritonConfig.exit_timeout_secs, and 30 without that.
        requests_per_model: Requests of clients that each model may have at a time, in its queue and in work;
            0 for any number.
    """

    shared_memory_bytes: int | None = None
    stream_memory_bytes: int | None = None
    drain_timeout_s: float | None = None
    requests_per_model: int = 8192

    def __post_init__(self) -> None:
        for name in ("shared_memory_bytes", "stream_memory_bytes"):
            check_bytes("Limits", name, getattr(self, name))
        requests: Any = self.requests_per_model
        if isinstance(requests, bool) or not isinstance(requests, int) or not 0 <= requests <= _MOST_REQUESTS:
            raise PyTritonValidationError(
                f"Limits: requests_per_model must be a number of 1 to {_MOST_REQUESTS}, or 0 for any "
                f"number of requests, got {requests!r}."
            )
        seconds: Any = self.drain_timeout_s
        if seconds is not None and (
            isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0
        ):
            raise PyTritonValidationError(
                f"Limits: drain_timeout_s must be a number of 0 or more, or None, got {seconds!r}."
            )

    def drain_s(self, exit_timeout_s: int | None = None) -> float:
        """How long to wait for requests in flight, where this is the server's own option."""
        if self.drain_timeout_s is not None:
            return float(self.drain_timeout_s)
        return DRAIN_TIMEOUT_S if exit_timeout_s is None else float(exit_timeout_s)

    @property
    def all_shared_memory_bytes(self) -> int:
        """The limit of shared memory, or its default."""
        return self.shared_memory_bytes or max(_LEAST_BYTES, _memory_bytes() // 2)

    @property
    def all_stream_memory_bytes(self) -> int:
        """The limit of what streams hold, or its default."""
        return self.stream_memory_bytes or max(_LEAST_BYTES, _memory_bytes() // 4)


def check_bytes(where: str, name: str, value: Any) -> None:
    """A limit is a number of bytes that something fits into."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not _LEAST_BYTES <= value < 1 << 63:
        raise PyTritonValidationError(
            f"{where}: {name} must be a number of bytes of {_LEAST_BYTES} (1 MiB) or more, or None, "
            f"got {value!r}."
        )


def default_worker_shared_memory_bytes(all_bytes: int) -> int:
    """Shared memory of one worker, where all have so much; addresses are reserved for it beforehand."""
    limit = address_space_limit()
    addresses = _WORKER_BYTES if limit is None else limit // _ADDRESS_SPACE_SHARE
    return max(_LEAST_BYTES, min(_WORKER_BYTES, all_bytes, addresses))


def default_stream_memory_bytes(all_bytes: int) -> int:
    """What the server may hold of one stream, where it may hold so much of all."""
    return min(_STREAM_BYTES, all_bytes)


def address_space_limit() -> int | None:
    """Bytes that the address space of this process may have (RLIMIT_AS, ulimit -v), if there is a limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def address_space_in_words(limit: int) -> str:
    """The limit of an address space, as messages tell it."""
    return f"address space is limited to {limit} bytes (RLIMIT_AS, ulimit -v)"


def few_descriptors() -> str:
    """A sentence of advice, if this process may have fewer files open than a server and its workers need."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit >= _DESCRIPTORS:
        return ""
    return f" It may have no more than {limit} files open (RLIMIT_NOFILE, ulimit -n): raise that."


def _memory_bytes() -> int:
    """Memory of this machine, or of the control groups that this process is in if that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_group_limits()])


def _group_limits() -> Iterator[int]:
    root = Path("/sys/fs/cgroup")
    group = root
    with contextlib.suppress(OSError, UnicodeDecodeError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            number, _, path = line.split(":", 2)
            if number == "0":
                group = root / path.strip("/")
    files = [directory / "memory.max" for directory in (group, *group.parents)]
    for file in (*files, root / "memory" / "memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            yield int(file.read_text(encoding="ascii"))
