# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from pytriton.exceptions import PyTritonValidationError
from pytriton.server.config import ENVIRONMENT_PREFIX, TritonConfig, options

FIELDS_OF_0_7 = 50
FIELD_COUNT = 73


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for option in options():
        for suffix in ("", "_0", "_1", "_2"):
            monkeypatch.delenv(option.variable + suffix, raising=False)


def set_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(ENVIRONMENT_PREFIX + name, value)


def test_table_has_every_field() -> None:
    assert len(options()) == FIELD_COUNT
    assert [option.name for option in options()] == list(TritonConfig().to_dict())
    assert all(option.help for option in options())
    # In the order of 0.7, what it did not have behind.
    assert options()[FIELDS_OF_0_7 - 1].name == "buffer_manager_thread_count"


def test_flags_and_variables_follow_from_names() -> None:
    (option,) = (option for option in options() if option.name == "http_port")
    assert (option.flag, option.variable) == ("--http-port", "PYTRITON_TRITON_CONFIG_HTTP_PORT")


def test_repositories_of_the_user() -> None:
    config = TritonConfig(model_repository=Path("/a"), model_repositories=["/b", "/c d"])
    assert config.arguments() == [
        "--model-repository=/a",
        "--model-repository=/b",
        "--model-repository=/c d",
    ]


@pytest.mark.parametrize(("given", "expected"), [("7.5", 7.5), (8, 8.0), (6.1, 6.1)])
def test_float(given: Any, expected: float) -> None:
    assert TritonConfig(min_supported_compute_capability=given).min_supported_compute_capability == expected


@pytest.mark.parametrize("given", ["many", True, "nan", [1]])
def test_what_is_no_float(given: Any) -> None:
    with pytest.raises(PyTritonValidationError, match=r"min_supported_compute_capability: expected a number"):
        TritonConfig(min_supported_compute_capability=given)


def test_nothing_given_means_no_arguments() -> None:
    assert TritonConfig().arguments() == []


def test_positional_arguments_are_refused() -> None:
    positional: Any = ("id",)
    with pytest.raises(TypeError, match="can't be used with positional arguments"):
        TritonConfig(*positional)


def test_arguments() -> None:
    config = TritonConfig(
        id="a b",
        allow_http=True,
        allow_metrics=False,
        http_port=9000,
        log_file=Path("/a dir/log file"),
        http_header_forward_pattern="(x|y) z=1",
        cache_config=["local,size=1", "local,other=2"],
    )
    assert config.arguments() == [
        "--id=a b",
        "--log-file=/a dir/log file",
        "--allow-http=true",
        "--http-port=9000",
        "--http-header-forward-pattern=(x|y) z=1",
        "--allow-metrics=false",
        "--cache-config=local,size=1",
        "--cache-config=local,other=2",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", False),
        ("false", False),
        ("False", False),
        ("no", False),
        ("1", True),
        ("TRUE", True),
        ("on", True),
    ],
)
def test_booleans_are_read_from_text(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    assert TritonConfig.from_dict({"exit_on_error": text}).exit_on_error is value
    set_variable(monkeypatch, "EXIT_ON_ERROR", text)
    assert TritonConfig.from_env().exit_on_error is value


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variable(monkeypatch, "GRPC_PORT", "45436")
    set_variable(monkeypatch, "LOG_FILE", "/a dir/b")
    assert TritonConfig.from_env() == TritonConfig(grpc_port=45436, log_file=Path("/a dir/b"))


def test_lists_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variable(monkeypatch, "CACHE_CONFIG_2", "c,size=3")
    set_variable(monkeypatch, "CACHE_CONFIG_0", "a,size=1")
    set_variable(monkeypatch, "METRICS_CONFIG", "counter_latencies=true")
    config = TritonConfig.from_env()
    assert config.cache_config == ["a,size=1", "c,size=3"]
    assert config.metrics_config == ["counter_latencies=true"]


def test_index_on_what_is_no_list_is_unknown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_variable(monkeypatch, "HTTP_PORT_0", "1")
    assert TritonConfig.from_env() == TritonConfig()
    assert "PYTRITON_TRITON_CONFIG_HTTP_PORT_0" in caplog.text


def test_an_unknown_variable_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_variable(monkeypatch, "HTP_PORT", "1")
    for _ in range(2):
        assert TritonConfig.from_env() == TritonConfig()
    assert [record.getMessage() for record in caplog.records] == [
        "Ignoring PYTRITON_TRITON_CONFIG_HTP_PORT, which is no option of the server; "
        "did you mean PYTRITON_TRITON_CONFIG_HTTP_PORT?"
    ]


def test_unknown_names_are_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert TritonConfig.from_dict({"log_verbosity": 4, "http_port": 1}) == TritonConfig(http_port=1)
    assert "log_verbosity" in caplog.text
    assert "log_verbose" in caplog.text


def test_bad_value_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variable(monkeypatch, "HTTP_PORT", "eighty")
    with pytest.raises(
        PyTritonValidationError, match=r"PYTRITON_TRITON_CONFIG_HTTP_PORT: .*integer, got 'eighty'"
    ):
        TritonConfig.from_env()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("http_port", 0, "port is 1 to 65535"),
        ("http_port", 65536, "port is 1 to 65535"),
        ("http_port", True, "expected an integer"),
        ("http_port", 1.5, "expected an integer"),
        ("allow_http", "maybe", "expected true or false, got 'maybe'"),
        ("cache_config", 3, "expected a list of strings"),
        ("log_file", "", "expected a path"),
        ("http_address", ["a"], "expected a string"),
    ],
)
def test_bad_values(field: str, value: Any, message: str) -> None:
    with pytest.raises(PyTritonValidationError, match=rf"TritonConfig\.{field}: .*{message}"):
        TritonConfig(**{field: value})


def test_none_means_left_out() -> None:
    assert TritonConfig.from_dict(dict.fromkeys(TritonConfig().to_dict())) == TritonConfig()


def test_round_trip() -> None:
    config = TritonConfig(
        http_port=9000, allow_grpc=False, cache_config=["local,size=1"], log_file=Path("/x")
    )
    assert TritonConfig.from_dict(config.to_dict()) == config


def test_precedence() -> None:
    explicit = TritonConfig(http_port=1, exit_on_error=False, log_verbose=0)
    environment = TritonConfig(http_port=2, exit_on_error=True, log_verbose=3, grpc_port=4)
    merged = explicit.over(environment)
    assert merged == TritonConfig(http_port=1, exit_on_error=False, log_verbose=0, grpc_port=4)


def test_one_front_end_has_to_stay() -> None:
    with pytest.raises(PyTritonValidationError, match="allow one of the two"):
        TritonConfig(allow_http=False, allow_grpc=False)
    with pytest.raises(PyTritonValidationError, match="allow one of the two"):
        TritonConfig(allow_http=False).over(TritonConfig(allow_grpc=False))
    TritonConfig(allow_http=False)
    TritonConfig(allow_grpc=False)
