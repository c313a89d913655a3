# SPDX-License-Identifier: Apache-2.0
"""`pytriton models`, `infer`, `bench` and `top` against a real server, as a user runs them."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton import App
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.testing import serving
from pytriton.triton import TritonSecurityConfig
from tests.helpers.command import SERVICE, Command, pytriton, serving_command
from tests.helpers.http_peer import Heard, answer, http_peer
from tests.helpers.server import LOCAL, Model, Server, free_ports, running

FLOATS = Tensor(name="x", dtype=np.float32, shape=(-1,))
TEXT = Tensor(name="text", dtype=np.bytes_, shape=(1,))


@batch
def double(x: Any) -> list[Any]:
    return [x * 2]


@batch
def fail(x: Any) -> list[Any]:
    raise ValueError("on purpose")


@batch
def spell(text: Any) -> Iterator[list[Any]]:
    for letter in text[0, 0].decode():
        yield [np.array([[letter.encode()]], object)]


MODELS = (
    Model("double", double, [FLOATS], [Tensor(name="y", dtype=np.float32, shape=(-1,))]),
    Model("fail", fail, [FLOATS], [Tensor(name="y", dtype=np.float32, shape=(-1,))]),
    Model(
        "spell",
        spell,
        [TEXT],
        [Tensor(name="letter", dtype=np.bytes_, shape=(1,))],
        ModelConfig(decoupled=True),
    ),
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*MODELS) as server:
        yield server


def urls(server: Server) -> tuple[str, str]:
    return server.url, f"grpc://{LOCAL}:{server.grpc_port}"


def test_a_url_where_nothing_answers_while_a_server_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTRITON_HOME", str(tmp_path / "home"))  # others may serve on this machine
    (tmp_path / "service.py").write_text(SERVICE)
    (port,) = free_ports(1)
    with serving_command(tmp_path, "service:app") as (command, address, _):
        for scheme in ("http", "grpc"):
            url = f"{scheme}://{LOCAL}:{port}"
            result = pytriton("infer", "Scale", "[1]", "--url", url, "--timeout", "5")
            assert result.returncode == 3
            (line,) = result.stderr.splitlines()
            assert line.startswith(f"pytriton: server {url}: ")
            assert line.endswith(f" `pytriton serve` of this machine answers at {address.url}.")
        result = pytriton("infer", "Scale", "[1]", "--url", address.url)
        assert (result.returncode, result.stderr) == (0, "")
        assert command.end() == 0


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


@pytest.mark.parametrize("protocol", [0, 1])
def test_bench(server: Server, protocol: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    url = urls(server)[protocol]
    files = ["--picture", str(tmp_path / "p.png"), "--report", str(tmp_path / "r.html")]
    load = ["-c", "1,4", "-d", "0.5", "--warmup", "0.2", "--shape", "x:3", "-b", "2", "--processes", "2"]
    before = server.statistics("double")["inference_stats"]["success"]["count"]
    result = pytriton("bench", "double", "-u", url, *load, *files, "--json")
    assert result.returncode == 0, result.stderr
    levels = json.loads(result.stdout)["levels"]
    assert [level["concurrency"] for level in levels] == [1, 4]
    for level in levels:
        assert level["requests"] > 0
        assert level["failures"] == 0
        assert level["rows"] == pytest.approx(2 * level["rate"])
        assert level["percentiles_ms"]["p50"] <= level["percentiles_ms"]["p99"]
        # The server has counted no fewer, those of the warm-up among them.
        assert level["server"]["requests"] >= level["requests"]
    counted = server.statistics("double")["inference_stats"]["success"]["count"] - before
    assert counted == sum(level["server"]["requests"] for level in levels)
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert "<td>4 in flight</td>" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize("protocol", [0, 1])
def test_bench_with_an_open_loop(server: Server, protocol: int) -> None:
    url = urls(server)[protocol]
    result = pytriton("bench", "double", "[1]", "-u", url, "-r", "50", "-d", "1", "--warmup", "0.2", "--even")
    assert result.returncode == 0, result.stderr
    row = next(line for line in result.stdout.splitlines() if "50 requests/s" in line)
    assert float(row.split()[2]) == pytest.approx(50, rel=0.3)


def test_bench_is_of_a_closed_loop_or_of_an_open_one() -> None:
    result = pytriton("bench", "double", "-c", "1", "-r", "50")
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("pytriton: --concurrency and --rate exclude each other: ")


def test_bench_fails_if_requests_fail(server: Server) -> None:
    result = pytriton("bench", "fail", "-u", server.url, "-d", "0.3", "--warmup", "0")
    assert result.returncode == 1
    assert "HTTP status 500" in result.stdout
    assert "on purpose" in result.stdout


@pytest.mark.parametrize("load", [["-c", "2"], ["-r", "50"], ["-c", "1-4"], ["-r", "50,100"]])
@pytest.mark.parametrize("protocol", [0, 1])
def test_bench_stops_if_every_request_fails(server: Server, protocol: int, load: list[str]) -> None:
    url = urls(server)[protocol]
    status = ("HTTP status 500", "gRPC status 13")[protocol]
    for more in ([], ["--json"]):
        result = pytriton("bench", "fail", "-u", url, *load, "--warmup", "1", "-d", "600", *more)
        assert (result.returncode, result.stdout) == (1, "")
        (line,) = result.stderr.splitlines()
        assert re.fullmatch(
            r"pytriton: (2 in flight|50 requests/s|1 in flight): all [\d,]+ requests of the first 1 s "
            rf"failed, so that nothing was measured: {status}: ValueError: on purpose",
            line,
        )


def test_bench_over_https_is_refused() -> None:
    result = pytriton("bench", "double", "-u", "https://localhost")
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert "A load over HTTP with TLS is not possible" in result.stderr


def test_bench_of_a_stream_is_refused(server: Server) -> None:
    result = pytriton("bench", "spell", "-u", server.url)
    assert result.returncode == 2
    assert 'model "spell"' in result.stderr
    assert "is decoupled" in result.stderr


@pytest.mark.parametrize("protocol", [0, 1])
def test_top(server: Server, protocol: int) -> None:
    metrics = f"http://{LOCAL}:{server.metrics_port}/metrics"
    where = ["-u", urls(server)[protocol], "--metrics-url", metrics]
    result = pytriton("top", *where, "--json", "--count", "2", "-n", "0.2")
    assert result.returncode == 0, result.stderr
    looks = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(looks) == 2
    models = {model["model"]: model for model in looks[0]["models"]}
    assert sorted(models) == ["double", "fail", "spell"]
    assert models["double"]["workers"] == 1
    assert models["double"]["pending"] == 0
    assert looks[0]["memory_total_bytes"] > 0
    assert looks[0]["notes"] == []
    shown = pytriton("top", *where, "--once", "-n", "0.1", COLUMNS="140").stdout
    assert "requests/s 0" in shown
    assert "double" in shown
    assert "0/1" in shown


def test_top_without_metrics_says_so(server: Server) -> None:
    (nowhere,) = free_ports(1)
    result = pytriton(
        "top", "-u", server.url, "--metrics-url", f"http://{LOCAL}:{nowhere}", "--once", "-n", "0.1"
    )
    assert result.returncode == 0, result.stderr
    assert "No memory, workers and queue lengths: " in result.stdout


def test_a_server_that_does_not_answer_in_time() -> None:
    with socket.create_server((LOCAL, 0)) as silent:
        url = f"http://{LOCAL}:{silent.getsockname()[1]}"
        for command in (["models"], ["infer", "m", "[1]"], ["bench", "m"], ["top", "--once"]):
            result = pytriton(*command, "-u", url, "--timeout", "0.2")
            assert result.returncode == 3
            assert result.stderr.endswith(" timed out after 0.2 s. With --timeout it may take longer.\n")


def test_the_metrics_are_at_a_url() -> None:
    result = pytriton("top", "--metrics-url", "nonsense")
    assert (result.returncode, result.stderr) == (
        2,
        "pytriton: --metrics-url: expected http:// or https://, got 'nonsense'.\n",
    )


def test_restricted_endpoints() -> None:
    security = TritonSecurityConfig("secret")
    with running(*MODELS[:1], security_config=security) as server:
        metrics = f"http://{LOCAL}:{server.metrics_port}/metrics"
        result = pytriton("models", "-u", server.url)
        assert result.returncode == 1
        assert "restricts this (model-repository)" in result.stderr
        assert "--token" in result.stderr
        for url in urls(server):
            assert "double" in pytriton("models", "-u", url, "--token", "secret").stdout
        # The metrics are not restricted, and tell nearly as much.
        server.infer("double", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]}]})
        result = pytriton("top", "-u", server.url, "--metrics-url", metrics, "--once", "-n", "0.3")
        assert result.returncode == 0, result.stderr
        assert "From the metrics alone: " in result.stdout
        assert "double" in result.stdout


def test_a_server_that_serve_runs_is_found_with_its_token(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    with serving_command(tmp_path, "service:app") as (command, _, said):
        result = pytriton("models", "--json")
        assert result.returncode == 0, result.stderr
        document = json.loads(result.stdout)
        assert document["url"] == said["endpoints"]["HTTP"]
        assert document["models"][0]["name"] == "Scale"
        assert document["notes"] == []
        assert "Scale" in pytriton("top", "--once", "-n", "0.1").stdout
        assert command.end() == 0


def test_top_goes_on_with_a_server_that_is_served_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTRITON_HOME", str(tmp_path / "home"))  # others may serve on this machine
    (tmp_path / "service.py").write_text(SERVICE)
    ports = zip(("http", "grpc", "metrics"), free_ports(3), strict=True)
    options = ["serve", "service:app", "--json", *(f"--{name}-port={port}" for name, port in ports)]
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.closing(Command(options, tmp_path)))
        url = json.loads(first.expect('"endpoints"'))["endpoints"]["HTTP"]
        # Without metrics nothing but statistics tells of models, and those want the token.
        nowhere = f"http://{LOCAL}:{free_ports(1)[0]}"
        watching = ["top", "--json", "-n", "0.1", "-u", url, "--metrics-url", nowhere]
        top = stack.enter_context(contextlib.closing(Command(watching, tmp_path)))
        top.expect('"model": "Scale"')
        assert first.end() == 0
        top.expect(f"server {url}: ")
        second = stack.enter_context(contextlib.closing(Command(options, tmp_path)))
        assert url in second.expect('"endpoints"')
        top.expect('"model": "Scale"')
        assert top.end() == 0
        assert top.rest().count("failed") == 0
        assert second.end() == 0


def test_a_server_without_extensions() -> None:
    replies: dict[str, Any] = {
        "/v2": {"name": "plain", "version": "1", "extensions": []},
        "/v2/models/m": {
            "name": "m",
            "versions": ["1"],
            "platform": "x",
            "inputs": [{"name": "a", "datatype": "FP32", "shape": [-1, 2]}],
            "outputs": [{"name": "b", "datatype": "FP32", "shape": [-1, 2]}],
        },
    }

    def script(heard: Heard, _: socket.socket) -> bytes:
        found = replies.get(heard.path)
        return answer({"error": "not found"}, "404 Not Found") if found is None else answer(found)

    with http_peer(script) as peer:
        result = pytriton("models", "-u", peer.url)
        assert (result.returncode, result.stdout) == (4, "")
        assert result.stderr == (
            f"pytriton: server {peer.url} cannot list its models: it lacks the extension model_repository "
            "of the v2 protocol.\n"
        )
        result = pytriton("models", "m", "-u", peer.url)
        assert result.returncode == 0
        assert "a: FP32[*, 2]" in result.stdout
        assert "batch" not in result.stdout  # nobody has told
        assert "lacks the extension statistics" in result.stderr
        result = pytriton("models", "x", "-u", peer.url)
        assert (result.returncode, result.stderr) == (1, f'pytriton: server {peer.url} has no model "x".\n')
        for command in (["infer", "x", "[1]"], ["bench", "x"]):
            result = pytriton(*command, "-u", peer.url, "--timeout", "0.3")
            assert result.returncode == 1
            assert "Waiting for model x/<latest> to be ready timed out." in result.stderr
            assert result.stderr.endswith(": not found. With --timeout it may take longer.\n")
        result = pytriton("top", "-u", peer.url, "--metrics-url", f"{peer.url}/none", "--once")
        assert result.returncode == 4
        assert "lacks the extension statistics of the v2 protocol. Nor are there metrics:" in result.stderr
