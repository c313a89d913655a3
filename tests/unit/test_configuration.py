# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from pytriton.configuration.file import ConfigFile, find_config_file, read_config_file
from pytriton.configuration.layers import Layers, Setting, effective, in_force
from pytriton.exceptions import PyTritonValidationError
from pytriton.triton import Triton, TritonConfig


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRITON_CONFIG_HTTP_PORT", "TRITON_CONFIG_GRPC_PORT", "SERVE_APP", "SERVE_LOG_LEVEL"):
        monkeypatch.delenv(f"PYTRITON_{name}", raising=False)


def setting(layers: Layers, name: str, code: TritonConfig | None = None) -> Setting:
    return next(found for found in layers.settings(code) if found.option.name == name)


def test_every_layer_wins_over_those_below(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / "pytriton.yaml", {"http_port": 2})
    defaults = {"http_port": 1}
    assert setting(Layers(), "http_port")[1:3] == (None, "default")
    assert setting(Layers(defaults=defaults), "http_port")[1:3] == (1, "command")
    layers = Layers({}, file, defaults)
    assert setting(layers, "http_port")[1:] == (2, "file", str(file.path))
    monkeypatch.setenv("PYTRITON_TRITON_CONFIG_HTTP_PORT", "3")
    assert setting(layers, "http_port")[1:] == (3, "environment", "PYTRITON_TRITON_CONFIG_HTTP_PORT")
    code = TritonConfig(http_port=4)
    assert setting(layers, "http_port", code)[1:3] == (4, "code")
    layers = Layers({"http_port": 5}, file, defaults)
    assert setting(layers, "http_port", code)[1:] == (5, "argument", "--http-port")
    assert setting(Layers({"app": "a:b"}), "app", code)[1:] == ("a:b", "argument", "MODULE:ATTRIBUTE")
    assert layers.config(code).http_port == 5


def test_a_triton_made_while_layers_are_in_force_takes_its_options_from_them() -> None:
    with in_force(Layers({"http_port": 5}, None, {"http_port": 1, "http_address": "127.0.0.1"})):
        assert effective(TritonConfig(http_port=4, grpc_port=6)).to_dict().items() >= {
            ("http_port", 5),
            ("grpc_port", 6),
            ("http_address", "127.0.0.1"),
        }
        assert Triton(config=TritonConfig(http_port=4)).given_config.http_port == 4
    assert effective(TritonConfig(http_port=4)).http_port == 4


def test_values_of_lists_name_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTRITON_TRITON_CONFIG_CACHE_CONFIG_0", "local,size=1")
    found = setting(Layers(), "cache_config")
    assert found[1:] == (["local,size=1"], "environment", "PYTRITON_TRITON_CONFIG_CACHE_CONFIG_0")
    monkeypatch.setenv("PYTRITON_SERVE_LOG_LEVEL", "info")
    assert setting(Layers(), "log_level")[1:] == ("info", "environment", "PYTRITON_SERVE_LOG_LEVEL")


def test_the_nearest_project_with_a_table_applies(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.pytriton]\napp = "service:app"\nhttp-port = 9000\n')
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\n")
    found = find_config_file(below)
    assert found is not None
    assert found.path == tmp_path / "pyproject.toml"
    assert found.values == {"app": "service:app", "http_port": 9000}
    (below / "pytriton.yaml").write_text("cache_config: [a, b]\nallow_grpc: no\n")
    found = find_config_file(below)
    assert found is not None
    assert found.values == {"cache_config": ["a", "b"], "allow_grpc": False}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.yaml", "http_prot: 1", "there is no option 'http_prot'; did you mean http_port?"),
        ("c.yaml", "http_port: many", "c.yaml: http_port: expected an integer, got 'many'"),
        ("c.yaml", "http_port: 70000", "a port is 1 to 65535, got 70000"),
        ("c.yaml", "[1]", "must map names of options to values, got a list"),
        ("c.yaml", "a: [", "is not YAML"),
        ("c.toml", "a = ", "is not TOML"),
        ("c.ini", "", "expected a configuration file that ends in"),
        ("pyproject.toml", "[tool.other]", "has no table [tool.pytriton]"),
        ("pyproject.toml", "[tool]\npytriton = 1", "tool.pytriton must be a table, got 1"),
    ],
)
def test_says_what_is_wrong_with_a_file(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PyTritonValidationError) as raised:
        read_config_file(tmp_path / name)
    assert message in str(raised.value)
    assert str(tmp_path / name) in str(raised.value)


def test_a_toml_file_of_its_own_needs_no_table(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text("http_port = 9000\n")
    assert read_config_file(tmp_path / "server.toml").values == {"http_port": 9000}


def test_a_toml_file_of_its_own_may_have_the_table(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text("[tool.pytriton]\nhttp_port = 9000\n")
    assert read_config_file(tmp_path / "server.toml").values == {"http_port": 9000}
