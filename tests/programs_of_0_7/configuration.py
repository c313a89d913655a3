# SPDX-License-Identifier: Apache-2.0
"""TritonConfig: from code, from a dict, from the environment, and which wins."""

import dataclasses
import os
import pathlib

from seen import HTTP, attempt, say

from pytriton.triton import Triton, TritonConfig

attempt(
    "positional",
    lambda: TritonConfig("a"),
    words=["TritonConfig initialization can't be used with positional"],
)
attempt("unknown", lambda: TritonConfig(nonsense=1))
say(
    "fields",
    len(dataclasses.fields(TritonConfig)),
    [field.name for field in dataclasses.fields(TritonConfig)][:12],
)
config = TritonConfig(http_port=1, log_verbose=0, allow_grpc=False, cache_config=["local,size=1048576"])
given = {name: value for name, value in config.to_dict().items() if value is not None}
say("to_dict", given, len(config.to_dict()))
say("round trip", TritonConfig.from_dict(given) == config)
say(
    "from_dict casts",
    TritonConfig.from_dict({"http_port": "9", "id": 5, "log_file": "/tmp/x", "nonsense": 1}).http_port,
)
say("paths", isinstance(TritonConfig.from_dict({"log_file": "/tmp/x"}).log_file, pathlib.Path))
attempt("bad number", TritonConfig.from_dict, {"http_port": "x"})
for name, value in {
    "ID": "mine",
    "LOG_VERBOSE": "1",
    "ALLOW_METRICS": "1",
    "CACHE_CONFIG_0": "local,size=2097152",
    "METRICS_CONFIG_0": "counter_latencies=true",
    "METRICS_CONFIG_1": "summary_latencies=true",
    "LOG_VERBOSITY": "4",
}.items():
    os.environ[f"PYTRITON_TRITON_CONFIG_{name}"] = value
read = TritonConfig.from_env()
say("from_env", read.id, read.log_verbose, read.allow_metrics, read.cache_config, read.metrics_config)
attempt("neither", lambda: TritonConfig(allow_http=False, allow_grpc=False))
attempt("http alone off", lambda: TritonConfig(allow_http=False).allow_http)
os.environ["PYTRITON_TRITON_CONFIG_HTTP_ADDRESS"] = "127.0.0.1"
with Triton(config=TritonConfig(id="of-the-code")) as triton:
    import json
    import urllib.request

    document = json.load(urllib.request.urlopen(HTTP + "/v2", timeout=20))
    say("served", document["name"], document["version"].split(".")[0], document["extensions"])
    log_level = urllib.request.Request(
        HTTP + "/v2/logging", headers={"triton-access-token": triton.get_access_token()}
    )
    say("logging", json.load(urllib.request.urlopen(log_level, timeout=20))["log_verbose_level"])
