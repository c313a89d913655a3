# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def built_wheel() -> Path:
    wheels = sorted((ROOT / "dist").glob("pytriton-*.whl"))
    if len(wheels) != 1:
        pytest.skip(f"expected one wheel in dist/ and found {len(wheels)}: run `make wheel`")
    return wheels[0]
