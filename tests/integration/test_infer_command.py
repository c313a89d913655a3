# SPDX-License-Identifier: Apache-2.0
"""`pytriton infer` against a real server, as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pytriton import App
from pytriton.testing import serving
from tests.helpers.command import pytriton
from tests.helpers.command_models import MODELS, urls
from tests.helpers.server import LOCAL, Server, free_ports, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*MODELS) as server:
        yield server


@pytest.mark.parametrize("protocol", [0, 1])
def test_infer(server: Server, protocol: int, tmp_path: Path) -> None:
    url = urls(server)[protocol]
    result = pytriton("infer", "double", "[1, 2.5]", "--url", url)
    assert (result.returncode, result.stdout) == (0, "y  FP32[2]\n[2., 5.]\n"), result.stderr
    np.save(tmp_path / "x.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    result = pytriton("infer", "double", f"x=@{tmp_path / 'x.npy'}", "-u", url, "-o", tmp_path / "y.npy")
    assert result.returncode == 0, result.stderr
    assert np.load(tmp_path / "y.npy").tolist() == [[0, 2, 4], [6, 8, 10]]
    result = pytriton("infer", "double", "-", "-u", url, "--json", stdin="[[3]]")
    (response,) = json.loads(result.stdout)["responses"]
    assert response["y"] == {"datatype": "FP32", "shape": [1, 1], "data": [[6.0]]}


def test_infer_shows_a_stream_as_it_comes(server: Server) -> None:
    result = pytriton("infer", "spell", "abc", "-u", urls(server)[1])
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[::2] == ["letter  BYTES[1]"] * 3
    assert lines[1::2] == ["['a']", "['b']", "['c']"]
    result = pytriton("infer", "spell", "abc", "-u", urls(server)[0])
    assert result.returncode == 2
    assert "streams its responses, which takes gRPC: give --url grpc://host:port." in result.stderr


def test_infer_says_in_a_sentence_what_is_wrong(server: Server, tmp_path: Path) -> None:
    (tmp_path / "garbage.npy").write_bytes(b"\x93NUMPY nonsense")
    (nowhere,) = free_ports(1)
    for arguments, code, text in (
        (["double", f"@{tmp_path / 'garbage.npy'}"], 2, "is no array that NumPy can read"),
        (["double", "z=1"], 2, 'model "double" has no input "z"; its inputs are x (FP32'),
        (["double", '["a"]'], 2, 'model "double", input "x"'),
        (["double", "[1]", "--batch"], 2, "for a single sample leave out --batch."),
        (["double", "[[1]]", "--sample"], 2, "for a batch leave out --sample."),
        (["double", "[1]", "-p", "priority=1"], 2, "commands cannot set it."),
        (["fail", "[1]"], 1, "on purpose"),
        (
            ["nothing", "[1]"],
            1,
            'it has the models "double", "fail", "spell". If the model is still to come, `py',
        ),
        (["double", "[1]", "-o", "y.txt"], 2, "expected a file that ends in .npy, .npz, .json"),
        (["double", "[1]", "-u", f"{LOCAL}:{nowhere}"], 3, "nothing listens there"),
        (["double", "[1]", "-u", "ftp://x"], 2, "unknown scheme 'ftp'"),
        (["double", "[1]", "-u", f"{LOCAL}:{server.grpc_port}"], 1, "looks like the gRPC port"),
        (["double", "[1]", "-u", f"grpcs://{LOCAL}:{server.grpc_port}"], 1, "speaks no TLS; use grpc://"),
        (
            ["double", "[1]", "-u", f"https://{LOCAL}:{server.http_port}"],
            3,
            "does it speak TLS on this port?",
        ),
        (["double", "[1]", "-u", "grpc://no-such-host.invalid"], 3, "no connection to grpc://no-such-host"),
    ):
        given = arguments if "-u" in arguments else [*arguments, "-u", server.url]
        result = pytriton("infer", *given)
        assert (result.returncode, result.stdout) == (code, ""), (arguments, result)
        assert text in result.stderr
        for word in ("wait_for_model", "infer_batch", "InferOptions"):
            assert word not in result.stderr
        assert len(result.stderr.splitlines()) == 1 or "on purpose" in result.stderr


def test_infer_with_values_typed_per_sample() -> None:
    app = App()

    @app.model
    def line(count: int, share: float, loud: bool, text: str, end: str = ".") -> str:
        return f"{count} {share} {loud} {text}{end}"

    with serving(app) as service:
        for url in (service.http_url, service.grpc_url):
            given = ["count=3", "share=1.5", "loud=true", "text=12", "-u", url]
            result = pytriton("infer", "line", *given, "-p", 'end="1"')
            assert (result.returncode, result.stdout) == (0, "output  BYTES[]\n'3 1.5 True 121'\n"), result
            result = pytriton(
                "infer",
                "line",
                "-i",
                "-",
                "-u",
                url,
                stdin='{"count": 1, "share": 2, "loud": false, "text": "a"}',
            )
            assert result.stdout == "output  BYTES[]\n'1 2.0 False a.'\n", result
        result = pytriton("infer", "line", "count=3", "share=1.5", "loud=true", 'text=["a"]', "-u", url)
        assert result.returncode == 2
        assert (
            'inputs of a batch ("text") and of one sample ("count", "share", "loud") are mixed'
            in result.stderr
        )


def test_help_shows_the_notations() -> None:
    shown = pytriton("infer", "--help", COLUMNS="80").stdout
    for text in ("x='[1, 2]'", """s='["a", "b"]'""", """-p 'mode="2"'""", "grpc://host:8001"):
        assert text in shown
    assert (
        pytriton("bench", "--help", COLUMNS="80")
        .stdout.splitlines()[1]
        .strip()
        .endswith("{MODEL} [NAME=VALUE]...")
    )
