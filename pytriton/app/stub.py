# SPDX-License-Identifier: Apache-2.0
"""The source of a module with typed clients of the models."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pytriton import dtypes
from pytriton.app.model import Model
from pytriton.app.signature import Input, Parameter
from pytriton.app.tensor_type import Form, TensorType

__all__ = ["client_stub"]

_IMPORTED = ("Any", "Iterator", "Literal", "ModelStub", "NDArray", "NamedTuple")
_HEAD = '''\
# Written by pytriton{of}; do not edit.
# ruff: noqa
"""Clients of the models, each to be called like the function that serves it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytriton.client.typed import ModelStub, text, texts

__all__ = [
{names}
]'''


def client_stub(models: Sequence[Model], source: str = "") -> str:
    """The source of a module with a class for each model.

    Args:
        models: The models.
        source: Where they are from, to be told in the first line.
    """
    names = _class_names(models)
    records = [f"{name}Result" for name, model in zip(names, models, strict=True) if _is_record(model)]
    exported = "\n".join(f'    "{name}",' for name in sorted([*names, *records]))
    lines = [_HEAD.format(of=f" from {source}" if source else "", names=exported)]
    for name, model in zip(names, models, strict=True):
        lines += _class_of(name, model)
    return "\n".join(lines) + "\n"


def _class_names(models: Sequence[Model]) -> list[str]:
    names: list[str] = []
    for model in models:
        parts = [part for part in re.split(r"[^0-9a-zA-Z]+", model.name) if part]
        name = "".join(part[0].upper() + part[1:] for part in parts) or "Model"
        if name[0].isdigit() or keyword.iskeyword(name) or name in _IMPORTED:
            name = f"Model{name}"
        while name in names or f"{name}Result" in names:
            name = f"{name}V{model.version}" if f"{name}V{model.version}" not in names else f"{name}_"
        names.append(name)
    return names


def _class_of(name: str, model: Model) -> Iterator[str]:
    result = f"{name}Result" if _is_record(model) else _type_of(next(iter(model.outputs.values())))
    if _is_record(model):
        yield f"\n\nclass {name}Result(NamedTuple):"
        yield f'    """What model {model.name} gives."""\n'
        yield from (f"    {field}: {_type_of(kind)}" for field, kind in model.outputs.items())
    yield f"\n\nclass {name}(ModelStub):"
    yield f'    """{_docstring(model)}"""\n'
    yield f"    MODEL = {_literal(model.name)}"
    if model.streaming:
        yield "    STREAMING = True"
    yield ""
    returned = f"Iterator[{result}]" if model.streaming else result
    yield f"    def __call__({', '.join(['self', *_arguments(model)])}) -> {returned}:"
    yield f'        """Ask model {model.name}."""'
    method = "_batch" if model.signature.batched else "_sample"
    inputs = _dict([each.name for each in model.inputs])
    parameters = _dict([each.name for each in model.parameters])
    asked = f"self.{method}({inputs}, {parameters})"
    if model.streaming:
        yield f"        return self._each({asked}, self._result)"
    else:
        yield f"        return self._result({asked})"
    yield ""
    yield "    @staticmethod"
    yield f"    def _result(outputs: Any) -> {result}:"
    if _is_record(model):
        values = [_value_of(field, kind) for field, kind in model.outputs.items()]
        yield f"        return {name}Result({', '.join(values)})"
    else:
        ((field, kind),) = model.outputs.items()
        yield f"        result: {result} = {_value_of(field, kind)}"
        yield "        return result"


def _is_record(model: Model) -> bool:
    return model.signature.result.container is not None


def _arguments(model: Model) -> Iterator[str]:
    for each in sorted(model.inputs, key=lambda each: each.optional):
        yield _input(each)
    if model.parameters:
        yield "*"
    yield from (_parameter(each) for each in model.parameters)


def _input(given: Input) -> str:
    kind = _type_of(given.type)
    return f"{given.name}: {kind} | None = None" if given.optional else f"{given.name}: {kind}"


def _parameter(given: Parameter) -> str:
    kind = given.type.__name__
    if given.choices:
        kind = f"Literal[{', '.join(map(_literal, given.choices))}]"
    if given.default is None:
        kind += " | None"
    return f"{given.name}: {kind} = {_literal(given.default)}"


def _type_of(kind: TensorType) -> str:
    if kind.form is Form.ARRAY:
        return f"NDArray[{_scalar(kind)}]"
    element = kind.element.__name__
    if issubclass(kind.element, np.generic):
        element = _scalar(kind)
    return f"list[{element}]" if kind.form is Form.LIST else element


def _scalar(kind: TensorType) -> str:
    # What strings are in NumPy, and what NumPy itself does not have, is for no type checker to tell.
    if kind.datatype is dtypes.BYTES:
        return "np.object_"
    return f"np.{kind.element.__name__}" if hasattr(np, kind.element.__name__) else "Any"


def _value_of(name: str, kind: TensorType) -> str:
    output = f"outputs[{_literal(name)}]"
    if kind.form is Form.ARRAY:
        return output
    if kind.element is str:
        return f"text({output})" if kind.form is Form.SCALAR else f"texts({output})"
    if issubclass(kind.element, np.generic):
        return f"{output}[()]" if kind.form is Form.SCALAR else f"list({output})"
    return f"{output}.item()" if kind.form is Form.SCALAR else f"{output}.tolist()"


def _docstring(model: Model) -> str:
    described = model.description.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    lines = (described or f"Model {model.name}.").splitlines()
    return "\n    ".join([*lines, ""] if len(lines) > 1 else lines).rstrip(" ")


def _dict(names: Sequence[str]) -> str:
    return "{" + ", ".join(f"{_literal(name)}: {name}" for name in names) + "}"


def _literal(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    text = repr(value)
    if isinstance(value, str) and text.startswith("'") and '"' not in value:
        return f'"{text[1:-1]}"'
    return text
