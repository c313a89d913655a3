# SPDX-License-Identifier: Apache-2.0
"""What ModelClient does and raises."""

import numpy as np
from seen import ENDPOINTS, HTTP, attempt, say

from pytriton.client import ModelClient, exceptions
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton


@batch
def add_sub(a, b):
    return {"add": a + b, "sub": a - b}


@batch
def fails(a, b):
    return {"add": a // 0, "sub": 1 / 0}


INPUTS = [Tensor(name=name, dtype=np.int32, shape=(-1,)) for name in "ab"]
OUTPUTS = [Tensor(name="sub", dtype=np.int32, shape=(-1,)), Tensor(name="add", dtype=np.int32, shape=(-1,))]
a, b = np.array([[1, 2]], np.int32), np.array([[3, 4]], np.int32)

NAMES = (
    "ValueError",
    "InvalidUrlError",
    "TimeoutError",
    "ModelUnavailableError",
    "ClosedError",
    "ModelDoesntSupportBatchingError",
    "InferenceServerError",
    "QueueFullError",
)
for name in NAMES:
    kind = getattr(exceptions, f"PyTritonClient{name}")
    say("exception", name, issubclass(kind, exceptions.PyTritonClientError), issubclass(kind, ValueError))
say("of a bad url", issubclass(exceptions.PyTritonClientInvalidUrlError, exceptions.PyTritonClientValueError))
error = exceptions.PyTritonClientTimeoutError("words")
say("an exception", str(error), error.message)

with Triton() as triton:
    triton.bind("m", add_sub, INPUTS, OUTPUTS, config=ModelConfig(max_batch_size=2))
    triton.bind("single", add_sub, INPUTS, OUTPUTS, config=ModelConfig(batching=False))
    triton.bind("fails", fails, INPUTS, OUTPUTS)
    for protocol, url in ENDPOINTS.items():
        with ModelClient(url, "m") as client:
            say(protocol + " by position", client.infer_batch(a, b))
            say("by name", client.infer_batch(b=b, a=a), client.infer_sample(a[0], b[0]))
            say("batching", client.is_batching_supported, client.model_config.model_name)
            attempt("no input", client.infer_batch, words=["Provide input data"])
            attempt(
                "mixed",
                client.infer_batch,
                a,
                b=b,
                words=["Use either positional either keyword method arguments convention"],
            )
            attempt("too few", client.infer_batch, a)
            attempt("unknown name", client.infer_batch, a=a, c=b)
            attempt("wrong dtype", client.infer_batch, a.astype(np.complex64), b)
            attempt("wrong rank", client.infer_batch, a[None], b)
            attempt(
                "too many rows", client.infer_batch, np.zeros((3, 1), np.int32), np.zeros((3, 1), np.int32)
            )
            attempt("wait", client.wait_for_model, 5)
        attempt("closed", client.infer_batch, a, b)
        attempt("closed wait", client.wait_for_model, 1)
        client.close()
        with ModelClient(url, "single") as client:
            say("single", client.infer_sample(a[0], b[0]))
            attempt("no batches", client.infer_batch, a, b)
        with ModelClient(url, "fails") as client:
            attempt("error", client.infer_batch, a, b, words=["division by zero", "Traceback"])
        with ModelClient(url, "missing", init_timeout_s=2) as client:
            attempt("unknown model", client.infer_batch, a, b)
        attempt("eager", ModelClient, url, "missing", lazy_init=False, init_timeout_s=2)
        with ModelClient(url, "m", "1") as client:
            say("version", client.infer_batch(a, b), client.model_config.model_version)
        with ModelClient(url, "m", "7", init_timeout_s=2) as client:
            attempt("unknown version", client.infer_batch, a, b)
        first = ModelClient(url, "m", lazy_init=False)
        known = ModelClient(url, "m", model_config=first.model_config, ensure_model_is_ready=False)
        say("known", known.infer_batch(a, b))
        known.close()
        first.close()
    with ModelClient(HTTP, "m") as first, ModelClient.from_existing_client(first) as copy:
        say("copy", copy.infer_batch(a, b))
    with ModelClient("localhost:" + HTTP.rsplit(":", 1)[1], "m") as client:
        say("no scheme", client.infer_batch(a, b))

for url in ("ftp://localhost", "localhost:port", 5, None, "grpc://localhost:99999999"):
    attempt(f"url {url!r}", ModelClient, url, "m", words=["Invalid url"])
for scheme in ("http", "grpc"):
    with ModelClient(f"{scheme}://127.0.0.1:1", "m", init_timeout_s=2) as client:
        attempt("nobody there", client.infer_batch, a, b)
        attempt("nobody there, wait", client.wait_for_model, 2)
