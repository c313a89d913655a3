# SPDX-License-Identifier: Apache-2.0
"""`pytriton models` against a real server, as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.helpers.command import pytriton
from tests.helpers.command_models import MODELS, urls
from tests.helpers.server import Server, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*MODELS) as server:
        yield server


@pytest.mark.parametrize("protocol", [0, 1])
def test_models(server: Server, protocol: int) -> None:
    url = urls(server)[protocol]
    before = server.statistics("double")["inference_stats"]["success"]["count"]
    server.infer("double", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]}]})
    result = pytriton("models", "--url", url, "--json")
    assert result.returncode == 0, result.stderr
    found = {model["name"]: model for model in json.loads(result.stdout)["models"]}
    assert sorted(found) == ["double", "fail", "spell"]
    assert found["double"]["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1], "optional": False}]
    assert found["double"]["statistics"]["requests"] == before + 1
    assert found["double"]["platform"] == "pytriton"
    assert found["spell"]["decoupled"] is True
    shown = pytriton("models", "double", "--url", url, COLUMNS="160").stdout
    assert "x: FP32[*]" in shown
    assert "spell" not in shown
    narrow = pytriton("models", "--url", url, COLUMNS="80").stdout
    assert max(map(len, narrow.splitlines())) <= 80
    for text in ("model", "double", "spell", "ready", "x: FP32[*]"):
        assert text in narrow


@pytest.mark.parametrize("protocol", [0, 1])
def test_one_model_in_detail(server: Server, protocol: int) -> None:
    url = urls(server)[protocol]
    result = pytriton("models", "spell", "--url", url)
    assert result.returncode == 0, result.stderr
    lines = [line.split(maxsplit=1) for line in result.stdout.rstrip().splitlines()]
    assert lines[0] == ["spell"]
    shown = {title: value.rstrip() for title, value in lines[1:]}
    assert shown["version"] == "1"
    assert shown["state"] == "ready"
    assert shown["backend"] == "pytriton"
    assert shown["batch"].startswith("up to ")
    assert shown["responses"] == "any number, a stream"
    assert shown["inputs"] == "text: BYTES[1]"
    assert shown["outputs"] == "letter: BYTES[1]"
    assert shown["requests"].endswith(" failed")
    document = json.loads(pytriton("models", "spell", "--url", url, "--json").stdout)
    assert [(model["name"], model["version"]) for model in document["models"]] == [("spell", "1")]
    for arguments in (["Spel"], ["Spel", "--json"]):
        result = pytriton("models", *arguments, "--url", url)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == (
            f'pytriton: server {url} has no model "Spel"; it has "double", "fail", "spell". Did you mean '
            '"spell"?\n'
        )
