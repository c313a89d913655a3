# SPDX-License-Identifier: Apache-2.0
"""Which endpoints need the token, and who can read it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import tritonclient.utils

from pytriton import _native
from pytriton.exceptions import PyTritonServerError
from pytriton.server.preload import preloading
from pytriton.triton import TRITON_ACCESS_HEADER, Triton, TritonSecurityConfig
from tests.helpers.processes import servers_of
from tests.helpers.server import Server, local_config, running
from tests.helpers.vectors import answer, times
from tests.helpers.vectors import vector_model as model

GRPC_HEADER = f"triton-grpc-protocol-{TRITON_ACCESS_HEADER}"
RESTRICTED = ["/v2/models/m/stats", "/v2/trace/setting", "/v2/logging", "/v2/systemsharedmemory/status"]
OPEN = ["/v2/health/ready", "/v2/models/m/ready", "/v2", "/v2/models/m", "/v2/models/m/config"]


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with running(model("m", times(2)), security_config=None) as made:
        yield made


def token_of(server: Server) -> str:
    token = server.triton.get_access_token()
    assert token
    return token


@pytest.mark.parametrize("path", RESTRICTED)
def test_administrative_endpoints_need_the_token(server: Server, path: str) -> None:
    assert server.get(path).status == 403
    assert server.request("GET", path, headers={TRITON_ACCESS_HEADER: "wrong"}).status == 403
    assert server.request("GET", path, headers={TRITON_ACCESS_HEADER: token_of(server)}).status == 200


def test_model_repository_needs_the_token(server: Server) -> None:
    assert server.post("/v2/repository/index", {}).status == 403
    assert server.post("/v2/repository/models/m/unload", {}).status == 403
    assert server.post("/v2/repository/index", {}, {TRITON_ACCESS_HEADER: token_of(server)}).status == 200
    assert answer(server, "m", 1) == [2]


@pytest.mark.parametrize("path", OPEN)
def test_the_rest_is_open(server: Server, path: str) -> None:
    assert server.get(path).status == 200


def test_grpc_needs_the_token_too(server: Server) -> None:
    with pytest.raises(tritonclient.utils.InferenceServerException, match="UNAVAILABLE"):
        server.grpc_client.get_inference_statistics("m")
    given = {GRPC_HEADER: token_of(server)}
    assert server.grpc_client.get_inference_statistics("m", headers=given).model_stats


def test_random_tokens_differ(server: Server) -> None:
    assert token_of(server) != TritonSecurityConfig().access_token


def test_token_is_not_in_the_process_list(server: Server) -> None:
    (pid,) = servers_of(os.getpid())
    token = token_of(server).encode()
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    assert b"triton-access-token=<hidden>" in command
    assert token not in command
    # Nor does the environment, which other processes of the same user may read, show it any more.
    assert token not in Path(f"/proc/{pid}/environ").read_bytes()


@pytest.mark.parametrize("restricted", [["health"], ["model-config"], ["health", "metadata", "model-config"]])
def test_start_needs_no_endpoint(serve: Callable[..., Server], restricted: list[str]) -> None:
    security = TritonSecurityConfig(access_token="mine", restricted_endpoints=restricted)
    server = serve(model("m", times(2)), security_config=security)
    model("later", times(3)).bind_to(server.triton)
    assert server.triton.is_alive()
    assert [answer(server, "m", 1), answer(server, "later", 1)] == [[2], [3]]
    path = "/v2/health/ready" if "health" in restricted else "/v2/models/m/config"
    assert server.get(path).status == 403
    assert server.request("GET", path, headers={TRITON_ACCESS_HEADER: "mine"}).status == 200


def test_restriction_of_the_users_own(serve: Callable[..., Server]) -> None:
    config = {
        "http_restricted_api": "metadata:x-key=my secret",
        "grpc_restricted_protocol": "metadata:k=s3cr3t",
    }
    security = TritonSecurityConfig(restricted_endpoints=[])
    others = set(servers_of(os.getpid()))
    server = serve(model("m", times(2)), config=config, security_config=security)
    assert server.get("/v2").status == 403
    assert server.request("GET", "/v2", headers={"x-key": "my secret"}).status == 200
    with pytest.raises(tritonclient.utils.InferenceServerException):
        server.grpc_client.get_server_metadata()
    given = {"triton-grpc-protocol-k": "s3cr3t"}
    assert server.grpc_client.get_server_metadata(headers=given).name == "triton"
    (pid,) = set(servers_of(os.getpid())) - others
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    assert b"secret" not in command
    assert b"s3cr3t" not in command


# --- the library that brings the token ----------------------------------------------------------------------


def said_by(program: str, *words: str, environment: Mapping[str, str] | None = None) -> str:
    """Output of a program that is started as the server is."""
    inherited = {**os.environ, **(environment or {})}
    with preloading([program, *words], inherited) as start:
        return subprocess.run(
            start.command,
            env={**inherited, **start.variables},
            pass_fds=start.descriptors,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=20,
        ).stdout


SECRETS = ["--http-restricted-api=a,b:k=one=1", "--id=<hidden>", "--grpc-restricted-protocol=c:k=two words"]


def test_program_sees_its_arguments_whole() -> None:
    assert said_by("/bin/echo", *SECRETS) == " ".join(SECRETS) + "\n"


def test_children_of_the_program_see_nothing_of_it() -> None:
    shell = ["-c", "exec env", *SECRETS]
    for before in (None, "libc.so.6"):
        environment = {"LD_PRELOAD": before} if before else {}
        lines = said_by("/bin/sh", *shell, environment=environment).splitlines()
        assert not [line for line in lines if line.startswith("PYTRITON_HIDDEN")]
        preloads = [line for line in lines if line.startswith("LD_PRELOAD=")]
        assert preloads == ([f"LD_PRELOAD={before}"] if before else [])
        assert not [line for line in lines if line.startswith("PYTRITON_LD_PRELOAD")]


def test_library_in_a_folder_with_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _native.BACKEND_DIRECTORY is not None
    copy = tmp_path / "my own: place"
    shutil.copytree(_native.BACKEND_DIRECTORY / "pytriton", copy / "pytriton")
    monkeypatch.setattr(_native, "BACKEND_DIRECTORY", copy)
    assert said_by("/bin/echo", *SECRETS) == " ".join(SECRETS) + "\n"


def test_server_into_which_nothing_can_be_preloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backends = _native.BACKEND_DIRECTORY
    broken = tmp_path / "backends"
    (broken / "pytriton").mkdir(parents=True)
    (broken / "pytriton" / "libpytriton_preload.so").write_bytes(b"not a library")
    monkeypatch.setattr("pytriton._native.BACKEND_DIRECTORY", broken)
    monkeypatch.setenv("PYTRITON_BACKEND_DIRECTORY", str(backends))
    config, _ = local_config(metrics_interval_ms=50)
    with pytest.raises(PyTritonServerError, match="was not preloaded into this server"):
        Triton(config=config).run()
