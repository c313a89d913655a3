# SPDX-License-Identifier: Apache-2.0
"""Mirror of native/include/pytriton/shm_layout.h, which says what the fields mean, and nothing else."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from struct import Struct, calcsize
from typing import Final, NamedTuple

__all__ = [
    "ALL_REQUESTS",
    "BLOCK_HEADER",
    "CANCELLED",
    "ERROR_RECORD",
    "EXECUTE",
    "FINAL",
    "HELLO",
    "LIMIT_OF_ALL",
    "LIMIT_OF_MODEL",
    "LIMIT_OF_WORKER",
    "LIST_HEAD",
    "LIST_TAG",
    "LONGEST_STRING",
    "MAGIC",
    "MAX_RANK",
    "MESSAGE",
    "MOST_STRINGS",
    "PARAMETER_BOOL",
    "PARAMETER_DOUBLE",
    "PARAMETER_HEADER",
    "PARAMETER_INT",
    "PARAMETER_STRING",
    "PROTOCOL_VERSION",
    "REFUSED",
    "REJECT",
    "RELEASE",
    "RELEASED",
    "REQUEST_CANCELLED",
    "REQUEST_RECORD",
    "RESERVE",
    "RESERVED",
    "RESPONSE_LAST",
    "RESPONSE_NONE",
    "RESPONSE_RECORD",
    "RESULT",
    "RESULT_HEADER",
    "STRING_HEAD",
    "STRING_TAG",
    "STRUCTURES",
    "SYNC",
    "SYNCED",
    "TENSOR_ALIGNMENT",
    "TENSOR_RECORD",
    "TENSOR_RECORD_OF_RANK",
    "WELCOME",
    "Field",
    "Structure",
    "layout_hash",
]

MAGIC: Final = 0x31574E4F54525450
PROTOCOL_VERSION: Final = 2
MAX_RANK: Final = 16
ALL_REQUESTS: Final = 0xFFFFFFFF
TENSOR_ALIGNMENT: Final = 64

LIST_TAG: Final = 0x5B
STRING_TAG: Final = 0x73
LIST_HEAD: Final = 5
STRING_HEAD: Final = 5
MOST_STRINGS: Final = 0x7FFFFFFF
LONGEST_STRING: Final = 0x7FFFFFFF

# Plain integers: comparing with a member of an enumeration costs more than the rest of reading a message.
WELCOME: Final = 1
REJECT: Final = 2
EXECUTE: Final = 3
RESERVED: Final = 4
REFUSED: Final = 5
SYNCED: Final = 6
CANCELLED: Final = 7
RESULT: Final = 16
RESERVE: Final = 17
RELEASE: Final = 18
SYNC: Final = 19

LIMIT_OF_WORKER: Final = 0
LIMIT_OF_MODEL: Final = 1
LIMIT_OF_ALL: Final = 2

FINAL: Final = 1
RELEASED: Final = 2

REQUEST_CANCELLED: Final = 1

RESPONSE_NONE: Final = 1
RESPONSE_LAST: Final = 2

PARAMETER_STRING: Final = 0
PARAMETER_INT: Final = 1
PARAMETER_BOOL: Final = 2
PARAMETER_DOUBLE: Final = 3


class Field(NamedTuple):
    """A member of a structure; arrays repeat it."""

    name: str
    format: str
    repeat: int = 1


class Structure:
    """A structure of the C header: fields in order, all of them at their natural alignment."""

    def __init__(self, name: str, *fields: Field) -> None:
        self.name: Final = name
        self.fields: Final = fields
        packed = Struct("=" + "".join(f"{field.repeat}{field.format}" for field in fields))
        self.size: Final = packed.size
        self.pack: Final = packed.pack
        self.pack_into: Final = packed.pack_into
        self.unpack: Final = packed.unpack
        self.unpack_from: Final = packed.unpack_from

    def places(self) -> Iterator[tuple[str, int, int]]:
        """Name, offset and size of every field."""
        offset = 0
        for field in self.fields:
            size = field.repeat * calcsize(f"={field.format}")
            yield field.name, offset, size
            offset += size

    def offset(self, name: str) -> int:
        """Offset of one field."""
        return next(offset for field, offset, _ in self.places() if field == name)


HELLO: Final = Structure(
    "Hello",
    Field("magic", "Q"),
    Field("version", "I"),
    Field("capacity", "I"),
    Field("layout_hash", "Q"),
    Field("token", "Q"),
)
MESSAGE: Final = Structure(
    "Message",
    Field("kind", "I"),
    Field("flags", "I"),
    Field("slot", "Q"),
    Field("offset", "Q"),
    Field("length", "Q"),
    Field("begin_ns", "Q"),
    Field("end_ns", "Q"),
)
BLOCK_HEADER: Final = Structure(
    "BlockHeader",
    Field("request_count", "I"),
    Field("input_count", "I"),
    Field("rows", "Q"),
    Field("requests_offset", "Q"),
    Field("inputs_offset", "Q"),
    Field("free_offset", "Q"),
    Field("free_length", "Q"),
    Field("received_ns", "Q"),
    Field("results_taken", "Q"),
)
REQUEST_RECORD: Final = Structure(
    "RequestRecord",
    Field("rows", "Q"),
    Field("timeout_us", "Q"),
    Field("correlation_id", "Q"),
    Field("meta_offset", "Q"),
    Field("meta_length", "I"),
    Field("output_count", "I"),
    Field("id_length", "I"),
    Field("parameter_count", "I"),
    Field("flags", "I"),
    Field("trace_length", "I"),
    Field("reserved", "Q"),
)
TENSOR_RECORD: Final = Structure(
    "TensorRecord",
    Field("tensor", "I"),
    Field("request", "I"),
    Field("datatype", "I"),
    Field("rank", "I"),
    Field("offset", "Q"),
    Field("length", "Q"),
    Field("dims", "q", MAX_RANK),
)
RESULT_HEADER: Final = Structure(
    "ResultHeader",
    Field("tensor_count", "I"),
    Field("error_count", "I"),
    Field("response_count", "I"),
    Field("reserved", "I"),
)
ERROR_RECORD: Final = Structure(
    "ErrorRecord",
    Field("request", "I"),
    Field("code", "I"),
    Field("offset", "Q"),
    Field("length", "Q"),
)
RESPONSE_RECORD: Final = Structure(
    "ResponseRecord",
    Field("request", "I"),
    Field("flags", "I"),
    Field("meta_offset", "Q"),
    Field("meta_length", "I"),
    Field("parameter_count", "I"),
)

STRUCTURES: Final = (
    HELLO,
    MESSAGE,
    BLOCK_HEADER,
    REQUEST_RECORD,
    TENSOR_RECORD,
    RESULT_HEADER,
    ERROR_RECORD,
    RESPONSE_RECORD,
)

# A TensorRecord without the dimensions that it does not use, to write it without making up any.
TENSOR_RECORD_OF_RANK: Final = tuple(Struct(f"=IIIIQQ{rank}q") for rank in range(MAX_RANK + 1))
# Of each parameter in the meta part of a request: key length, type, value length.
PARAMETER_HEADER: Final = Struct("=III")


@functools.cache
def layout_hash() -> int:
    """FNV-1a over the offset and size of every field: what the two sides compare before they share memory."""
    value = 0xCBF29CE484222325
    for structure in STRUCTURES:
        for _, offset, size in structure.places():
            for byte in offset.to_bytes(4, "little") + size.to_bytes(4, "little"):
                value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value
