# SPDX-License-Identifier: Apache-2.0
"""A config.pbtxt, which is protobuf text format, as the JSON-like dict that the server makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pytriton.exceptions import PyTritonModelConfigError
from pytriton.model_config.pbtxt import MAPS

__all__ = ["LISTS", "loads"]

# Text format does not tell a list of one from a single value; these are the lists of a model configuration.
LISTS: Final = frozenset(
    {
        "agents",
        "batch_input",
        "batch_output",
        "bool_false_true",
        "buckets",
        "control",
        "control_input",
        "cpu_execution_accelerator",
        "dim",
        "dims",
        "fp32_false_true",
        "gpu_execution_accelerator",
        "gpus",
        "graph_spec",
        "initial_state",
        "input",
        "instance_group",
        "int32_false_true",
        "metric_control",
        "model_warmup",
        "op_library_filename",
        "output",
        "preferred_batch_size",
        "profile",
        "resources",
        "secondary_devices",
        "shape",
        "source_input",
        "state",
        "step",
        "target_name",
        "versions",
    }
)
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<number>-?\s*(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[fF]?)
    |(?P<word>-?[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>[{}<>\[\]:,;])""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(rb"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES: Final = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}
_WORDS: Final[dict[str, Any]] = {
    "true": True,
    "True": True,
    "t": True,
    "false": False,
    "False": False,
    "f": False,
    "inf": float("inf"),
    "-inf": float("-inf"),
    "nan": float("nan"),
}
_CLOSING: Final = {"{": "}", "<": ">"}


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def loads(text: str) -> dict[str, Any]:
    """Read a configuration; enum values are strings, and maps are dicts."""
    return _Reader(text).message("")


class _Reader:
    """Reads tokens from first to last."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = next(self._tokens)

    def message(self, end: str) -> dict[str, Any]:
        """Fields up to the mark that ends them."""
        fields: dict[str, Any] = {}
        while self._next.text != end:
            name = self._take("word", "the name of a field").text
            for value in self._values():
                _add(fields, name, value, self._next.line)
            if self._next.kind == "mark" and self._next.text in ",;":
                self._advance()
        self._advance()
        return fields

    def _values(self) -> list[Any]:
        colon = self._next.text == ":"
        if colon:
            self._advance()
        if self._next.text == "[":
            return self._list()
        if not colon and self._next.text not in _CLOSING:
            raise _error(self._next, '":" or "{"')
        return [self._value()]

    def _list(self) -> list[Any]:
        self._advance()
        values: list[Any] = []
        while self._next.text != "]":
            values.append(self._value())
            if self._next.text == ",":
                self._advance()
            elif self._next.text != "]":
                raise _error(self._next, '"," or "]"')
        self._advance()
        return values

    def _value(self) -> Any:
        token = self._next
        if token.kind == "mark" and token.text in _CLOSING:
            self._advance()
            return self.message(_CLOSING[token.text])
        if token.kind == "string":
            return self._strings()
        if token.kind == "number":
            self._advance()
            return _number(token.text)
        word = self._take("word", "a value").text
        return _WORDS.get(word, word)

    def _strings(self) -> str:
        parts = []
        while self._next.kind == "string":  # strings that follow each other are one
            parts.append(self._next.text[1:-1])
            self._advance()
        return _ESCAPE.sub(_unescaped, "".join(parts).encode()).decode(errors="replace")

    def _take(self, kind: str, expected: str) -> _Token:
        token = self._next
        if token.kind != kind:
            raise _error(token, expected)
        self._advance()
        return token

    def _advance(self) -> None:
        if self._next.kind != "end":
            self._next = next(self._tokens)


def _tokens(text: str) -> Iterator[_Token]:
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _error(_Token("", text[position], line), "a name or a value")
        if match.lastgroup != "space":
            yield _Token(str(match.lastgroup), match[0], line)
        line += match[0].count("\n")
        position = match.end()
    yield _Token("end", "", line)


def _add(fields: dict[str, Any], name: str, value: Any, line: int) -> None:
    # An "input" is an entry of a map only deep in the optimization policy.
    entry = isinstance(value, dict) and value.keys() <= {"key", "value"}
    if entry and (name in MAPS or "key" in value):
        fields.setdefault(name, {})[value.get("key", "")] = value.get("value", {})
    elif name in LISTS:
        fields.setdefault(name, []).append(value)
    elif name in fields:
        raise PyTritonModelConfigError(f'config.pbtxt, line {line}: a second value for "{name}".')
    else:
        fields[name] = value


def _number(text: str) -> int | float:
    digits = text.replace(" ", "")
    if digits.lower().lstrip("-").startswith("0x"):
        return int(digits, 16)
    try:
        return int(digits)
    except ValueError:
        return float(digits.rstrip("fF"))


def _unescaped(match: re.Match[bytes]) -> bytes:
    escape = match[1]
    if escape[:1] == b"x" and len(escape) > 1:
        return bytes([int(escape[1:], 16)])
    if escape[:1].isdigit():
        return bytes([int(escape, 8) & 0xFF])
    return _ESCAPES.get(escape, escape)


def _error(token: _Token, expected: str) -> PyTritonModelConfigError:
    given = f'"{token.text}"' if token.kind != "end" else "the end of the file"
    return PyTritonModelConfigError(f"config.pbtxt, line {token.line}: expected {expected}, got {given}.")
