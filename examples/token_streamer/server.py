# SPDX-License-Identifier: Apache-2.0
"""Serve a model that streams its answer token by token, as language models do."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from itertools import pairwise

from pytriton import App

app = App()
followers: dict[str, list[str]] = defaultdict(list)
text = "the fox saw the hen and the hen saw the fox and the fox ran and the hen slept"
words = text.split()
for word, follower in pairwise(words):
    followers[word].append(follower)


@app.model
async def story(prompt: str, max_tokens: int = 8, seed: int = 0) -> AsyncIterator[str]:
    """Go on with a text; any number of stories is told side by side."""
    choose, token = random.Random(seed).choice, prompt.split()[-1]
    for _ in range(max_tokens):
        token = choose(followers.get(token) or words)
        yield token
        await asyncio.sleep(0)  # where a language model would be waited for


if __name__ == "__main__":
    app.serve()
