# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
"""The measured LitServe server."""

from __future__ import annotations

import sys

from events import emit, open_events

if __name__ == "__main__":  # its workers import this module again
    open_events()
    emit("started")
import litserve as ls
import numpy as np

if __name__ == "__main__":
    emit("imported")


class Identity(ls.LitAPI):
    """Returns its input, batch by batch."""

    def setup(self, device):
        """Nothing to load."""

    def decode_request(self, request):
        """One request is one row."""
        return np.asarray(request["INPUT_1"], dtype=np.float32)

    def predict(self, x):
        """The measured function."""
        return x

    def encode_response(self, output):
        """Back to JSON."""
        return {"OUTPUT_1": output.tolist()}


if __name__ == "__main__":
    emit("constructing")
    api = Identity(max_batch_size=128, batch_timeout=0.0)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )
