# SPDX-License-Identifier: Apache-2.0
"""Bodies of HTTP messages, for both transports: where answers are read into, and compression."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from typing import Any, Final

from pytriton.client._core.recycled import recycled
from pytriton.client._core.tensors import Buffer
from pytriton.client._http.wire import HEADER_LENGTH, HttpRequest
from pytriton.client.exceptions import PyTritonClientValueError

__all__ = ["body_buffer", "compressed", "decompressed", "message_of"]

_ALIGNMENT: Final = 64
_SMALL: Final = 1 << 16
_LARGEST: Final = 1 << 30
_UNZIP: Final[dict[str, int]] = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def body_buffer(length: int, headers: Mapping[str, str]) -> memoryview:
    """Memory for a body, placed so that the first tensor in it is aligned; ValueError if there is none."""
    if length <= _SMALL:
        return memoryview(bytearray(length))  # copying it later costs less than aligning it now
    head = headers.get(HEADER_LENGTH, "0")
    offset = int(head) if head.isdecimal() else 0
    try:
        memory: Any = recycled(length + _ALIGNMENT)
    except (OSError, OverflowError, MemoryError) as error:
        raise ValueError(f"it is to have {length} bytes, for which there is no memory") from error
    start = -(memory.ctypes.data + offset) % _ALIGNMENT
    return memoryview(memory)[start : start + length]


def message_of(request: HttpRequest, host: str, headers: Mapping[str, str]) -> list[Buffer]:
    """A whole request, in one piece if that costs less than several system calls.

    Args:
        request: What the protocol says.
        host: The server's name and port.
        headers: Headers of the user's.
    """
    length = sum(map(len, request.body))
    given = {name: value for name, value in headers.items() if name.lower() != "content-length"}
    every = {"Host": host, **request.headers, **given, "Content-Length": str(length)}
    lines = [f"{request.method} {request.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in every.items()]
    try:
        head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
    except UnicodeEncodeError:
        raise PyTritonClientValueError("headers: HTTP takes none but the characters of Latin-1.") from None
    return [b"".join([head, *request.body])] if length <= _SMALL else [head, *request.body]


def compressed(request: HttpRequest, compression: str | None) -> HttpRequest:
    """The request with its body compressed, and the wish for an answer that is."""
    if compression is None:
        return request
    whole = b"".join(request.body)
    body = gzip.compress(whole, 6) if compression == "gzip" else zlib.compress(whole, 6)
    headers = {**request.headers, "Content-Encoding": compression, "Accept-Encoding": compression}
    return HttpRequest(request.method, request.path, [body], headers)


def decompressed(body: Buffer, headers: Mapping[str, str]) -> Buffer:
    """The body as it was before it was compressed; ValueError if that is too large, for little makes much."""
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding == "identity":
        return body
    if encoding not in _UNZIP:
        raise ValueError(f"the answer is compressed with {encoding!r}, which was not asked for")
    unzip = zlib.decompressobj(_UNZIP[encoding])
    try:
        whole = unzip.decompress(body, _LARGEST + 1)
    except zlib.error as error:
        raise ValueError(f"the answer cannot be decompressed: {error}") from None
    if len(whole) > _LARGEST:
        raise ValueError(
            f"decompressed it has more than {_LARGEST} bytes, the most that are taken; "
            "without compression=... answers of any size are"
        )
    if not unzip.eof:
        raise ValueError("the answer cannot be decompressed: its end is missing")
    return bytearray(whole)
