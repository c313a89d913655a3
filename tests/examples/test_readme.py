# SPDX-License-Identifier: Apache-2.0
"""The example in the README: served, asked by each of its ways, and ended with Ctrl-C."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton.client import ModelClient
from tests.helpers.examples import running_program
from tests.helpers.server import free_ports

ROOT = Path(__file__).parents[2]
DEFAULT_PORT = 8000
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def blocks(language: str, word: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language and word in text]


def expected() -> np.ndarray[Any, Any]:
    """What the example's layer makes of the rows that the README sends."""
    random = np.random.default_rng(seed=0)
    weight = random.standard_normal((2, 3), dtype=np.float32)
    bias = random.standard_normal(3, dtype=np.float32)
    rows: np.ndarray[Any, Any] = np.array([[1, 2], [3, 4]], np.float32) @ weight + bias
    return rows


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """HTTP port of the README's server, which must end with exit code 0."""
    (program,) = blocks("python", "triton.serve()")
    script = tmp_path_factory.mktemp("readme") / "server.py"
    script.write_text(program, encoding="utf-8")
    ports = free_ports(3)
    with running_program([sys.executable, str(script)], ports):
        with ModelClient(f"http://localhost:{ports[0]}", "Linear") as client:
            client.wait_for_model(20)
        yield ports[0]


def curl(command: str, port: int) -> Any:
    """What the command `curl URL -d DOCUMENT` prints, read as JSON."""
    name, url, option, document = shlex.split(command)
    assert (name, option) == ("curl", "-d")
    assert f"localhost:{DEFAULT_PORT}" in url
    url = "http://" + url.replace(str(DEFAULT_PORT), str(port))
    with urllib.request.urlopen(url, document.encode(), timeout=20) as answer:
        return json.load(answer)


def test_two_rows_with_curl(port: int) -> None:
    (command,) = blocks("sh", "/infer")
    (output,) = curl(command, port)["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("scores", "FP32", [2, 3])
    np.testing.assert_allclose(output["data"], expected().ravel(), rtol=1e-6)


def test_one_row_the_shorter_way(port: int) -> None:
    (command,) = blocks("sh", "/Linear/generate")
    np.testing.assert_allclose(curl(command, port)["scores"], expected()[0], rtol=1e-6)


def test_the_client(port: int) -> None:
    (program,) = blocks("python", "ModelClient(")
    assert program.count('"localhost"') == 1
    # It is written for the default port.
    program = program.replace('"localhost"', f'"localhost:{port}"')
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    sample, _, batch = result.stdout.partition("\n")
    assert np.allclose(numbers(sample), expected()[0])
    assert np.allclose(numbers(batch), expected().ravel())


def numbers(text: str) -> list[float]:
    return [float(word) for word in re.findall(r"[-+.\de]+", text)]
