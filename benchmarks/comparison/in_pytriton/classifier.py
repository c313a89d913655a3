# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
from typing import Annotated, NamedTuple

from models import classify

from pytriton import F32, App

app = App()


class Verdict(NamedTuple):
    species: list[str]
    probability: Annotated[F32, "batch"]


@app.model
def classifier(lengths: Annotated[F32, "batch", 4]) -> Verdict:
    return Verdict(*classify(lengths))
