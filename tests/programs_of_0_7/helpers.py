# SPDX-License-Identifier: Apache-2.0
"""The modules of helpers: client.utils, client.asyncio_utils, check.utils, utils, proxy."""

import asyncio

import numpy as np
import tritonclient.grpc
import tritonclient.http.aio
from seen import ENDPOINTS, HTTP, attempt, say

from pytriton.check.utils import ScriptThread, find_free_port
from pytriton.client.asyncio_utils import asyncio_get_model_config, asyncio_wait_for_model_ready
from pytriton.client.utils import (
    LATEST_MODEL_VERSION,
    ModelState,
    TritonUrl,
    create_client_from_url,
    get_model_config,
    get_model_state,
    wait_for_model_ready,
    wait_for_server_ready,
)
from pytriton.constants import DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT, TRITON_LOCAL_IP
from pytriton.decorators import batch
from pytriton.model_config import Tensor
from pytriton.proxy.telemetry import get_telemetry_tracer, traced_span
from pytriton.proxy.types import Request, Response
from pytriton.triton import Triton, TritonSecurityConfig
from pytriton.utils.dataclasses import kwonly_dataclass
from pytriton.utils.logging import silence_3rd_party_loggers

FLOATS = [Tensor(dtype=np.float32, shape=(1,))]


@batch
def double(INPUT_1):
    return [INPUT_1 * 2]


@kwonly_dataclass
class Point:
    x: int = 1


say("constants", DEFAULT_HTTP_PORT, DEFAULT_GRPC_PORT, TRITON_LOCAL_IP, LATEST_MODEL_VERSION)
say("states", [state.name for state in ModelState])
for url in ("localhost", "HTTP://Example:1", "grpc://a", "1.2.3.4:5", "grpc://user@a:7/path"):
    parsed = TritonUrl.from_url(url)
    say(url, parsed.scheme, parsed.hostname, parsed.port, parsed.with_scheme, parsed.without_scheme)
attempt("kwonly", Point, 1)
silence_3rd_party_loggers()
say("free", 0 < find_free_port() < 65536)
with ScriptThread(["echo", "words"], name="script") as thread:
    thread.join()
say("script", thread.returncode)
request = Request({"a": np.ones(1)}, {"p": 1})
request["b"] = np.zeros(1)
say(
    "request",
    list(request),
    len(request),
    request.parameters,
    "a" in request,
    Response({"a": np.ones(1)}).data,
)
del request["a"]
with traced_span(request, "name"), request.traced_span("other"):
    say("spans", request.span, get_telemetry_tracer(), list(request.keys()))

with Triton(security_config=TritonSecurityConfig(restricted_endpoints=[])) as triton:
    triton.bind("m", double, FLOATS, FLOATS)
    for protocol, url in ENDPOINTS.items():
        with create_client_from_url(url, network_timeout_s=10) as client:
            wait_for_server_ready(client, timeout_s=10)
            wait_for_model_ready(client, "m", timeout_s=10)
            config = get_model_config(client, "m", timeout_s=10)
            say(protocol, type(client).__module__, config.model_name, config.max_batch_size, config.inputs)
            attempt("model state", get_model_state, client, "m")
            attempt("never", wait_for_model_ready, client, "nope", timeout_s=2)

    async def main():
        async with tritonclient.http.aio.InferenceServerClient(HTTP.removeprefix("http://")) as client:
            await asyncio_wait_for_model_ready(client, "m", timeout_s=10)
            config = await asyncio_get_model_config(client, "m", timeout_s=10)
            say("asyncio", config.model_name)

    asyncio.run(main())
