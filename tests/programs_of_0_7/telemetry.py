# SPDX-License-Identifier: Apache-2.0
"""Traces: spans of the server, of the package and of the user's function, as a collector sees them."""

import base64
import http.server
import json
import threading
import time
import urllib.request

import numpy as np
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from seen import HTTP, say

from pytriton.client import ModelClient
from pytriton.decorators import batch
from pytriton.model_config import Tensor
from pytriton.proxy.telemetry import get_telemetry_tracer, traced_span
from pytriton.triton import Triton, TritonConfig

spans = {}


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        length = self.headers["Content-Length"]
        body = self.read_chunks() if length is None else self.rfile.read(int(length))
        if "json" in self.headers["Content-Type"]:  # from the server
            self.note(json.loads(body), str.lower)
        else:
            document = MessageToDict(ExportTraceServiceRequest.FromString(body))
            self.note(document, lambda text: base64.b64decode(text).hex())
        self.send_response(200)
        self.end_headers()

    def note(self, document, hexadecimal):
        for resource in document["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    keys = ("spanId", "parentSpanId", "traceId")
                    own, parent, trace = (hexadecimal(span.get(key, "")) for key in keys)
                    attributes = [item["key"] for item in span.get("attributes", [])]
                    spans[own] = (span["name"], parent, trace, attributes)

    def read_chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def log_message(self, *arguments):
        pass


collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
threading.Thread(target=collector.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{collector.server_port}/v1/traces"


def count(name):
    return sum(span[0] == name for span in list(spans.values()))


@batch
def double(INPUT_1):
    return [INPUT_1 * 2]


def traced(requests):
    (request,) = requests
    with (
        request.traced_span("of a method"),
        traced_span(request, "of a function", attributes={"key": "value"}),
    ):
        pass
    say("span", request.span is not None)
    return [{"OUTPUT_1": request["INPUT_1"]}]


FLOATS = [Tensor(dtype=np.float32, shape=(1,))]
trace = ["level=TIMESTAMPS", "rate=1", "mode=opentelemetry", f"opentelemetry,url={url}"]
with Triton(config=TritonConfig(trace_config=[*trace, "opentelemetry,resource=service.name=mine"])) as triton:
    say("tracer before", get_telemetry_tracer())
    triton.bind("batched", double, FLOATS, FLOATS)
    triton.bind("traced", traced, FLOATS, FLOATS)
    say("tracer", get_telemetry_tracer() is not None)
    for name in ("batched", "traced"):
        with ModelClient(HTTP, name) as client:
            client.infer_sample(np.ones(1, np.float32))
    body = b'{"inputs": [{"name": "INPUT_1", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}'
    parent = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    request = urllib.request.Request(f"{HTTP}/v2/models/batched/infer", body, parent)
    urllib.request.urlopen(request, timeout=20).close()
    deadline = time.monotonic() + 40
    while min(count("proxy_inference_callable"), count("InferRequest")) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)


def way(span):
    name, parent, _, _ = span
    return [*(way(spans[parent]) if parent in spans else []), name]


mine = ("proxy_inference_callable", "pytriton-batch-decorator-span", "of a method", "of a function")
seen = [span for span in spans.values() if span[0] in mine]
say("traces", len({trace for _, _, trace, _ in spans.values()}))
for line in sorted(" > ".join(way(span)) for span in seen):
    say("span of", line)
say(
    "of the caller", sorted(name for name, _, trace, _ in seen if trace == "0af7651916cd43dd8448eb211c80319c")
)
say("attributes", [attributes for name, _, _, attributes in seen if name == "of a function"])
