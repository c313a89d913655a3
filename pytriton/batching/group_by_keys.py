# SPDX-License-Identifier: Apache-2.0
"""The `group_by_keys` decorator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pytriton.batching.context import is_decoupled
from pytriton.batching.groups import ENDED, Groups, wrap_groups
from pytriton.batching.whole import mark_whole, requests_for, takes_whole_batch
from pytriton.batching.wrapping import Call
from pytriton.request import Request, RequestBatch, Response

__all__ = ["group_by_keys"]


def group_by_keys(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call a function once for all requests that have the same inputs: put it above @batch."""
    whole = takes_whole_batch(function)

    def split(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Groups:
        *bound, requests = args
        indices = _indices(requests)
        if len(indices) == 1:
            return Groups([Call(bound, (requests_for(whole, requests),), kwargs)], None)
        calls = [Call(bound, ([requests[i] for i in group],), kwargs) for group in indices]
        return Groups(calls, lambda responses: _merge(indices, responses), end_apart=is_decoupled())

    wrapper = wrap_groups(function, split)
    mark_whole(wrapper)
    return wrapper


def _indices(requests: Sequence[Request]) -> list[list[int]]:
    if isinstance(requests, RequestBatch) and requests.untouched:
        return [[]]  # its inputs are arrays over all requests, so all have them
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, request in enumerate(requests):
        groups.setdefault(tuple(sorted(request)), []).append(index)
    return [groups[names] for names in sorted(groups)] or [[]]


def _merge(indices: list[list[int]], responses: Sequence[Any]) -> list[Any]:
    merged: list[Any] = [None] * sum(map(len, indices))
    for group, part in zip(indices, responses, strict=True):
        if part is ENDED:
            part = [Response({}, final=True)] * len(group)
        if len(part) != len(group):
            raise ValueError(
                f"@group_by_keys: the function returned {len(part)} responses for {len(group)} requests; "
                "expected one for each request."
            )
        for index, response in zip(group, part, strict=True):
            merged[index] = response
    return merged
