# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
import json
import sys

import litserve as ls
from fastapi import HTTPException
from models import tell


class Story(ls.LitAPI):
    def setup(self, device):
        pass

    async def decode_request(self, request):
        prompt, max_tokens, seed = request["prompt"], request.get("max_tokens", 8), request.get("seed", 0)
        if not (isinstance(prompt, str) and isinstance(max_tokens, int) and isinstance(seed, int)):
            raise HTTPException(400, "prompt must be a string, max_tokens and seed integers")
        return prompt, max_tokens, seed

    async def predict(self, inputs):
        async for token in tell(*inputs):
            yield token

    async def encode_response(self, output):
        async for token in output:
            yield f"data: {json.dumps({'output': token})}\n\n"


if __name__ == "__main__":
    api = Story(stream=True, enable_async=True, api_path="/story")
    ls.LitServer(api, accelerator="cpu").run(port=int(sys.argv[1]), generate_client_file=False)
