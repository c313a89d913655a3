# SPDX-License-Identifier: Apache-2.0
"""The descriptors of a process's standard streams, which a program such as a daemon may have closed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Final

__all__ = ["standard_streams"]

_LAST: Final = 2


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Let there be standard streams: nothing that is opened in the block is one of them.

    To a child that is to have a descriptor, one of their numbers would mean the stream.
    """
    with contextlib.ExitStack() as stack:
        while (descriptor := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) <= _LAST:
            stack.callback(os.close, descriptor)
            os.set_inheritable(descriptor, True)
        os.close(descriptor)
        yield
