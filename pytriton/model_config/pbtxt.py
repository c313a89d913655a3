# SPDX-License-Identifier: Apache-2.0
"""A model configuration in protobuf text format, the form of the server's config.pbtxt."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["MAPS", "dumps"]

# In text format an enum value is a bare word and a string is quoted; in a dict they look the same.
_ENUMS: Final = frozenset({"data_type", "format", "kind", "timeout_action"})
MAPS: Final = frozenset(
    {
        "cc_model_filenames",
        "input_map",
        "inputs",
        "metric_tags",
        "output_map",
        "parameters",
        "priority_queue_policy",
    }
)
"""Fields that are written as repeated entries of key and value; in a dict they look like messages."""
_CAPITAL: Final = re.compile(r"([A-Z])")
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES: Final = {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", ord('"'): '\\"', ord("\\"): "\\\\"}


def dumps(config: Mapping[str, Any]) -> str:
    """Write a configuration, whose keys are in snake case or camel case, as ASCII text."""
    return "".join(f"{line}\n" for line in _message(config, ""))


def _message(fields: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in fields.items():
        name = _CAPITAL.sub(lambda match: "_" + match.group(1).lower(), key)
        if value is None:
            continue
        if name in MAPS and isinstance(value, Mapping):
            for map_key, map_value in value.items():
                yield from _field(name, {"key": map_key, "value": map_value}, indent)
        elif isinstance(value, (list, tuple)):
            for item in value:
                yield from _field(name, item, indent)
        else:
            yield from _field(name, value, indent)


def _field(name: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield f"{indent}{name} {{"
        yield from _message(value, indent + "  ")
        yield f"{indent}}}"
    elif name in _ENUMS:
        yield f"{indent}{name}: {_enum(name, value)}"
    else:
        yield f"{indent}{name}: {_scalar(name, value)}"


def _enum(name: str, value: Any) -> str:
    word = value.value if isinstance(value, enum.Enum) else value
    if not isinstance(word, str) or _WORD.fullmatch(word) is None:
        raise ValueError(f"{name}: expected the name of an enum value, got {value!r}")
    return word


def _scalar(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, str):
        return f'"{_escaped(value)}"'
    raise TypeError(f"{name}: a value of type {type(value).__name__} has no text format")


def _escaped(text: str) -> str:
    return "".join(
        _ESCAPES.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}")
        for byte in text.encode("utf-8")
    )
