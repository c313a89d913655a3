# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest


@pytest.fixture(scope="session")
def native_facts() -> dict[str, Any]:
    """What the C++ side says of itself: native/tests/layout_dump.cc."""
    program = os.environ.get("PYTRITON_LAYOUT_DUMP")
    if not program:
        if os.environ.get("CI"):
            pytest.fail("PYTRITON_LAYOUT_DUMP does not name the program: run `make test-native test-unit`")
        pytest.skip("PYTRITON_LAYOUT_DUMP does not name the program: run `make test-native test-unit`")
    facts: dict[str, Any] = json.loads(
        subprocess.run([program], capture_output=True, timeout=30, check=True).stdout
    )
    return facts
