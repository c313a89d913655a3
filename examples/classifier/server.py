# SPDX-License-Identifier: Apache-2.0
"""Serve a classifier: which iris it is, by the lengths and widths of its sepals and petals."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from pytriton import F32, App

app = App()
species = ["setosa", "versicolor", "virginica"]
means = np.array([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]], np.float32)


class Verdict(NamedTuple):
    species: list[str]
    probability: Annotated[F32, "batch"]


@app.model
def classifier(lengths: Annotated[F32, "batch", 4]) -> Verdict:
    """The species whose mean is nearest."""
    likelihood = np.exp(-((lengths[:, None] - means) ** 2).sum(-1))
    probability = likelihood / likelihood.sum(1, keepdims=True)
    return Verdict([species[best] for best in probability.argmax(1)], probability.max(1))


if __name__ == "__main__":
    app.serve()
