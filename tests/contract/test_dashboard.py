# SPDX-License-Identifier: Apache-2.0
"""deploy/grafana/pytriton.json asks for nothing that a real server does not show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytriton.decorators import batch
from pytriton.model_config import Tensor
from pytriton.request import Array
from tests.helpers.prometheus import Page, scrape
from tests.helpers.server import Model, running

DASHBOARD: Any = json.loads(
    (Path(__file__).parents[2] / "deploy/grafana/pytriton.json").read_text(encoding="utf-8")
)
PAGE = Path(__file__).parents[2] / "docs/metrics.md"
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
# Triton shows failures by reason once there is one.
LABELS_OF_FAILURES = {"reason"}


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    @batch
    def echo(INPUT_1: Array) -> list[Array]:
        return [INPUT_1]

    tensor = Tensor((1,), np.float32)
    with running(Model("m", echo, [tensor], [tensor])) as server:
        data = {"inputs": [{"name": "INPUT_1", "shape": [1, 1], "datatype": "FP32", "data": [1]}]}
        assert server.infer("m", data).status == 200
        yield scrape(server)


def metrics_of(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:nv|pytriton)_\w+", expression))


def test_the_dashboard_is_understood() -> None:
    assert len(PANELS) >= 12
    assert all(metrics_of(expression) for expression in EXPRESSIONS)
    queries = [variable["definition"] for variable in DASHBOARD["templating"]["list"][1:]]
    assert queries == ["label_values(pytriton_workers, model)"]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_everything_asked_for_is_there(page: Page, expression: str) -> None:
    wanted = set(
        re.findall(r"(\w+)=~?\"", expression)
        + [name.strip() for names in re.findall(r"by \(([^)]*)\)", expression) for name in names.split(",")]
    )
    for metric in metrics_of(expression):
        (labels, *_) = page.labels(metric)
        missing = wanted - labels.keys() - LABELS_OF_FAILURES
        assert not missing, f"{metric} has no labels {missing}"


def test_everything_of_ours_is_on_the_dashboard_and_on_the_page(page: Page) -> None:
    ours = {name for name in page.kinds if name.startswith("pytriton_")}
    shown = {metric for expression in EXPRESSIONS for metric in metrics_of(expression)}
    shown |= {re.sub(r"_(bucket|sum|count)$", "", metric) for metric in shown}
    assert ours <= shown
    explained = set(re.findall(r"`(pytriton_\w+)`", PAGE.read_text(encoding="utf-8")))
    assert ours == explained


def test_panels_lie_side_by_side() -> None:
    places: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & places, panel["title"]
        places |= cells
