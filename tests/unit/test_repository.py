# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pytriton.exceptions import PyTritonValidationError
from pytriton.limits import Limits
from pytriton.model_config import DeviceKind, ModelConfig, Tensor
from pytriton.model_config.triton_model_config import TritonModelConfig
from pytriton.server.repository import ModelRepository

SOCKET = Path("/run/s/1")


@pytest.fixture
def repository(tmp_path: Path) -> ModelRepository:
    limits = Limits(shared_memory_bytes=8 << 30, stream_memory_bytes=4 << 30)
    return ModelRepository(tmp_path, limits=limits)


def model(
    name: str = "m", version: int = 1, *, batching: bool = True, input_name: str = "a b"
) -> TritonModelConfig:
    return TritonModelConfig.create(
        name,
        [Tensor(name=input_name, dtype=np.float32, shape=(-1, 2)), Tensor(dtype=bytes, shape=(1,))],
        [Tensor(dtype=np.bool_, shape=(-1,))],
        ModelConfig(batching=batching),
        model_version=version,
    )


def test_binding(repository: ModelRepository, tmp_path: Path) -> None:
    repository.add(model(), SOCKET, workers=2)
    assert (tmp_path / "m" / "1" / "binding").read_text(encoding="utf-8").splitlines() == [
        "pytriton-binding 1",
        "kind model",
        "socket /run/s/1",
        "workers 2",
        "attach-timeout-ms 30000",
        "resumed 0",
        "memory-limit 6442450944",
        "model-memory-limit 8589934592",
        "total-memory-limit 8589934592",
        "stream-memory-limit 1073741824",
        "total-stream-memory-limit 4294967296",
        "queue-policy 0",
        "batching 1",
        "decoupled 0",
        "input FP32 2 a b",
        "input BYTES 1 INPUT_2",
        "output BOOL 1 OUTPUT_1",
    ]
    config = (tmp_path / "m" / "config.pbtxt").read_text()
    assert 'name: "m"' in config
    assert 'backend: "pytriton"' in config


def test_without_batching(repository: ModelRepository, tmp_path: Path) -> None:
    repository.add(model(batching=False), SOCKET, workers=1)
    assert "batching 0\n" in (tmp_path / "m" / "1" / "binding").read_text(encoding="utf-8")


def test_names_in_unicode(repository: ModelRepository, tmp_path: Path) -> None:
    repository.add(model(input_name="größe"), SOCKET, workers=1)
    assert "input FP32 2 größe\n" in (tmp_path / "m" / "1" / "binding").read_text(encoding="utf-8")


def test_versions_share_a_directory(repository: ModelRepository, tmp_path: Path) -> None:
    repository.add(model(version=1), SOCKET, workers=1)
    repository.add(model(version=3), SOCKET, workers=1)
    config = (tmp_path / "m" / "config.pbtxt").read_text()
    assert "version_policy" in config
    repository.remove(model(version=1))
    assert (tmp_path / "m" / "3" / "binding").exists()
    repository.remove(model(version=3))
    assert not (tmp_path / "m").exists()
    repository.remove(model(version=3))


def test_placeholder_replaces_a_model(repository: ModelRepository, tmp_path: Path) -> None:
    repository.add(model(version=2), SOCKET, workers=1)
    repository.add_placeholder("m", [2])
    binding = (tmp_path / "m" / "2" / "binding").read_text(encoding="utf-8")
    assert binding == "pytriton-binding 1\nkind placeholder\n"
    assert "a b" not in (tmp_path / "m" / "config.pbtxt").read_text(encoding="utf-8")


def times(directory: Path) -> dict[str, int]:
    return {str(path.relative_to(directory)): path.stat().st_mtime_ns for path in directory.rglob("*")}


def test_every_change_is_newer_than_the_last(repository: ModelRepository, tmp_path: Path) -> None:
    repository.add(model(version=1), SOCKET, workers=1)
    first = times(tmp_path)
    repository.add(model(version=2), SOCKET, workers=1)
    second = times(tmp_path)
    # The version that stays keeps its time, or the server would load it anew.
    assert {path for path in first if first[path] == second[path]} == {"m/1", "m/1/binding"}
    assert min(second["m/2"], second["m/config.pbtxt"], second["m"]) > max(first.values())
    repository.remove(model(version=2))
    third = times(tmp_path)
    assert third.keys() == first.keys()
    assert third["m"] > max(second.values())
    assert third["m/1/binding"] == first["m/1/binding"]
    repository.touch("m")
    assert times(tmp_path)["m"] > max(third.values())


