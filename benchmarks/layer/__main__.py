# SPDX-License-Identifier: Apache-2.0
"""Echo models by plain bind and by an App, on one server, in turn: `python -m benchmarks.layer [rounds]`."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time_ns
from typing import Annotated, Any, Final, NamedTuple

import numpy as np

from benchmarks import process_tree
from benchmarks.loads.wrk import parse_wrk
from pytriton import App
from pytriton.arrays import F32
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.request import Array
from pytriton.testing import TestServer, serving
from pytriton.testing._block import Requested
from pytriton.testing._model import LocalModel
from pytriton.testing._specs import specs_of

ROUNDS: Final = 15
SECONDS: Final = 1
CONCURRENCIES: Final = (1, 32)
CONFIG: Final = ModelConfig(max_batch_size=128)
BODY: Final = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
SCRIPT: Final = Path(__file__).parents[1] / "loads" / "post.lua"


class Sample(NamedTuple):
    """One run of wrk: requests a second, and processor time of server and worker for each."""

    rate: float
    cpu_us: float


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
    for name, cpu_us in _request_costs().items():
        print(f"worker without a server: {cpu_us:.1f} us of processor time a request, {name}")
    with serving(app) as server, tempfile.TemporaryDirectory() as directory:
        body = Path(directory, "body.json")
        body.write_text(json.dumps(BODY))
        pids = process_tree.descendants(os.getpid())
        for concurrency in CONCURRENCIES:
            found: dict[str, list[Sample]] = {"plain": [], "typed": [], "sampled": []}
            for number in range(rounds):
                names = list(found)
                for name in names[number % 3 :] + names[: number % 3]:
                    found[name].append(_measure(server, name, concurrency, body, pids))
            _print(concurrency, found)


def _print(concurrency: int, found: dict[str, list[Sample]]) -> None:
    plain = found["plain"]
    rate = statistics.median(sample.rate for sample in plain)
    print(f"HTTP c={concurrency}: {rate:,.0f}/s by plain bind; against it")
    for name in ("typed", "sampled"):
        ratios = sorted(ours.rate / theirs.rate for ours, theirs in zip(found[name], plain, strict=True))
        # The least of all rounds: what else runs on the machine only ever adds to it.
        cpu = _least_cpu_us(found[name]), _least_cpu_us(plain)
        print(
            f"  {name}: {statistics.median(ratios):.3f} of the rate ({ratios[0]:.2f} to {ratios[-1]:.2f}); "
            f"{cpu[0]:.1f} us of processor time a request instead of {cpu[1]:.1f}: {cpu[0] / cpu[1]:.3f}"
        )


def _least_cpu_us(samples: Sequence[Sample]) -> float:
    return min(sample.cpu_us for sample in samples)


def _measure(server: TestServer, model: str, concurrency: int, body: Path, pids: list[int]) -> Sample:
    url = f"{server.http_url}/v2/models/{model}/infer"
    command = ["wrk", "-t1", f"-c{concurrency}", f"-d{SECONDS}s", "-s", str(SCRIPT), url, "--", str(body)]
    before = process_tree.cpu_seconds(pids)
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = process_tree.cpu_seconds(pids) - before
    measured = parse_wrk(result.stdout)
    assert measured.failed == 0
    return Sample(measured.rate, 1e6 * seconds / measured.requests)


def _request_costs(rounds: int = 60, requests: int = 150) -> dict[str, float]:
    """Processor time of a request of one row, from the queue through a real worker and back: the least."""
    request = Requested({"x": np.ones((1, 4), np.float32)}, 1, {}, [0])
    models = [LocalModel(spec, functions) for spec, functions in specs_of(app)]
    costs = {model.label[0]: float("inf") for model in models}
    for model in models:
        model.start()
    for number in range(rounds):
        for model in models if number % 2 else models[::-1]:
            begin = process_time_ns()
            for _ in range(requests):
                model.submit(request).next(timeout_s=20)
            cost = (process_time_ns() - begin) / requests / 1e3
            costs[model.label[0]] = min(cost, costs[model.label[0]])
    for model in models:
        model.stop()
    return costs


def _functions() -> dict[str, Callable[..., Any]]:
    from pytriton.batching.whole import without_wrapper

    wrappers = {model.name: model.bind_arguments()["infer_func"][0] for model in app.models}
    found = {"plain": _plain, "typed": wrappers["typed"], "sampled": wrappers["sampled"]}
    steps = {name: without_wrapper(wrapper) for name, wrapper in found.items()}
    return {name: direct.function for name, direct in steps.items() if direct is not None}


def _own_cost(function: Callable[..., Any], calls: int = 100_000) -> int:
    x = np.ones((1, 4), np.float32)
    best = sys.maxsize
    for _ in range(5):
        begin = process_time_ns()
        for _ in range(calls):
            function(x=x)
        best = min(best, (process_time_ns() - begin) // calls)
    return best


if __name__ == "__main__":
    main()
