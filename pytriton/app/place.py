# SPDX-License-Identifier: Apache-2.0
"""Where in the user's program something was declared, for errors that point at it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pytriton.exceptions import PyTritonDefinitionError

__all__ = ["Place"]

_RETURN = "return"


@dataclass(frozen=True)
class Place:
    """A function of a model, and possibly a parameter of it or a part of what it returns."""

    model: str
    function: Callable[..., Any]
    parameter: str | None = None
    field: str | None = None

    def at(self, parameter: str) -> Place:
        """A parameter of the function."""
        return replace(self, parameter=parameter)

    def at_return(self, field: str | None = None) -> Place:
        """What the function returns, or a field of it."""
        return replace(self, parameter=_RETURN, field=field)

    def error(self, given: str, possible: str) -> PyTritonDefinitionError:
        """The error that something here cannot be.

        Args:
            given: What there is.
            possible: What there could be instead.
        """
        return PyTritonDefinitionError(f"{self._what()}: {given}; {possible}.", self.location)

    @property
    def label(self) -> str:
        """The parameter, or the part of what the function returns."""
        if self.parameter is None:
            return "the function"
        if self.parameter != _RETURN:
            return f'parameter "{self.parameter}"'
        return f'field "{self.field}" of what it returns' if self.field else "what it returns"

    @property
    def location(self) -> str:
        """File and line; of what has none, its name."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        if code is None:
            return _location_of_class(self.function)
        line = code.co_firstlineno
        try:
            lines, first = inspect.getsourcelines(code)
            line = first + _line_of(textwrap.dedent("".join(lines)), self.parameter) - 1
        except (OSError, SyntaxError, TypeError, ValueError):  # no source: the decorator's line must do
            pass
        return f"{code.co_filename}:{line}"

    def __str__(self) -> str:
        return f"{self.location}: {self._what()}"

    def _what(self) -> str:
        part = "" if self.parameter is None else f", {self.label}"
        return f'model "{self.model}"{part}'


def _location_of_class(given: Any) -> str:
    try:
        return f"{inspect.getsourcefile(given)}:{inspect.getsourcelines(given)[1]}"
    except (OSError, TypeError):
        return getattr(given, "__qualname__", repr(given))


def _line_of(source: str, parameter: str | None) -> int:
    """The line within the source of a function where a parameter, or the function itself, stands."""
    function = next((node for node in ast.walk(ast.parse(source)) if isinstance(node, _FUNCTIONS)), None)
    if function is None:  # a lambda: the line where it begins
        return 1
    if parameter == _RETURN:
        return function.returns.lineno if function.returns is not None else function.lineno
    given = function.args
    arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    lines = [each.lineno for each in arguments if each is not None and each.arg == parameter]
    return lines[0] if lines else function.lineno


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
