# SPDX-License-Identifier: Apache-2.0
"""The part that @batch has in the trace of a request."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from pytriton.request import Request, RequestBatch

__all__ = ["batch_spans"]

_SPAN: Final = "pytriton-batch-decorator-span"
_NOTHING: Final = nullcontext()


def batch_spans(requests: Sequence[Request]) -> AbstractContextManager[None]:
    """A span for every request that is traced, for as long as its batch is being worked on."""
    parents: Sequence[Any | None] | None
    if isinstance(requests, RequestBatch):
        parents = requests.spans
    else:
        # Whoever tries a function out may do so with plain dicts.
        parents = [getattr(request, "span", None) for request in requests]
    traced = [parent for parent in parents or () if parent is not None]
    if not traced:
        return _NOTHING
    from pytriton.telemetry.tracing import spans_below

    return spans_below(traced, _SPAN)
