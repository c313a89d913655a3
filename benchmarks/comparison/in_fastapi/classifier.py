# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
from typing import Annotated

import numpy as np
from fastapi import FastAPI
from models import classify
from pydantic import BaseModel, Field

app = FastAPI()


class Flowers(BaseModel):
    lengths: list[Annotated[list[float], Field(min_length=4, max_length=4)]]


class Verdict(BaseModel):
    species: list[str]
    probability: list[float]


@app.post("/classifier")
def classifier(flowers: Flowers) -> Verdict:
    species, probability = classify(np.array(flowers.lengths, np.float32))
    return Verdict(species=species, probability=probability.tolist())
