# SPDX-License-Identifier: Apache-2.0
"""Fixtures for pytest: import them in a conftest.py, or name this module in its `pytest_plugins`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from pytriton.testing.client import TestClient
from pytriton.testing.server import TestServer, serving

__all__ = ["pytriton_client", "pytriton_server"]


@pytest.fixture
def pytriton_client() -> Iterator[Callable[..., TestClient]]:
    """`pytriton_client(app)`: a TestClient that is closed after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda app, **options: stack.enter_context(TestClient(app, **options))


@pytest.fixture
def pytriton_server() -> Iterator[Callable[..., TestServer]]:
    """`pytriton_server(app)`: a real server on free ports that is stopped after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda app, **options: stack.enter_context(serving(app, **options))