def test_instances_are_as_many_as_any_version_needs(repository: ModelRepository, tmp_path: Path) -> None:
    few, many = model(version=1), model(version=2)
    many.instance_group = {DeviceKind.KIND_CPU: 3}
    for added in (many, few):
        repository.add(added, SOCKET, workers=1)
        assert "count: 3" in (tmp_path / "m" / "config.pbtxt").read_text(encoding="ascii")
    repository.remove(many)
    assert "count: 1" in (tmp_path / "m" / "config.pbtxt").read_text(encoding="ascii")


def test_restored_model_is_as_it_was(repository: ModelRepository, tmp_path: Path) -> None:
    repository.add(model(version=1), SOCKET, workers=1)
    before = times(tmp_path)
    text = (tmp_path / "m" / "config.pbtxt").read_text(encoding="ascii")
    saved, nothing = repository.save("m"), repository.save("other")
    repository.add(model(version=1), Path("/run/s/2"), workers=1)
    repository.add(model(version=2), SOCKET, workers=1)
    repository.add(model("other"), SOCKET, workers=1)
    repository.restore(saved)
    repository.restore(nothing)
    assert times(tmp_path) == before
    assert (tmp_path / "m" / "config.pbtxt").read_text(encoding="ascii") == text
    assert "socket /run/s/1\n" in (tmp_path / "m" / "1" / "binding").read_text(encoding="utf-8")
    repository.add(model(version=3), SOCKET, workers=1)
    config = (tmp_path / "m" / "config.pbtxt").read_text(encoding="ascii")
    assert re.findall(r"versions: (\d+)", config) == ["1", "3"]


def test_refused_versions(repository: ModelRepository, tmp_path: Path) -> None:
    for version in (1, 2):
        repository.add(model(version=version), SOCKET, workers=1)
    repository.add_refused("m", [2])
    assert "kind model" in (tmp_path / "m" / "1" / "binding").read_text(encoding="utf-8")
    assert "kind placeholder" in (tmp_path / "m" / "2" / "binding").read_text(encoding="utf-8")
    assert times(tmp_path)["m/refused"] > times(tmp_path)["m/config.pbtxt"]
    assert repository.files("m").keys() == {"1/binding", "2/binding", "refused"}


def test_bootstrap(repository: ModelRepository, tmp_path: Path) -> None:
    repository.add_bootstrap()
    directory = tmp_path / "pytriton_bootstrap"
    assert (directory / "1" / "binding").read_text(encoding="utf-8") == "pytriton-binding 1\nkind bootstrap\n"
    config = (directory / "config.pbtxt").read_text()
    assert "max_batch_size: 0" in config
    assert "KIND_CPU" in config
    repository.remove_bootstrap()
    assert not directory.exists()


@pytest.mark.parametrize("name", ["..", ".", "", "../m", "a/b", "/etc", "a\0b"])
def test_names_that_lead_elsewhere(repository: ModelRepository, name: str) -> None:
    bad = TritonModelConfig(name, inputs=[], outputs=[])
    with pytest.raises(PyTritonValidationError, match="no name for a directory"):
        repository.add(bad, SOCKET, workers=1)
    with pytest.raises(PyTritonValidationError, match="no name for a directory"):
        repository.remove(bad)


def test_lines_that_would_be_read_as_others(repository: ModelRepository, tmp_path: Path) -> None:
    with pytest.raises(PyTritonValidationError, match="line break"):
        repository.add(model(), Path("/a\nworkers 7"), workers=1)
    with pytest.raises(PyTritonValidationError, match="ends with a space"):
        repository.add(model(input_name=" a"), SOCKET, workers=1)
    assert not (tmp_path / "m").exists()


def test_a_full_disk_is_told_with_the_file(repository: ModelRepository, tmp_path: Path) -> None:
    binding = tmp_path / "m" / "1" / "binding"
    binding.parent.mkdir(parents=True)
    binding.symlink_to("/dev/full")
    words = f"No space left on device; workspaces lie in PYTRITON_HOME.*: '{binding}'"
    with pytest.raises(OSError, match=words):
        repository.add(model(), SOCKET, workers=1)
