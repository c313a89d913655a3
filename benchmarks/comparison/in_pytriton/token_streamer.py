# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
from collections.abc import AsyncIterator

from models import tell

from pytriton import App

app = App()


@app.model
def story(prompt: str, max_tokens: int = 8, seed: int = 0) -> AsyncIterator[str]:
    return tell(prompt, max_tokens, seed)
