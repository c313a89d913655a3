# SPDX-License-Identifier: Apache-2.0
"""A metrics page, read."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tests.helpers.server import Address

__all__ = ["Page", "Sample", "scrape"]

_LINE: Final = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_KIND: Final = re.compile(r"# TYPE (\S+) (\S+)")


class Sample(NamedTuple):
    """A line with a value."""

    name: str
    labels: dict[str, str]
    value: float


class Page:
    """What a server says of itself in Prometheus' text format."""

    def __init__(self, text: str) -> None:
        self.kinds: dict[str, str] = {}
        self.samples: list[Sample] = []
        for line in text.splitlines():
            if kind := _KIND.fullmatch(line):
                self.kinds[kind[1]] = kind[2]
            elif line and not line.startswith("#"):
                found = _LINE.fullmatch(line)
                assert found is not None, line
                labels = dict(_LABEL.findall(found["labels"] or ""))
                self.samples.append(Sample(found["name"], labels, float(found["value"])))

    def value(self, name: str, **labels: str) -> float:
        """The one value with these labels, and perhaps others."""
        values = [
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert len(values) == 1, f"{name} {labels}: {values}"
        return values[0]

    def labels(self, name: str) -> list[dict[str, str]]:
        """Labels of everything of this name."""
        return [sample.labels for sample in self.samples if sample.name == name]


def scrape(server: Address) -> Page:
    """The page of a server, now."""
    reply = server.request("GET", "/metrics", port=server.metrics_port)
    assert reply.status == 200
    return Page(reply.body.decode())
