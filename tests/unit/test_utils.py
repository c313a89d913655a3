# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import importlib.metadata
import logging
from pathlib import Path

import numpy as np
import pytest

import pytriton
from pytriton import constants
from pytriton.exceptions import PyTritonValidationError
from pytriton.model_config import ModelConfig, Tensor
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.proxy.types import Request, Response
from pytriton.proxy.validators import TritonResultsValidator
from pytriton.triton import TritonConfig
from pytriton.utils.dataclasses import kwonly_dataclass
from pytriton.utils.distribution import get_libs_path, get_root_module_path, is_editable_install
from pytriton.utils.endpoint_utils import get_endpoint
from pytriton.utils.logging import silence_3rd_party_loggers
from pytriton.utils.workspace import CleanupWarning, Workspace


def test_home_is_read_anew_with_variables_and_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "/somewhere")
    monkeypatch.setenv("PYTRITON_HOME", "$PLACE/else")
    assert Path("/somewhere/else") == constants.PYTRITON_HOME
    monkeypatch.setenv("PYTRITON_HOME", "~/triton")
    assert Path.home() / "triton" == constants.PYTRITON_HOME


def test_constants_have_no_other_names() -> None:
    with pytest.raises(AttributeError, match="NOTHING"):
        _ = constants.NOTHING


def test_keyword_only_dataclass_refuses_positions() -> None:
    @kwonly_dataclass
    @dataclasses.dataclass
    class Options:
        a: int
        b: str = "x"

    assert Options(a=1) == Options(a=1, b="x")
    assert isinstance(Options(a=1), Options)
    with pytest.raises(TypeError, match="Options initialization can't be used with positional arguments"):
        Options(1)


@pytest.mark.parametrize(
    ("config", "endpoint", "url"),
    [
        (TritonConfig(), "http", "http://127.0.0.1:8000"),
        (TritonConfig(grpc_port=9001), "grpc", "grpc://127.0.0.1:9001"),
        (TritonConfig(http_address="10.0.0.7"), "metrics", "http://10.0.0.7:8002"),
        ({"http-address": "0.0.0.0", "http-port": 9000}, "http", "http://127.0.0.1:9000"),
        ({"metrics_address": "::1", "metrics_port": "9002"}, "metrics", "http://[::1]:9002"),
    ],
)
def test_endpoint(config: object, endpoint: str, url: str) -> None:
    assert get_endpoint(config, endpoint) == url  # type: ignore[arg-type]


def test_endpoint_refuses_unknown_names() -> None:
    with pytest.raises(PyTritonValidationError, match="one of http, grpc, metrics, got 'ftp'"):
        get_endpoint(TritonConfig(), "ftp")  # type: ignore[arg-type]


def test_distribution() -> None:
    assert get_root_module_path() == Path(pytriton.__file__).parent
    assert isinstance(is_editable_install(), bool)
    assert get_libs_path().name == "nvidia_pytriton.libs"
    assert list(get_libs_path().glob("libtritonserver*.so"))


def test_no_newer_numpy_or_python_is_refused() -> None:
    metadata = importlib.metadata.metadata("pytriton")
    (numpy,) = [line for line in metadata.get_all("Requires-Dist") or () if line.startswith("numpy")]
    assert numpy == "numpy>=1.26"
    assert metadata["Requires-Python"] == ">=3.10"


def test_silences_other_libraries() -> None:
    logger = logging.getLogger("urllib3")
    level = logger.level
    try:
        silence_3rd_party_loggers()
        assert not logger.isEnabledFor(logging.INFO)
    finally:
        logger.setLevel(level)


def test_workspace_under_its_old_path(tmp_path: Path) -> None:
    workspace = Workspace(workspace_path=tmp_path / "new")
    assert workspace.exists()
    (workspace.path / "file").touch()
    assert not workspace.is_empty()
    workspace.clean()
    assert not workspace.exists()
    assert workspace.is_empty()
    assert issubclass(CleanupWarning, UserWarning)


@pytest.fixture
def model() -> TritonModelConfig:
    return TritonModelConfig.create(
        "m", [Tensor((2,), np.float32, "a")], [Tensor((2,), np.float32, "b")], ModelConfig()
    )


def test_validator_accepts_what_a_worker_accepts(model: TritonModelConfig) -> None:
    array = np.zeros((3, 2), np.float32)
    validator = TritonResultsValidator(model, True)
    validator.validate_responses([Request({"a": array})], [{"b": array}])  # type: ignore[list-item]
    validator.validate_responses([{"a": array}], [Response({"b": array})])  # type: ignore[list-item]
    validator.validate_responses([{"a": array}], [{}])
    TritonResultsValidator(model, False).validate_responses([{"a": array}], [{"other": array}])


@pytest.mark.parametrize(
    ("responses", "message"),
    [
        ((), "expected a list of responses, got tuple"),
        ([], "got 0 responses to 1 requests"),
        ([1], "response 0 must be a dict, got int"),
        ([{"b": np.zeros((3, 2), np.float64)}], "dtype"),
        ([{"b": np.zeros((3, 4), np.float32)}], "shape"),
        ([{"b": np.zeros((1, 2), np.float32)}], "batch size 3"),
        ([{"b": [0.0]}], "list"),
        ([{"c": np.zeros((3, 2), np.float32)}], '"c" is not declared; declared are: b'),
    ],
)
def test_validator_refuses(model: TritonModelConfig, responses: object, message: str) -> None:
    validator = TritonResultsValidator(model, True)
    with pytest.raises(ValueError, match=message):
        validator.validate_responses([{"a": np.zeros((3, 2), np.float32)}], responses)  # type: ignore[arg-type]
