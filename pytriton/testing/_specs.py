# SPDX-License-Identifier: Apache-2.0
"""What is bound to an application or a Triton, as workers take it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pytriton.exceptions import PyTritonDefinitionError
from pytriton.serving.binding import Binding, bind_model

if TYPE_CHECKING:
    from pytriton.app import Router
    from pytriton.serving.base import TritonBase
    from pytriton.worker.loop import WorkerSpec

__all__ = ["check_served", "specs_of"]


def check_served(app: Any) -> None:
    """Refuse what has no models."""
    from pytriton.app import Router

    if isinstance(app, Router):
        return
    from pytriton.serving.base import TritonBase  # not for an App: it need not be loaded

    if not isinstance(app, TritonBase):
        raise PyTritonDefinitionError(f"TestClient takes an App, a Router or a Triton, got {app!r}.")


def specs_of(app: Router | TritonBase) -> Iterator[tuple[WorkerSpec, Sequence[Callable[..., Any]]]]:
    """Every model and its functions, one for each worker."""
    for binding in _bindings(app):
        yield binding.worker_spec(""), binding.local_functions()


def _bindings(app: Router | TritonBase) -> Sequence[Binding]:
    from pytriton.app import Router

    if not isinstance(app, Router):
        return list(app._bindings.values())
    collected = _Collector()
    app.bind_to(collected)  # type: ignore[arg-type]
    return collected.bindings


class _Collector:
    """Takes what is bound to it."""

    def __init__(self) -> None:
        self.bindings: list[Binding] = []

    def bind(
        self,
        model_name: str,
        infer_func: Any,
        inputs: Any,
        outputs: Any,
        model_version: int = 1,
        config: Any = None,
        strict: bool = False,
        trace_config: Any = None,
        *,
        workers: Any = None,
        **_options: Any,
    ) -> None:
        """Describe a model."""
        binding = bind_model(model_name, infer_func, inputs, outputs, model_version, config, strict, workers)
        self.bindings.append(binding)
