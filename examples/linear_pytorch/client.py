# SPDX-License-Identifier: Apache-2.0
"""Ask the Linear model over HTTP and gRPC with Triton's own client and binary tensors."""

from __future__ import annotations

import argparse

import numpy as np
import tritonclient.grpc
import tritonclient.http

parser = argparse.ArgumentParser()
parser.add_argument("--http", default="localhost:8000", metavar="HOST:PORT")
parser.add_argument("--grpc", default="localhost:8001", metavar="HOST:PORT")
options = parser.parse_args()

# The tensors were bound without names, so they have the default ones.
features = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
answers = []
for protocol, url in ((tritonclient.http, options.http), (tritonclient.grpc, options.grpc)):
    tensor = protocol.InferInput("INPUT_1", features.shape, "FP32")
    tensor.set_data_from_numpy(features)
    with protocol.InferenceServerClient(url) as client:
        answers.append(client.infer("Linear", [tensor]).as_numpy("OUTPUT_1"))
    print(f"{protocol.__name__} answered\n{answers[-1]}")

np.testing.assert_allclose(answers[0], answers[1], rtol=1e-5)
