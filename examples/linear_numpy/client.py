# SPDX-License-Identifier: Apache-2.0
"""Ask the Linear model for two rows over HTTP, with nothing but the standard library, and over gRPC."""

from __future__ import annotations

import argparse
import json
import urllib.request

import numpy as np
import tritonclient.grpc

parser = argparse.ArgumentParser()
parser.add_argument("--http", default="localhost:8000", metavar="HOST:PORT")
parser.add_argument("--grpc", default="localhost:8001", metavar="HOST:PORT")
options = parser.parse_args()

features = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)

tensor = {"name": "features", "datatype": "FP32", "shape": features.shape, "data": features.tolist()}
request = urllib.request.Request(
    f"http://{options.http}/v2/models/Linear/infer",
    data=json.dumps({"inputs": [tensor]}).encode(),
    headers={"Content-Type": "application/json"},
)
with urllib.request.urlopen(request, timeout=10) as response:
    (output,) = json.load(response)["outputs"]
over_http = np.array(output["data"], dtype=np.float32).reshape(output["shape"])
print(f"HTTP answered\n{over_http}")

grpc_tensor = tritonclient.grpc.InferInput("features", features.shape, "FP32")
grpc_tensor.set_data_from_numpy(features)
with tritonclient.grpc.InferenceServerClient(options.grpc) as client:
    over_grpc = client.infer("Linear", [grpc_tensor], client_timeout=10).as_numpy("scores")
print(f"gRPC answered\n{over_grpc}")

np.testing.assert_allclose(over_http, over_grpc, rtol=1e-5)
