# SPDX-License-Identifier: Apache-2.0
"""When the server is started, and where its models lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["DefaultTritonLifecyclePolicy", "TritonLifecyclePolicy", "VertextAILifecyclePolicy"]


@dataclass
class TritonLifecyclePolicy:
    """When the server is started, and where its models lie.

    Args:
        launch_triton_on_startup: Whether entering the context of a Triton object starts the server.
        local_model_store: Whether bind writes the model into the model store at once.
    """

    launch_triton_on_startup: bool = True
    local_model_store: bool = False


DefaultTritonLifecyclePolicy: Final = TritonLifecyclePolicy()
VertextAILifecyclePolicy: Final = TritonLifecyclePolicy(
    launch_triton_on_startup=False, local_model_store=True
)
