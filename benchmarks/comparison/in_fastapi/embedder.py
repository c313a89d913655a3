# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from models import Projection
from pydantic import BaseModel


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.projection = Projection("cpu")
    yield


app = FastAPI(lifespan=lifespan)


class Texts(BaseModel):
    text: list[str]
    normalize: bool = True


class Vectors(BaseModel):
    output: list[list[float]]


@app.post("/embedder")
def embedder(texts: Texts, request: Request) -> Vectors:
    vectors = request.app.state.projection.embed(texts.text, texts.normalize)
    return Vectors(output=vectors.tolist())
