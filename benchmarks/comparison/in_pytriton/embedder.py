# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
from typing import Annotated

from models import Projection

from pytriton import F32, App

app = App()


@app.model(name="embedder", devices=["cpu"], workers=2)
class Embedder:
    def __init__(self, device: str) -> None:
        self.projection = Projection(device)

    def __call__(self, text: list[str], normalize: bool = True) -> Annotated[F32, "batch", 256]:
        return self.projection.embed(text, normalize)
