# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
import bentoml
import numpy as np
from models import Projection
from pydantic import BaseModel


class Text(BaseModel):
    text: str
    normalize: bool = True


@bentoml.service(workers=2)
class Embedder:
    def __init__(self) -> None:
        self.projection = Projection("cpu")

    @bentoml.api(batchable=True, max_batch_size=64)
    def embedder(self, texts: list[Text]) -> np.ndarray:
        vectors = np.empty((len(texts), 256), np.float32)
        for normalize in (True, False):
            rows = [row for row, text in enumerate(texts) if text.normalize is normalize]
            if rows:
                vectors[rows] = self.projection.embed([texts[row].text for row in rows], normalize)
        return vectors
