# SPDX-License-Identifier: Apache-2.0
"""Which functions are content with a whole batch, so that nobody has to make requests of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any, Final, NamedTuple

from pytriton.batching.wrapping import final_function, is_plain
from pytriton.request import Request, RequestBatch

__all__ = ["Direct", "mark_whole", "requests_for", "takes_whole_batch", "without_wrapper"]

_MARK: Final = "__pytriton_batch__"


class Direct(NamedTuple):
    """What a wrapper does, in two steps: the first one knows nothing of the requests."""

    function: Callable[..., Any]
    """Called with the whole arrays of a RequestBatch; outputs of the batch that it returns are a result."""
    finish: Callable[[RequestBatch, Any], Any]
    """Makes a result of anything that `function` returned."""
    takes_parameters: bool = False
    """Whether it is not for batches some request of which has parameters."""


class _Mark(NamedTuple):
    wrapper: Callable[..., Any]
    direct: Direct | None


def mark_whole(wrapper: Callable[..., Any], direct: Direct | None = None) -> None:
    """Note that a wrapper takes a RequestBatch, and what it does with it if there is no more to it."""
    # functools.wraps() copies attributes, so the mark names its owner: a decorator of somebody else above
    # this one does not inherit it, and gets a list.
    setattr(wrapper, _MARK, _Mark(wrapper, direct))


def takes_whole_batch(function: Callable[..., Any]) -> bool:
    """Whether a callable is content with a RequestBatch where others expect a list of requests."""
    return _mark_of(final_function(function)) is not None


def requests_for(whole: bool, requests: Sequence[Request]) -> Sequence[Request]:
    """Requests for a function that takes a whole batch, or does not."""
    return list(requests) if isinstance(requests, RequestBatch) and not whole else requests


def without_wrapper(function: Callable[..., Any]) -> Direct | None:
    """The two steps of a wrapper, if they are all that there is to a call; None if there is more to it."""
    # Not isinstance: a decorator made with wrapt says that it is a method, and must not be passed over.
    method = function if type(function) is MethodType else None
    mark = _mark_of(function if method is None else method.__func__)
    direct = None if mark is None else mark.direct
    if direct is None or not inspect.isfunction(direct.function) or not is_plain(direct.function):
        return None
    # As a method, since decorators made with wrapt tell methods from functions.
    owner = None if method is None else method.__self__
    return direct if owner is None else direct._replace(function=direct.function.__get__(owner, type(owner)))


def _mark_of(function: Callable[..., Any]) -> _Mark | None:
    mark = getattr(function, _MARK, None)
    return mark if isinstance(mark, _Mark) and mark.wrapper is function else None
