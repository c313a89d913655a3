# SPDX-License-Identifier: Apache-2.0
"""What malloc has given out in this process."""

from __future__ import annotations

import ctypes
from typing import Final

__all__ = ["allocated"]

# struct mallinfo2 of malloc.h, glibc 2.33.
_FIELDS: Final = (
    "arena",
    "ordblks",
    "smblks",
    "hblks",
    "hblkhd",
    "usmblks",
    "fsmblks",
    "uordblks",
    "fordblks",
    "keepcost",
)


class _Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]


def allocated() -> int:
    """Bytes in use, in all arenas and in mappings of their own."""
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _Mallinfo
    info = mallinfo()
    return int(info.uordblks) + int(info.hblkhd)
