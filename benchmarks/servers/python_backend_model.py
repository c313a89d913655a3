# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
"""The measured function as Triton's Python backend wants it."""

from __future__ import annotations

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Returns its input."""

    def execute(self, requests):
        """Answer one batch."""
        responses = []
        for request in requests:
            batch = pb_utils.get_input_tensor_by_name(request, "INPUT_1").as_numpy()
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT_1", batch)]))
        return responses
