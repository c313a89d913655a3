# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gc
import os
import stat
from pathlib import Path

import pytest

from pytriton.server.workspace import CleanupWarning, Workspace


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PYTRITON_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_temporary_workspace(home: Path) -> None:
    workspace = Workspace()
    assert workspace.temporary_directories == [workspace.path]
    assert workspace.path.parent == home
    assert workspace.path.name.startswith("workspace_")
    assert mode(workspace.path) == 0o700
    assert workspace.is_empty()
    assert workspace.model_store_path == workspace.path / "model-store"
    assert workspace.model_store_path.is_dir()
    assert not workspace.is_empty()
    workspace.clean()
    assert not workspace.exists()
    workspace.clean()


def test_given_path(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    workspace = Workspace(path)
    assert (workspace.path, mode(path), workspace.temporary_directories) == (path, 0o700, [])
    (path / ".hidden").touch()
    assert workspace.is_empty()
    with pytest.raises(FileExistsError):
        Workspace(path)
    workspace.clean()
    assert not path.exists()


def test_made_again() -> None:
    workspace = Workspace()
    path = workspace.path
    workspace.clean()
    workspace.ensure()
    workspace.ensure()
    assert workspace.path == path
    assert workspace.model_store_path.is_dir()
    workspace.clean()


def test_removed_with_its_object() -> None:
    workspace = Workspace()
    path = workspace.path
    del workspace
    gc.collect()
    assert not path.exists()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forked_child_leaves_it_alone() -> None:
    workspace = Workspace()
    child = os.fork()
    if child == 0:
        workspace.clean()
        os._exit(0)
    os.waitpid(child, 0)
    assert workspace.exists()
    workspace.clean()


def test_home_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PYTRITON_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    workspace = Workspace()
    assert workspace.path.parent == tmp_path
    workspace.clean()


def test_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_home(_path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("PYTRITON_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", no_home)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    workspace = Workspace()
    assert workspace.path.parent == tmp_path
    workspace.clean()


def test_socket_paths(tmp_path: Path) -> None:
    workspace = Workspace()
    first, second = workspace.new_socket_path(), workspace.new_socket_path()
    assert first != second
    assert first.parent == second.parent
    assert first.parent.is_dir()
    workspace.clean()


def test_socket_paths_are_short(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / ("x" * 100))
    path = workspace.new_socket_path()
    assert len(os.fsencode(path)) <= 100
    assert mode(path.parent) == 0o700
    assert workspace.temporary_directories == [path.parent]
    assert workspace.new_socket_path().parent == path.parent
    workspace.clean()
    assert not path.parent.exists()
    workspace.ensure()
    assert workspace.new_socket_path().parent.exists()
    workspace.clean()


def test_what_cannot_be_removed_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace()

    def refuse(_path: Path) -> None:
        raise PermissionError("no")

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", refuse)
        with pytest.warns(CleanupWarning, match="could not be removed: no"):
            workspace.clean()
    assert workspace.exists()
    workspace.clean()
    assert not workspace.exists()
