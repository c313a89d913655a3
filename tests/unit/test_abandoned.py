# SPDX-License-Identifier: Apache-2.0
"""Workspaces that killed programs have left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytriton.server.owner import MARK
from pytriton.server.workspace import Workspace

_PROGRAM = """
import os, sys
from pathlib import Path
from pytriton.server.workspace import Workspace
workspace = Workspace()
(workspace.model_store_path / "model").touch()
print(workspace.path, workspace.new_socket_path().parent, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PYTRITON_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@contextlib.contextmanager
def program() -> Iterator[list[Path]]:
    """The workspace of another process and its directory for sockets; the process is killed at the end."""
    command = [sys.executable, "-c", _PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield [Path(word) for word in process.stdout.readline().decode().split()]
        finally:
            process.kill()


def left(home: Path) -> list[Path]:
    """What is in the home after another program has come and gone."""
    Workspace().clean()
    return sorted(home.iterdir())


def test_only_that_of_a_killed_program_is_removed(home: Path) -> None:
    mine = Workspace()
    with program() as (theirs, _):
        assert left(home) == sorted([mine.path, theirs])
    assert theirs.exists()
    assert left(home) == [mine.path]
    mine.clean()


def test_one_that_was_made_again_is_in_use(home: Path) -> None:
    mine = Workspace()
    mine.clean()
    mine.ensure()
    assert left(home) == [mine.path]
    mine.clean()


def test_one_that_could_not_be_removed_is_in_use(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> None:
        raise PermissionError("no")

    mine = Workspace()
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", refuse)
        with pytest.warns(UserWarning, match="could not be removed"):
            mine.clean()
    mine.ensure()
    assert left(home) == [mine.path]
    mine.clean()
    assert left(home) == []


def test_its_sockets_elsewhere_go_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = home / ("d" * 100)
    monkeypatch.setenv("PYTRITON_HOME", str(deep))
    with program() as (_, sockets):
        assert sockets.parent == Path("/tmp")
    assert sockets.exists()
    assert left(deep) == []
    assert not sockets.exists()


def test_no_other_directory_goes_with_it(home: Path, tmp_path: Path) -> None:
    precious = tmp_path / "pytriton-precious"
    precious.mkdir()
    with program() as (theirs, _), (theirs / ".lock").open("a") as lock:
        lock.write(f"\n{precious}")
    assert left(home) == []
    assert precious.exists()


@pytest.mark.parametrize("text", ["", "another boot"])
def test_one_of_which_nothing_is_known_stays(home: Path, text: str) -> None:
    with program() as (theirs, _):
        (theirs / ".lock").write_text(text)
    assert left(home) == [theirs]


def test_mark_of_the_owner_stays_for_some_days(home: Path) -> None:
    """By it a program that is started again knows its models in somebody else's server."""
    with program() as (theirs, _):
        (theirs / MARK).touch()
    long_ago = time.time() - 30 * 86400
    os.utime(theirs, (long_ago, long_ago))
    for _ in range(2):
        assert left(home) == [theirs]
        assert sorted(path.name for path in theirs.iterdir()) == [".lock", MARK]
    os.utime(theirs, (long_ago, long_ago))
    assert left(home) == []
