# SPDX-License-Identifier: Apache-2.0
"""The checks of results, for those who want to make them without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.request import Request, Response
from pytriton.worker.outputs import declared_outputs

__all__ = ["TritonResultsValidator"]


class TritonResultsValidator:
    """Checks what a function returned, as the workers of a model do."""

    def __init__(self, model_config: TritonModelConfig, strict: bool) -> None:
        """Describe what is right.

        Args:
            model_config: The model.
            strict: Whether outputs are checked to the letter, as by bind(strict=True).
        """
        self._model = model_config
        self._strict = strict
        self._outputs = declared_outputs(model_config, strict=strict)

    def validate_responses(
        self, requests: Sequence[Mapping[str, Any]], responses: Sequence[Mapping[str, Any]]
    ) -> None:
        """Raise ValueError for the first response that its request cannot be answered with."""
        where = f'model "{self._model.model_name}"'
        if not isinstance(responses, list):
            raise ValueError(f"{where}: expected a list of responses, got {type(responses).__qualname__}.")
        if len(requests) != len(responses):
            raise ValueError(f"{where}: got {len(responses)} responses to {len(requests)} requests.")
        for index, (request, response) in enumerate(zip(requests, responses, strict=True)):
            arrays = response.data if isinstance(response, (Request, Response)) else response
            if not isinstance(arrays, dict):
                raise ValueError(
                    f"{where}: response {index} must be a dict, got {type(response).__qualname__}."
                )
            self._validate(request, arrays, where)

    def _validate(self, request: Mapping[str, Any], response: Mapping[str, Any], where: str) -> None:
        first = next(iter(request.values()), None)
        for name, array in response.items():
            output = self._outputs.get(name)
            if output is not None:
                output.check(array, _rows(array if first is None else first))
            elif self._strict:
                declared = ", ".join(self._outputs)
                raise ValueError(f'{where}: output "{name}" is not declared; declared are: {declared}.')


def _rows(array: Any) -> int:
    return next(iter(np.shape(array)), 0)
