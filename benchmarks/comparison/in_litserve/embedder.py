# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
import sys

import litserve as ls
from fastapi import HTTPException
from models import Projection


class Embedder(ls.LitAPI):
    def setup(self, device):
        self.projection = Projection(device)

    def decode_request(self, request):
        text, normalize = request["text"], request.get("normalize", True)
        if not isinstance(text, str) or not isinstance(normalize, bool):
            raise HTTPException(400, "text must be a string and normalize a bool")
        return text, normalize

    def batch(self, inputs):
        return inputs

    def predict(self, inputs):
        outputs = [None] * len(inputs)
        for normalize in (True, False):
            rows = [row for row, (_, wanted) in enumerate(inputs) if wanted is normalize]
            if rows:
                vectors = self.projection.embed([inputs[row][0] for row in rows], normalize)
                for row, vector in zip(rows, vectors, strict=True):
                    outputs[row] = vector
        return outputs

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        return {"output": output.tolist()}


if __name__ == "__main__":
    api = Embedder(max_batch_size=64, batch_timeout=0.0, api_path="/embedder")
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=2)
    server.run(port=int(sys.argv[1]), generate_client_file=False)
