# SPDX-License-Identifier: Apache-2.0
"""Names for the types that decorators deal with."""

from __future__ import annotations

from typing import TypeAlias

from pytriton.request import Array

__all__ = ["InferenceRequest", "InferenceRequests", "InferenceResult", "InferenceResults", "InputNames"]

InputNames: TypeAlias = list[str]
InferenceRequest: TypeAlias = dict[str, Array]
InferenceRequests: TypeAlias = list[InferenceRequest] | tuple[InferenceRequest, ...]
InferenceResult: TypeAlias = dict[str, Array]
InferenceResults: TypeAlias = list[InferenceResult] | tuple[InferenceResult, ...]
