# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
import json
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from models import tell
from pydantic import BaseModel

app = FastAPI()


class Prompt(BaseModel):
    prompt: str
    max_tokens: int = 8
    seed: int = 0


async def events(prompt: Prompt) -> AsyncIterator[str]:
    async for token in tell(prompt.prompt, prompt.max_tokens, prompt.seed):
        yield f"data: {json.dumps({'output': token})}\n\n"


@app.post("/story")
async def story(prompt: Prompt) -> StreamingResponse:
    return StreamingResponse(events(prompt), media_type="text/event-stream")
