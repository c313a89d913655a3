# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import subprocess
import sys

import pytest

CLIENTS = [
    "AsyncioDecoupledModelClient",
    "AsyncioModelClient",
    "DecoupledModelClient",
    "FuturesModelClient",
    "ModelClient",
]
OPTIONS = ["InferOptions", "Retry", "Tls"]
PROBE = """
import sys
before = set(sys.modules)
import json
from pytriton.client import {names}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
SERVER_SIDE = tuple(f"pytriton.{name}" for name in ("triton", "server", "worker", "batching", "serving"))
AT_FIRST_USE = tuple(f"pytriton.client.{name}" for name in ("_http", "_grpc", "_shared_memory", "utils"))
HEAVY = ("grpc", "httptools", "google.protobuf", "tritonclient", "aiohttp", "multiprocessing")


@pytest.mark.smoke
@pytest.mark.parametrize("name", [*CLIENTS, *OPTIONS])
def test_importing_a_client_loads_neither_the_server_side_nor_what_others_need(name: str) -> None:
    code = PROBE.format(names=name)
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert not [module for module in loaded if module.startswith((*SERVER_SIDE, *AT_FIRST_USE))]
    assert not [module for module in loaded if module.split(".")[0] in HEAVY or module in HEAVY]
    if "Asyncio" not in name:
        assert not {"asyncio", "ssl"} & set(loaded)
    assert len([module for module in loaded if module.startswith("pytriton")]) <= 50


def test_all_clients_and_their_options_are_there() -> None:
    import pytriton.client

    names = sorted([*CLIENTS, *OPTIONS])
    assert sorted(pytriton.client.__all__) == names
    assert set(names) <= set(dir(pytriton.client))
    assert all(getattr(pytriton.client, name).__name__ == name for name in names)
    assert not hasattr(pytriton.client, "NoSuchClient")
