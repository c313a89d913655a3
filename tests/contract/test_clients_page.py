# SPDX-License-Identifier: Apache-2.0
"""What docs/clients.md says of the clients is what they say themselves."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import pytriton.client
from pytriton.client import exceptions, options

PAGE = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()


def test_the_tree_of_exceptions_is_that_of_the_module() -> None:
    assert exceptions.__doc__ is not None
    tree = exceptions.__doc__.partition("PyTritonClientError\n")[2].strip()
    assert tree in PAGE


@pytest.mark.parametrize("name", sorted({*pytriton.client.__all__, *exceptions.__all__}))
def test_every_class_is_told_of(name: str) -> None:
    assert name in PAGE


@pytest.mark.parametrize("name", ["init_timeout_s", "inference_timeout_s"])
def test_defaults(name: str) -> None:
    from pytriton.client._core import settings

    default = getattr(settings, f"DEFAULT_{name.upper()}")
    assert f"| `{name}` | {default:.0f} s |" in PAGE


@pytest.mark.parametrize("name", list(inspect.signature(pytriton.client.ModelClient.__init__).parameters)[4:])
def test_every_option_is_told_of(name: str) -> None:
    told_elsewhere = {"lazy_init", "model_config", "ensure_model_is_ready"}
    assert name in PAGE or name in told_elsewhere


def test_options_are_told_of() -> None:
    for kind in ("InferOptions", "Retry", "Tls"):
        assert kind in options.__all__
        assert f"{kind}(" in PAGE
