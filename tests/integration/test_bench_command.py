# SPDX-License-Identifier: Apache-2.0
"""`pytriton bench` against a real server, as a user runs it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.command import pytriton
from tests.helpers.command_models import MODELS, urls
from tests.helpers.server import Server, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(*MODELS) as server:
        yield server


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
