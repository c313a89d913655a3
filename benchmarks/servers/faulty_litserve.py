# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors
"""The LitServe server that faults are given to: PORT [restart]."""

from __future__ import annotations

import os
import sys
import time

import litserve as ls
import numpy as np
from note import note

_STEP_S = 0.05


class Identity(ls.LitAPI):
    """Returns its input, after a moment, batch by batch."""

    def setup(self, device):
        """Say which process this is."""
        note("worker", os.getpid())

    def decode_request(self, request):
        """One request is one row."""
        return np.asarray(request["INPUT_1"], dtype=np.float32)

    def predict(self, x):
        """The function."""
        time.sleep(_STEP_S)
        return x

    def encode_response(self, output):
        """Back to JSON."""
        return {"OUTPUT_1": output.tolist()}


class Faulty(Identity):
    """The number of requests in the batch; -1 raises."""

    def setup(self, device):
        """Nothing to load."""

    def predict(self, x):
        """The function."""
        if -1.0 in x[:, 0, 0]:
            raise ValueError("what the function says")
        return np.full_like(x, len(x))


class Slow(Faulty):
    """The input, after as many seconds as it says; nothing tells it whether that is still wanted."""

    def predict(self, x):
        """The function."""
        note("began")
        end = time.monotonic() + float(x[0, 0])
        while time.monotonic() < end:
            time.sleep(_STEP_S)
        return x


if __name__ == "__main__":
    server = ls.LitServer(
        [
            Identity(max_batch_size=128, batch_timeout=0.0, api_path="/identity"),
            Faulty(max_batch_size=4, batch_timeout=0.3, api_path="/faulty"),
            Slow(max_batch_size=1, api_path="/slow"),
        ],
        accelerator="cpu",
        workers_per_device={"/identity": 2, "/faulty": 1, "/slow": 1},
        restart_workers=sys.argv[2:] == ["restart"],
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )
