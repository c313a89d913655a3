# SPDX-License-Identifier: Apache-2.0
"""Options of TritonConfig that 0.7 did not offer, by what they do to a running server."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from pytriton.server.repository import ModelRepository
from pytriton.triton import Triton
from tests.helpers.server import Server, local_config
from tests.helpers.vectors import answer, times
from tests.helpers.vectors import vector_model as model

ISO_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ([IWE]) ", re.MULTILINE)


def test_log_format_and_levels(serve: Callable[..., Server], tmp_path: Path) -> None:
    switches = {"log_info", "log_warning", "log_error"}
    levels = {}
    for switch in sorted(switches):
        log = tmp_path / f"{switch}.log"
        off = dict.fromkeys(switches - {switch}, False)
        server = serve(model("m", times(2)), config={"log_file": log, "log_format": "ISO8601", **off})
        server.post("/v2/repository/models/unknown/load", {})
        levels[switch] = set(ISO_LINE.findall(log.read_text(encoding="utf-8")))
    # Without a GPU there are warnings at the start; with one there may be none.
    assert levels.pop("log_warning") <= {"W"}
    assert levels == {"log_info": {"I"}, "log_error": {"E"}}


def test_two_servers_share_their_ports() -> None:
    config, address = local_config(reuse_http_port=True, reuse_grpc_port=True, allow_metrics=False)
    with Triton(config=config) as first, Triton(config=config) as second:
        for triton in (first, second):
            model("m", times(2)).bind_to(triton)
        assert [answer(address, "m", value) for value in range(4)] == [[0], [2], [4], [6]]
        first.stop()
        assert answer(address, "m", 5) == [10]
        assert second.is_alive()


def test_repositories_of_the_user(tmp_path: Path) -> None:
    names = ("first", "second", "third")
    for name in names:
        (tmp_path / name).mkdir()
        ModelRepository(tmp_path / name).add_placeholder(f"{name}_model", [1])
    more = [str(tmp_path / name) for name in names[1:]]
    config, address = local_config(model_repository=tmp_path / "first", model_repositories=more)
    with Triton(config=config) as triton:
        model("m", times(2)).bind_to(triton)
        for name in names:
            assert address.get(f"/v2/models/{name}_model/ready").status == 200
        assert answer(address, "m", 1) == [2]


def test_options_that_only_a_gpu_or_a_large_machine_shows(serve: Callable[..., Server]) -> None:
    server = serve(
        model("m", times(2)),
        config={
            "rate_limit": "execution_count",
            "rate_limit_resource": ["licence:1", "memory:2:0"],
            "host_policy": ["here,cpu-cores=0-0"],
            "pinned_memory_pool_byte_size": 1 << 20,
            "cuda_memory_pool_byte_size": ["0:1048576"],
            "cuda_virtual_address_size": ["0:1048576"],
            "enable_peer_access": False,
            "min_supported_compute_capability": 7.5,
            "model_load_thread_count": 2,
            "model_load_retry_count": 1,
            "model_load_gpu_limit": ["0:0.9"],
            "grpc_max_connection_age": 60_000,
            "grpc_max_connection_age_grace": 1000,
            "backend_config": ["default-max-batch-size=8", "pytriton,anything=1"],
        },
    )
    assert answer(server, "m", 1) == [2]
