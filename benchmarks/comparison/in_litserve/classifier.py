# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
import sys

import litserve as ls
import numpy as np
from fastapi import HTTPException
from models import classify


class Classifier(ls.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        lengths = np.asarray(request["lengths"], np.float32)
        if lengths.shape != (4,):
            raise HTTPException(400, f"lengths must be 4 numbers, got shape {lengths.shape}")
        return lengths

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, lengths):
        return classify(lengths)

    def unbatch(self, output):
        return list(zip(*output, strict=True))

    def encode_response(self, output):
        species, probability = output
        return {"species": species, "probability": float(probability)}


if __name__ == "__main__":
    api = Classifier(max_batch_size=64, batch_timeout=0.0, api_path="/classifier")
    ls.LitServer(api, accelerator="cpu").run(port=int(sys.argv[1]), generate_client_file=False)
