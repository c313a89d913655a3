# SPDX-License-Identifier: Apache-2.0
"""Parameters of a request to the arguments that a function declares for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pytriton.app.signature import Parameter
from pytriton.exceptions import ErrorCode, PyTritonInferenceError
from pytriton.request import ParameterValue

__all__ = ["ParameterReader"]

_BOOLS: Final = {"true": True, "1": True, "false": False, "0": False}


class ParameterReader:
    """Reads and checks the parameters of requests of one model; of others it knows nothing."""

    def __init__(self, model: str, parameters: Sequence[Parameter]) -> None:
        self._model = model
        self._parameters = parameters

    def read(self, given: Mapping[str, ParameterValue]) -> dict[str, Any]:
        """The arguments, of what the request has; an error for its client if a value is not possible."""
        if not given:
            return {}
        return {
            parameter.name: self._converted(parameter, given[parameter.name])
            for parameter in self._parameters
            if parameter.name in given
        }

    def _converted(self, parameter: Parameter, value: ParameterValue) -> Any:
        converted = _convert(value, parameter.type)
        if converted is None:
            raise self._error(parameter, value, f"expected {parameter.type.__name__}")
        if parameter.choices and converted not in parameter.choices:
            raise self._error(parameter, value, f"expected one of {', '.join(map(repr, parameter.choices))}")
        return converted

    def _error(self, parameter: Parameter, value: Any, expected: str) -> PyTritonInferenceError:
        return PyTritonInferenceError(
            f'model "{self._model}", parameter "{parameter.name}": got {value!r}; {expected}.',
            ErrorCode.INVALID_ARG,
        )


def _convert(value: ParameterValue, kind: type[Any]) -> Any:
    """A value as another type, where that is meant: headers and some clients have text alone. None if not."""
    if kind is str:
        return value if isinstance(value, str) else None
    if kind is bool:
        return (
            _BOOLS.get(value.lower())
            if isinstance(value, str)
            else value
            if isinstance(value, bool)
            else None
        )
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    if kind is int and isinstance(value, float):
        return int(value) if value.is_integer() else None
    try:
        return kind(value)
    except (ValueError, OverflowError):
        return None
