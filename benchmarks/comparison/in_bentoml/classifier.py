# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
from typing import Annotated

import bentoml
import numpy as np
from bentoml.validators import DType, Shape
from models import classify
from pydantic import BaseModel


class Verdict(BaseModel):
    species: str
    probability: float


@bentoml.service
class Classifier:
    @bentoml.api(batchable=True, max_batch_size=64)
    def classifier(self, lengths: Annotated[np.ndarray, DType("float32"), Shape((-1, 4))]) -> list[Verdict]:
        species, probability = classify(lengths)
        return [
            Verdict(species=name, probability=value)
            for name, value in zip(species, probability.tolist(), strict=True)
        ]
