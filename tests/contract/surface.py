# SPDX-License-Identifier: Apache-2.0
"""The table of surface.txt as entries that can be compared with what is there."""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

__all__ = ["Entry", "read_table"]

_TABLE: Final = Path(__file__).with_name("surface.txt")
_ANY: Final = object()


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    module: str
    owner: str
    kind: str
    name: str
    details: str

    @property
    def path(self) -> str:
        """Dotted path of the name."""
        return ".".join(part for part in (self.module, self.owner, self.name) if part)

    def problem(self) -> str | None:
        """How what is there falls short of the line, if it does."""
        try:
            found = self._found
        except (ImportError, AttributeError) as error:
            return f"missing: {error}"
        check = getattr(self, f"_check_{self.kind}")
        result: str | None = check(found)
        return result

    @cached_property
    def _found(self) -> Any:
        found: Any = importlib.import_module(self.module)
        for name in (self.owner, self.name):
            if name:
                found = getattr(found, name)
        return found

    @property
    def _static(self) -> Any:
        owner = getattr(importlib.import_module(self.module), self.owner)
        return inspect.getattr_static(owner, self.name)

    def _check_module(self, found: Any) -> str | None:
        return None if inspect.ismodule(found) else "is no module"

    def _check_value(self, found: Any) -> str | None:
        return None if found is not None else "is None"

    def _check_literal(self, found: Any) -> str | None:
        expected = ast.literal_eval(self.details)
        return None if found == expected else f"is {found!r}, expected {expected!r}"

    def _check_same(self, found: Any) -> str | None:
        module, _, name = self.details.rpartition(".")
        other = getattr(importlib.import_module(module), name)
        return None if found is other else f"is not {self.details}"

    def _check_enum(self, found: Any) -> str | None:
        members = self.details.split(", ")
        if not issubclass(found, enum.Enum):
            return "is no enum"
        lost = [name for name in members if name not in found.__members__]
        return f"lacks {lost}" if lost else None

    def _check_exception(self, found: Any) -> str | None:
        parents = [base.__name__ for base in found.__mro__[1:]]
        return None if self.details in parents else f"descends from {parents}, expected {self.details}"

    def _check_class(self, found: Any) -> str | None:
        if not inspect.isclass(found):
            return "is no class"
        # TritonConfig.__new__ is there only to refuse what its fields do not take.
        fields = functools.partial(found.__init__, None) if dataclasses.is_dataclass(found) else found
        return _narrowed(self.details, fields)

    def _check_def(self, found: Any) -> str | None:
        if not callable(found):
            return "cannot be called"
        return _narrowed(self.details, found) if self.details else None

    def _check_classmethod(self, found: Any) -> str | None:
        return _narrowed(self.details, found) if inspect.ismethod(found) else "is no class method"

    def _check_static(self, found: Any) -> str | None:
        return _narrowed(self.details, found) if isinstance(self._static, staticmethod) else "is not static"

    def _check_property(self, _found: Any) -> str | None:
        return None if inspect.isdatadescriptor(self._static) else "is no property"


def read_table() -> Iterator[Entry]:
    """All entries in the order of the file."""
    module = owner = ""
    for line in _TABLE.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            module, owner = line.strip("[]"), ""
        elif line.startswith(" "):
            yield _entry(module, owner, line.strip())
        else:
            entry = _entry(module, "", line)
            owner = entry.name
            yield entry


def _entry(module: str, owner: str, line: str) -> Entry:
    for separator, kind in ((" == ", "literal"), (" = ", "same")):
        name, found, details = line.partition(separator)
        if found and name.isidentifier():
            return Entry(module, owner, kind, name, details)
    kind, _, rest = line.partition(" ")
    if kind == "enum":
        name, _, details = rest.partition(": ")
    elif kind == "exception":
        name, _, details = rest.removesuffix(")").partition("(")
    else:
        name, bracket, details = rest.partition("(")
        details = bracket + details
    return Entry(module, owner, kind, name, details)


def _narrowed(expected: str, function: Any) -> str | None:
    """How a callable refuses a call that the expected parameters allow, if it does."""
    there = list(inspect.signature(function).parameters.values())
    wanted = list(_parameters(expected))
    by_name = {parameter.name: parameter for parameter in there}
    for place, parameter in enumerate(wanted):
        problem = _lost(parameter, place, there, by_name)
        if problem:
            return f"{expected} became {inspect.signature(function)}: {problem}"
    known = {parameter.name for parameter in wanted}
    new = [each for each in there if each.name not in known and _is_required(each)]
    positional_only = sum(parameter.kind is parameter.POSITIONAL_ONLY for parameter in wanted)
    return f"new parameters without defaults: {new[positional_only:]}" if new[positional_only:] else None


def _lost(
    wanted: inspect.Parameter,
    place: int,
    there: list[inspect.Parameter],
    by_name: dict[str, inspect.Parameter],
) -> str | None:
    if wanted.kind is wanted.POSITIONAL_ONLY:
        takes = place < len(there) and there[place].kind is not wanted.KEYWORD_ONLY
        return None if takes else f"argument {place + 1} is not taken by position"
    if wanted.kind in (wanted.VAR_POSITIONAL, wanted.VAR_KEYWORD):
        return None if any(each.kind is wanted.kind for each in there) else f"no {wanted}"
    found = by_name.get(wanted.name)
    if found is None or found.kind is found.POSITIONAL_ONLY:
        return f"no parameter {wanted.name}"
    if wanted.kind is wanted.POSITIONAL_OR_KEYWORD and (
        found.kind is not wanted.kind or there[place] is not found
    ):
        return f"{wanted.name} cannot be argument {place + 1}"
    if wanted.default is wanted.empty:
        return None
    if found.default is found.empty:
        return f"{wanted.name} has no default"
    if wanted.default is not _ANY and wanted.default != found.default:
        return f"{wanted.name} defaults to {found.default!r}"
    return None


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind not in (
        parameter.VAR_POSITIONAL,
        parameter.VAR_KEYWORD,
    )


def _parameters(text: str) -> Iterator[inspect.Parameter]:
    (function,) = ast.parse(f"def f{text}: ...").body
    assert isinstance(function, ast.FunctionDef)
    given = function.args
    kinds = inspect.Parameter
    plain = [(each, kinds.POSITIONAL_ONLY) for each in given.posonlyargs] + [
        (each, kinds.POSITIONAL_OR_KEYWORD) for each in given.args
    ]
    defaults: list[ast.expr | None] = [*(None,) * (len(plain) - len(given.defaults)), *given.defaults]
    for (argument, kind), default in zip(plain, defaults, strict=True):
        yield kinds(argument.arg, kind, default=_default(default))
    if given.vararg:
        yield kinds(given.vararg.arg, kinds.VAR_POSITIONAL)
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        yield kinds(argument.arg, kinds.KEYWORD_ONLY, default=_default(default))
    if given.kwarg:
        yield kinds(given.kwarg.arg, kinds.VAR_KEYWORD)


def _default(node: ast.expr | None) -> Any:
    if node is None:
        return inspect.Parameter.empty
    value = ast.literal_eval(node)
    return _ANY if value is ... else value
