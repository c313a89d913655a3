# SPDX-License-Identifier: Apache-2.0
"""Access tokens: which endpoints want one, by default and as configured."""

import urllib.error
import urllib.request

import numpy as np
import tritonclient.grpc as grpc
from seen import GRPC, HTTP, attempt, say
from tritonclient.utils import InferenceServerException

from pytriton.client import ModelClient
from pytriton.client.auth import create_auth_headers, extract_access_token_from_headers
from pytriton.model_config import Tensor
from pytriton.triton import DEFAULT_PROTECTED_ENDPOINTS, VALID_TRITON_ENDPOINTS, Triton, TritonSecurityConfig

PATHS = {
    "live": "/v2/health/live",
    "ready": "/v2/health/ready",
    "metadata": "/v2",
    "model": "/v2/models/m",
    "model ready": "/v2/models/m/ready",
    "config": "/v2/models/m/config",
    "stats": "/v2/models/m/stats",
    "all stats": "/v2/models/stats",
    "shared memory": "/v2/systemsharedmemory/status",
    "cuda": "/v2/cudasharedmemory/status",
    "logging": "/v2/logging",
    "trace": "/v2/trace/setting",
    "index": "/v2/repository/index",
}


def status(path, **headers):
    method = "POST" if path.endswith("index") else "GET"
    request = urllib.request.Request(HTTP + path, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def statuses(**headers):
    return {name: status(path, **headers) for name, path in PATHS.items()}


def double(requests):
    return [{"y": request["x"] * 2} for request in requests]


def serve(security, words):
    triton = Triton(security_config=security)
    triton.bind(
        "m",
        double,
        [Tensor(name="x", dtype=np.float32, shape=(1,))],
        [Tensor(name="y", dtype=np.float32, shape=(1,))],
    )
    triton.run()
    token = triton.get_access_token()
    say("token", words, token if token == "my-token" else type(token).__name__)
    return triton, token


say("defaults", DEFAULT_PROTECTED_ENDPOINTS, sorted(VALID_TRITON_ENDPOINTS))
triton, token = serve(None, "generated")
say("length", len(token))
say("without", statuses())
say("with", statuses(**{"triton-access-token": token}))
say("wrong", statuses(**{"triton-access-token": "x"}))
client = grpc.InferenceServerClient(GRPC.removeprefix("grpc://"))
try:
    client.get_inference_statistics("m")
except InferenceServerException as error:
    say("grpc", error.status())
say(
    "grpc with",
    len(client.get_inference_statistics("m", headers=create_auth_headers(token, "grpc")).model_stats),
)
with ModelClient(HTTP, "m") as plain:
    attempt("unload without", plain.unload_model)
    say("still there", plain.infer_sample(np.ones(1, np.float32)))
with ModelClient(HTTP, "m", access_token=token) as admin:
    attempt("unload with", admin.unload_model)
triton.stop()

triton, token = serve(
    TritonSecurityConfig(access_token="my-token", restricted_endpoints=["inference", "trace"]), "own"
)
say("without", statuses())
for url in (HTTP, GRPC):
    with ModelClient(url, "m") as client:
        attempt("infer without", client.infer_sample, np.ones(1, np.float32))
    with ModelClient(url, "m", access_token="my-token") as client:
        attempt("infer with", client.infer_sample, np.ones(1, np.float32))
triton.stop()

triton, token = serve(TritonSecurityConfig(restricted_endpoints=[]), "none")
say("without", statuses())
triton.stop()

attempt(
    "wrong names",
    TritonSecurityConfig,
    restricted_endpoints=["health", "b", "a"],
    words=["['a', 'b']", "statistics"],
)
attempt("empty token", Triton, security_config=TritonSecurityConfig(access_token=""))
say("http", create_auth_headers("t", "http"), create_auth_headers("t", "GRPC"))
attempt("no token", create_auth_headers, None, "http")
attempt("empty", create_auth_headers, "", "http")
attempt("protocol", create_auth_headers, "t", "ftp", words=["ftp"])
say(
    "extract",
    extract_access_token_from_headers({"triton-access-token": "t"}),
    extract_access_token_from_headers({}),
)
say(
    "extract none", extract_access_token_from_headers(None), extract_access_token_from_headers({"other": "t"})
)
both = {"triton-access-token": "a", "triton-grpc-protocol-triton-access-token": "b"}
attempt("conflict", extract_access_token_from_headers, both)
