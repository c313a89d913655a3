# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
from collections.abc import AsyncGenerator

import bentoml
from models import tell


@bentoml.service
class Story:
    @bentoml.api
    async def story(self, prompt: str, max_tokens: int = 8, seed: int = 0) -> AsyncGenerator[str, None]:
        async for token in tell(prompt, max_tokens, seed):
            yield token
