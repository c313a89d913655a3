# SPDX-License-Identifier: Apache-2.0
"""Servers for tests, and a look after every test at what it left behind.

A module that asks for many answers of the same models has a module-scoped fixture with
`tests.helpers.server.running(...)`; `serve` is for tests that need a server of their own.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.leaks import no_leaks
from tests.helpers.server import Model, Server, start


@pytest.fixture(scope="session", autouse=True)
def home() -> Iterator[Path]:
    """Where this run makes its workspaces; the path is short, because sockets lie in it."""
    directory = Path(tempfile.mkdtemp(prefix="pt", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTRITON_HOME", str(directory))
        # Shared memory of Python brings a child process that stays.
        resource_tracker.ensure_running()
        yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module", autouse=True)
def module_leaves_nothing(home: Path) -> Iterator[None]:
    """Nothing is left of servers that a whole module uses."""
    with no_leaks(home):
        yield


@pytest.fixture(autouse=True)
def leaves_nothing(home: Path, module_leaves_nothing: None) -> Iterator[None]:
    """Nothing is left of a test."""
    with no_leaks(home):
        yield


@pytest.fixture
def serve(leaves_nothing: None) -> Iterator[Callable[..., Server]]:
    """Start servers that last as long as the test: `serve(Model(...), config={"log_verbose": 1})`."""
    with contextlib.ExitStack() as stack:

        def serve(*models: Model, config: Mapping[str, Any] | None = None, **options: Any) -> Server:
            return stack.enter_context(start(models, config, **options))

        yield serve
