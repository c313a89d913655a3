# SPDX-License-Identifier: Apache-2.0
"""Echo models by plain bind and by an App, on one server, in turn: `python -m benchmarks.layer [rounds]`."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time_ns
from typing import Annotated, Any, Final

import numpy as np

from benchmarks.loads.wrk import parse_wrk
from pytriton import App
from pytriton.arrays import F32
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Array
from pytriton.testing import TestServer, serving

ROUNDS: Final = 9
SECONDS: Final = 2
CONCURRENCIES: Final = (1, 32)
CONFIG: Final = ModelConfig(max_batch_size=128)
BODY: Final = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
SCRIPT: Final = Path(__file__).parents[1] / "loads" / "post.lua"

app = App()


@app.model(config=CONFIG)
def typed(x: Annotated[F32, "batch", "n"]) -> Annotated[F32, "batch", "n"]:
    """Echo; that the sizes agree is checked."""
    return x


@app.model(config=CONFIG)
def sampled(x: Annotated[F32, "n"]) -> Annotated[F32, "n"]:
    """Echo, sample by sample."""
    return x


@batch
def _plain(x: Array) -> Any:
    return [x]


FLOATS: Final = [Tensor((-1,), np.float32, name="x")]
app.bind("plain", _plain, FLOATS, [Tensor((-1,), np.float32, name="output")], config=CONFIG)


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    own = {name: _own_cost(function) for name, function in _functions().items()}
    print("ns of Python in a call:", ", ".join(f"{name} {cost}" for name, cost in own.items()))
    with serving(app) as server, tempfile.TemporaryDirectory() as directory:
        body = Path(directory, "body.json")
        body.write_text(json.dumps(BODY))
        for concurrency in CONCURRENCIES:
            rates: dict[str, list[float]] = {"plain": [], "typed": [], "sampled": []}
            for number in range(rounds):
                names = list(rates)
                for name in names[number % 3 :] + names[: number % 3]:
                    rates[name].append(_rate(server, name, concurrency, body))
            _print(concurrency, rates)


def _print(concurrency: int, rates: dict[str, list[float]]) -> None:
    for name in ("typed", "sampled"):
        ratios = sorted(ours / plain for ours, plain in zip(rates[name], rates["plain"], strict=True))
        print(
            f"HTTP c={concurrency}: plain {statistics.median(rates['plain']):,.0f}/s, "
            f"{name} {statistics.median(rates[name]):,.0f}/s; ratio of each round: median "
            f"{statistics.median(ratios):.3f}, from {ratios[0]:.3f} to {ratios[-1]:.3f}; "
            f"best of all: {max(rates[name]) / max(rates['plain']):.3f}"
        )


def _rate(server: TestServer, model: str, concurrency: int, body: Path) -> float:
    url = f"{server.http_url}/v2/models/{model}/infer"
    command = ["wrk", "-t1", f"-c{concurrency}", f"-d{SECONDS}s", "-s", str(SCRIPT), url, "--", str(body)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = parse_wrk(result.stdout)
    assert measured.failed == 0
    return measured.rate


def _functions() -> dict[str, Callable[..., Any]]:
    from pytriton.batching.whole import without_wrapper

    model = next(model for model in app.models if model.name == "typed")
    found = {
        "plain": without_wrapper(_plain),
        "typed": without_wrapper(model.bind_arguments()["infer_func"][0]),
    }
    return {name: function for name, function in found.items() if function is not None}


def _own_cost(function: Callable[..., Any], calls: int = 100_000) -> int:
    x = np.ones((8, 4), np.float32)
    best = sys.maxsize
    for _ in range(5):
        begin = process_time_ns()
        for _ in range(calls):
            function(x=x)
        best = min(best, (process_time_ns() - begin) // calls)
    return best


if __name__ == "__main__":
    main()
