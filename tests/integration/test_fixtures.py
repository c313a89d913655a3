# SPDX-License-Identifier: Apache-2.0
"""The fixtures for the tests of users."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFTEST = """
from pytriton.testing.fixtures import pytriton_client, pytriton_server
"""
APP = """
from pytriton import App

app = App()

@app.model
def shout(text: str) -> str:
    return text.upper()
"""
TESTS = """
import pytest
from app import app
from pytriton.client.exceptions import PyTritonClientModelUnavailableError

def test_without_a_server(pytriton_client):
    client = pytriton_client(app)
    assert client.model("shout").infer_sample("a")["output"] == b"A"

def test_with_a_server(pytriton_server):
    server = pytriton_server(app)
    with server.model("shout") as client:
        assert client.infer_sample("a")["output"] == b"A"
    with server.model("shot") as client:
        with pytest.raises(PyTritonClientModelUnavailableError, match='it has the models "shout"'):
            client.infer_sample("a")
"""


def test_fixtures(tmp_path: Path) -> None:
    for name, text in {"conftest.py": CONFTEST, "app.py": APP, "test_app.py": TESTS}.items():
        (tmp_path / name).write_text(text)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 passed" in result.stdout
