# SPDX-License-Identifier: Apache-2.0
"""The table of TritonConfig against the server's own --help."""

from __future__ import annotations

import re
import subprocess

import pytest

from pytriton.exceptions import PyTritonServerError
from pytriton.server.config import Option, options
from pytriton.server.locate import locate_server

FLAG = re.compile(r"^  (--[a-z0-9-]+)(?: <(.*)>)?$", re.MULTILINE)
ARGUMENTS = {bool: {"boolean"}, int: {"integer", "float"}, float: {"float"}}
# Given by the package itself when it starts a server.
OWN_FLAGS = {"--model-control-mode", "--load-model", "--backend-directory"}
# Said otherwise, or of no use with models that are loaded one by one.
NOT_OFFERED = {
    "--help": "prints the usage",
    "--model-store": "another name of --model-repository",
    "--repository-poll-secs": "repositories are not polled",
    "--model-namespacing": "models are addressed by name alone",
    "--disable-auto-complete-config": "our configurations are complete; other models may need it",
    "--strict-model-config": "deprecated",
    "--response-cache-byte-size": "deprecated: cache_config",
    "--trace-file": "deprecated: trace_config",
    "--trace-level": "deprecated: trace_config",
    "--trace-rate": "deprecated: trace_config",
    "--trace-count": "deprecated: trace_config",
    "--trace-log-frequency": "deprecated: trace_config",
}


@pytest.fixture(scope="module")
def flags() -> dict[str, str]:
    try:
        server = locate_server()
    except PyTritonServerError as error:
        pytest.skip(error.message)
    # The usage is an error to the server: it ends with exit code 1.
    usage = subprocess.run([server.path, "--help"], capture_output=True, text=True, timeout=30, check=False)
    return dict(FLAG.findall(usage.stderr + usage.stdout))


def test_usage_is_understood(flags: dict[str, str]) -> None:
    assert len(flags) > 80
    assert flags["--http-port"] == "integer"
    assert flags.keys() >= OWN_FLAGS


@pytest.mark.parametrize("option", options(), ids=lambda option: option.name)
def test_field_is_a_flag_of_the_server(flags: dict[str, str], option: Option) -> None:
    assert option.flag in flags
    argument = flags[option.flag]
    if option.kind in ARGUMENTS:
        assert argument in ARGUMENTS[option.kind]
    else:
        assert argument not in {"boolean", "integer", "float"}


def test_every_flag_of_the_server_is_accounted_for(flags: dict[str, str]) -> None:
    offered = {option.flag for option in options()}
    assert flags.keys() - offered - OWN_FLAGS == NOT_OFFERED.keys()
    assert not offered & (OWN_FLAGS | NOT_OFFERED.keys())
