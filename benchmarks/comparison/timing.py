# SPDX-License-Identifier: Apache-2.0
"""How long it takes from an empty directory to right answers of the three programs in each framework."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import process_tree
from benchmarks.comparison.asking import BentoML, FastAPI, LitServe, Pytriton, Questions
from benchmarks.comparison.counting import HERE, PROGRAMS
from benchmarks.ports import free_ports

__all__ = ["FRAMEWORKS", "Framework", "Timed", "measure"]

_REPOSITORY: Final = HERE.parent.parent
_INSTALL_TIMEOUT_S: Final = 900.0
_ANSWER_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 20.0
_POLL_S: Final = 0.02


@dataclass(frozen=True)
class Framework:
    """What is installed, how a program is started, and how it is asked."""

    name: str
    requirements: Sequence[str]
    command: Callable[[Path, str, Sequence[int]], list[str]]
    """Of the folder of commands of the environment, a program, and free ports."""
    questions: Questions


@dataclass(frozen=True)
class Timed:
    """Seconds."""

    install_s: float
    answers_s: Sequence[float]
    """From the start of each program to its right answer."""

    @property
    def total_s(self) -> float:
        """From an empty directory to the answers of all."""
        return self.install_s + sum(self.answers_s)


_CLASSES: Final = {"classifier": "Classifier", "embedder": "Embedder", "token_streamer": "Story"}

FRAMEWORKS: Final = (
    Framework(
        "pytriton",
        [f"{_REPOSITORY}[cli]"],
        lambda commands, program, ports: [
            *(str(commands / "pytriton"), "serve", f"{program}:app", "--http-port", str(ports[0])),
            *("--grpc-port", str(ports[1]), "--metrics-port", str(ports[2])),
        ],
        Pytriton(),
    ),
    Framework(
        "fastapi",
        ["fastapi", "uvicorn", "numpy"],
        lambda commands, program, ports: [
            *(str(commands / "uvicorn"), f"{program}:app", "--host", "127.0.0.1", "--port", str(ports[0])),
        ],
        FastAPI(),
    ),
    Framework(
        "litserve",
        ["litserve==0.2.19", "numpy"],
        lambda commands, program, ports: [str(commands / "python"), f"{program}.py", str(ports[0])],
        LitServe(),
    ),
    Framework(
        "bentoml",
        ["bentoml", "numpy"],
        lambda commands, program, ports: [
            *(str(commands / "bentoml"), "serve", f"{program}:{_CLASSES[program]}"),
            *("--host", "127.0.0.1", "--port", str(ports[0])),
        ],
        BentoML(),
    ),
)


def measure(framework: Framework, requirements: Sequence[str] = ()) -> Timed:
    """Make an environment, install, and start and ask each program; nothing of it is left.

    Args:
        framework: Which one.
        requirements: What is installed instead of what the framework names itself.
    """
    with tempfile.TemporaryDirectory(prefix="comparison") as name:
        folder = Path(name)
        begin = time.monotonic()
        _run(sys.executable, "-m", "venv", str(folder / "venv"))
        commands = folder / "venv" / "bin"
        _run(
            str(commands / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            *(requirements or framework.requirements),
        )
        install_s = time.monotonic() - begin
        for program in (HERE / f"in_{framework.name}").glob("*.py"):
            shutil.copy(program, folder)
        shutil.copy(HERE / "models.py", folder)
        return Timed(install_s, [_answer(framework, folder, program) for program in PROGRAMS])


def _answer(framework: Framework, folder: Path, program: str) -> float:
    ports = free_ports(3)
    command = framework.command(folder / "venv" / "bin", program, ports)
    log = folder / f"{program}.log"
    with log.open("wb") as output:
        begin = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        return _wait(framework.questions, program, ports[0], process, begin)
    except (OSError, AssertionError, LookupError) as error:
        said = log.read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"{framework.name}, {program}: {error}\n{said}") from error
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_TIMEOUT_S)
    for pid in process_tree.session(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _wait(
    questions: Questions, program: str, port: int, process: subprocess.Popen[bytes], begin: float
) -> float:
    while True:
        try:
            questions.check(program, port)
            return time.monotonic() - begin
        except OSError:
            if process.poll() is not None or time.monotonic() - begin > _ANSWER_TIMEOUT_S:
                raise
            time.sleep(_POLL_S)


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr}")
