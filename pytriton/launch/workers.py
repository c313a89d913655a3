# SPDX-License-Identifier: Apache-2.0
"""`serve --workers`: models served by processes that import the module and take the functions from there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytriton.exceptions import PyTritonValidationError
from pytriton.launch.target import as_triton, import_target
from pytriton.serving.binding import Binding
from pytriton.triton import TritonBase
from pytriton.workers import WorkerProcesses

__all__ = ["make_function", "use_processes"]


def use_processes(triton: TritonBase, target: str, directory: Path, count: int) -> None:
    """Let every model be served by so many processes; nothing must run yet.

    Args:
        triton: What serves. A model that is bound with WorkerProcesses keeps all but their number.
        target: What was named to be served.
        directory: Where its module is.
        count: Processes of each model.
    """
    for binding in triton.bindings:
        if binding.is_for_processes:
            binding.scale(count, lambda: None, 0.0)
        else:
            name, version = binding.label
            arguments = (target, str(directory), name, version)
            binding.run_in_processes(make_function, WorkerProcesses(count, factory=True, args=arguments))


def make_function(target: str, directory: str, name: str, version: int) -> Callable[..., Any]:
    """The function of a model, in a process of its own."""
    found = import_target(target, Path(directory))
    if not isinstance(found, TritonBase) and not hasattr(found, "models") and callable(found):
        found = found()
    # Of an application only the one model is made.
    for model in () if isinstance(found, TritonBase) else getattr(found, "models", ()):
        if (model.name, model.version) == (name, version):
            function: Callable[..., Any] = model.function()
            return function
    binding = _binding(as_triton(found, target), name, version)
    return binding.local_functions()[0]


def _binding(triton: TritonBase, name: str, version: int) -> Binding:
    for binding in triton.bindings:
        if binding.label == (name, version):
            return binding
    raise PyTritonValidationError(
        f'A worker process that imported the module found no model "{name}" version {version} there; '
        "models must be the same in every process."
    )
