# SPDX-License-Identifier: Apache-2.0
"""Plain HTTP: statuses, metadata, configuration, metrics."""

import json
import re
import urllib.error
import urllib.request

import numpy as np
import tritonclient.grpc as grpc
from seen import GRPC, HTTP, METRICS, say
from tritonclient.utils import InferenceServerException

from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton

KEYS = ("name", "datatype", "shape", "data")


def ask(path, document=None, headers=(), method=None, data=None):
    data = data if data is not None else None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(HTTP + path, data, dict(headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    try:
        return status, json.loads(body)
    except ValueError:
        return status, body.decode()


@batch
def add_sub(a, b):
    return {"add": a + b, "sub": a - b}


@batch
def fails(a):
    raise ValueError("of the function")


@batch
def texts(t):
    return {"t": t}


def document(*inputs, **more):
    return {"inputs": [dict(zip(KEYS, item, strict=True)) for item in inputs], **more}


INPUTS = [Tensor(name=name, dtype=np.float32, shape=(-1,)) for name in "ab"]
OUTPUTS = [Tensor(name=name, dtype=np.float32, shape=(-1,)) for name in ("sub", "add")]
A, B = ("a", "FP32", [1, 2], [1, 2]), ("b", "FP32", [1, 2], [[3, 4]])
config = ModelConfig(max_batch_size=16, batcher=DynamicBatcher(max_queue_delay_microseconds=10))
with Triton() as triton:
    triton.bind("m", add_sub, INPUTS, OUTPUTS, config=config)
    triton.bind("plain", add_sub, INPUTS, OUTPUTS, config=ModelConfig(batching=False))
    triton.bind("fails", fails, INPUTS[:1], OUTPUTS[:1])
    text = [Tensor(name="t", dtype=bytes, shape=(1,))]
    triton.bind("texts", texts, text, text)
    for path in (
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/m/ready",
        "/v2/models/nope/ready",
        "/v2/models/m/",
    ):
        say(path, ask(path)[0])
    status, metadata = ask("/v2/models/m")
    say("metadata", status, metadata["name"], metadata["versions"], metadata["inputs"], metadata["outputs"])
    status, served = ask("/v2/models/m/config")
    keys = "name max_batch_size dynamic_batching input output instance_group model_warmup"
    say("config", {key: served[key] for key in keys.split() if key in served})
    say(
        "config of a plain model",
        {key: ask("/v2/models/plain/config")[1].get(key) for key in keys.split()[1:3]},
    )
    say("infer", ask("/v2/models/m/infer", document(A, B, id="mine")))
    say(
        "version",
        ask("/v2/models/m/versions/1/infer", document(A, B))[0],
        ask("/v2/models/m/versions/2/infer", document(A, B))[0],
    )
    say("one output", ask("/v2/models/m/infer", document(A, B, outputs=[{"name": "sub"}]))[1]["outputs"])
    chosen = document(A, B, outputs=[{"name": "sub"}, {"name": "add"}])
    say("both outputs", [output["name"] for output in ask("/v2/models/m/infer", chosen)[1]["outputs"]])
    say("generate", ask("/v2/models/m/generate", {"a": [1, 2], "b": [3, 4]}))
    say("texts", ask("/v2/models/texts/infer", document(("t", "BYTES", [2, 1], ["a", "ä"]))))
    say("generate text", ask("/v2/models/texts/generate", {"t": "hello"}))
    bad = {
        "unknown model": ("nope", document(A, B)),
        "dtype": ("m", document(("a", "INT32", [1, 2], [1, 2]), B)),
        "rank": ("m", document(("a", "FP32", [2], [1, 2]), B)),
        "shape": ("m", document(("a", "FP32", [1, 3], [1, 2]), B)),
        "missing": ("m", document(A)),
        "unknown input": ("m", document(A, B, ("c", "FP32", [1, 1], [1]))),
        "unknown output": ("m", document(A, B, outputs=[{"name": "x"}])),
        "rows": ("m", document(("a", "FP32", [17, 1], [1] * 17), ("b", "FP32", [17, 1], [1] * 17))),
        "function": ("fails", document(A)),
        "no inputs": ("m", {}),
    }
    for label, (model, body) in bad.items():
        status, answer = ask(f"/v2/models/{model}/infer", body)
        say(label, status, sorted(answer) if isinstance(answer, dict) else answer)
    say("function's text", "of the function" in ask("/v2/models/fails/infer", document(A))[1]["error"])
    say("generate fails", ask("/v2/models/fails/generate", {"a": 1})[0])
    say("malformed", ask("/v2/models/m/infer", data=b"{nonsense")[0])
    say("method", ask("/v2/models/m/infer")[0], ask("/v2", {}, method="POST")[0])
    token = [("triton-access-token", triton.get_access_token())]
    say("index", ask("/v2/repository/index", {}, headers=token)[0])
    stats = ask("/v2/models/m/stats", headers=token)[1]["model_stats"][0]
    say("stats", stats["inference_count"], stats["inference_stats"]["fail"]["count"] > 0)
    metrics = urllib.request.urlopen(METRICS, timeout=20).read().decode()
    say("success", re.findall(r'nv_inference_request_success\{model="m",version="1"\} (\S+)', metrics))
    say("count", re.findall(r'nv_inference_count\{model="m",version="1"\} (\S+)', metrics))
    peer = grpc.InferenceServerClient(GRPC.removeprefix("grpc://"))
    for label, call in {
        "grpc unknown": lambda: peer.get_model_metadata("nope"),
        "grpc fails": lambda: peer.infer("fails", [tensor("a")]),
        "grpc missing": lambda: peer.infer("m", [tensor("a")]),
    }.items():

        def tensor(name):
            made = grpc.InferInput(name, [1, 1], "FP32")
            made.set_data_from_numpy(np.ones((1, 1), np.float32))
            return made

        try:
            call()
        except InferenceServerException as error:
            say(label, error.status())
    answer = peer.infer("m", [tensor("a"), tensor("b")])
    say("grpc order", [output.name for output in answer.get_response().outputs])
