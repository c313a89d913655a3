# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import gzip
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pytriton.check import environment, requirements
from pytriton.check.advisories import BUNDLED_VERSION, advisories_for
from pytriton.check.env_checks import env_checks
from pytriton.check.environment import describe_environment
from pytriton.check.finding import Finding, Status
from pytriton.check.monitoring import ProcessMonitoring, ProcessMonitoringThread
from pytriton.check.requirements import check_requirements, check_vulnerabilities
from pytriton.check.script import ScriptThread
from pytriton.check.utils import (
    TestMonitoringContext,
    find_free_port,
    get_current_container_version,
    search_warning_on_too_verbose_log_level,
    verify_docker_image_in_readme_same_as_tested,
)
from tests.helpers.gate import wait_until

LOGGER = logging.getLogger("test")


def test_environment_is_json_and_names_what_matters() -> None:
    report = json.loads(json.dumps(describe_environment()))
    assert report["python"]["version"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert report["packages"]["numpy"]
    assert report["memory"]["available"] > 0
    assert report["system"]["cpus"] == os.cpu_count()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PYTRITON_ACCESS_TOKEN", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("DATABASE", "x"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x"),
        ("PYTRITON_TRITON_CONFIG_HTTP_RESTRICTED_API", "health:my-token=abc"),
    ],
)
def test_environment_keeps_secrets(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTRITON_HOME", "/tmp/home")
    variables = describe_environment()["variables"]
    assert name not in variables
    assert variables["PYTRITON_HOME"] == "/tmp/home"


def test_environment_takes_users_out_of_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTRITON_PROXY", "http://me:word@host/")
    assert describe_environment()["variables"]["PYTRITON_PROXY"] == "http://host/"


def test_environment_has_gpus_where_nvidia_smi_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA X, 550.1, 80 MiB, 1 MiB, 9.0'\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (gpu,) = describe_environment()["gpu"]
    assert gpu["name"] == "NVIDIA X"
    assert gpu["driver_version"] == "550.1"


def test_a_program_that_fails_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert describe_environment()["gpu"] == []


def test_env_checks_log_the_report(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "test"):
        env_checks(LOGGER)
    assert '"numpy"' in caplog.text


def test_requirements_are_met_here() -> None:
    findings = {finding.name: finding for finding in check_requirements()}
    assert set(findings) == {
        "platform",
        "python",
        "server",
        "backend",
        "shared memory",
        "workspace",
        "ports",
    }
    assert not [finding for finding in findings.values() if finding.status is Status.FAILED]


def test_a_missing_server_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTRITON_TRITONSERVER", "/nowhere/tritonserver")
    monkeypatch.setenv("PYTRITON_BACKEND_DIRECTORY", "/nowhere")
    findings = {finding.name: finding for finding in check_requirements()}
    for name in ("server", "backend"):
        assert findings[name].status is Status.FAILED
        assert "/nowhere" in findings[name].text


def test_an_old_c_library_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "glibc_version", lambda: (2, 31))
    first = next(iter(check_requirements()))
    assert first.status is Status.FAILED
    assert "the bundled server needs glibc 2.35 or newer" in first.text


def test_another_c_library_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    assert environment.glibc_version() == ()


def test_a_taken_port_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(requirements, "_PORTS", {"HTTP": port})
        (finding,) = (finding for finding in check_requirements() if finding.name == "ports")
    assert finding.status is Status.WARNING
    assert f"HTTP {port}" in finding.text


def test_a_home_that_cannot_be_written_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PYTRITON_HOME", str(tmp_path / "file" / "home"))
    (finding,) = (finding for finding in check_requirements() if finding.name == "workspace")
    assert finding.status is Status.WARNING


def test_advisories() -> None:
    assert [advisory.name for advisory in advisories_for(BUNDLED_VERSION)] == [
        "CVE-2025-23310",
        "CVE-2025-23311",
        "CVE-2025-23317",
    ]
    assert advisories_for("2.59.1") == advisories_for("2.60.0") == []
    assert len(advisories_for("unknown")) == 3
    assert check_vulnerabilities("2.60.0", "Triton").status is Status.OK
    assert "CVE-2025-23310" in check_vulnerabilities("2.51.0", "Triton").text


def test_a_finding_as_json() -> None:
    finding = Finding("a", Status.OK, "b", {"c": 1})
    assert finding.as_dict() == {"name": "a", "status": "ok", "text": "b", "c": 1}


def test_script_thread_has_output_and_exit_code() -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    thread = ScriptThread([sys.executable, "-c", code], name="script")
    thread.start()
    thread.join(20)
    assert sorted(thread.output.splitlines()) == ["err", "out"]
    assert thread.returncode == 3
    assert thread.process is None


def test_script_thread_ends_its_command_with_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytriton.check.script._ENDING_S", 0.1)
    command = [sys.executable, "-c", "import time; print('ready'); time.sleep(1000)"]
    with ScriptThread(command, workdir=tmp_path) as thread:
        assert thread.process is not None
        assert thread.active
    assert thread.returncode == -signal.SIGTERM


def test_script_thread_lets_its_command_end() -> None:
    code = """
import signal

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
print("ready", flush=True)
signal.sigwait({signal.SIGINT})
print(signal.sigtimedwait({signal.SIGTERM}, 0.2))
"""
    with ScriptThread([sys.executable, "-c", code], name="script") as thread:
        while "ready" not in thread.output and thread.is_alive():
            thread.join(0.01)
        assert thread.process is not None
        thread.process.send_signal(signal.SIGINT)
    assert thread.output.splitlines() == ["ready", "None"]


def test_script_thread_ends_its_command_after_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), ScriptThread(["sleep", "1000"], name="script") as thread:
        raise ZeroDivisionError
    assert thread.returncode == -signal.SIGTERM


def test_script_thread_takes_a_signal() -> None:
    command = [sys.executable, "-c", "import sys; sys.stdin.readline()"]
    with ScriptThread(command, name="script") as thread:
        assert thread.process is not None
        thread.process.send_signal(signal.SIGKILL)
        thread.join(20)
    assert thread.returncode == -signal.SIGKILL


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_script_thread_without_its_command() -> None:
    thread = ScriptThread(["/nowhere/command"])
    started = threading.Event()
    thread.start(started)
    assert started.wait(20)
    thread.join(20)
    assert thread.returncode is None


def test_free_port_can_be_taken() -> None:
    socket.create_server(("", find_free_port())).close()


def test_container_version(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTORCH_VERSION", "TENSORFLOW_VERSION", "TRITON_SERVER_VERSION"):
        monkeypatch.delenv(f"NVIDIA_{name}", raising=False)
    assert get_current_container_version() is None
    monkeypatch.setenv("NVIDIA_TENSORFLOW_VERSION", "24.10-tf2")
    assert get_current_container_version() == "24.10"


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    TestMonitoringContext.extend_args(parser)
    return parser


def test_long_tests_are_written_down(parser: argparse.ArgumentParser, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    arguments = ["--log-path", str(path), "--maximum-log-file", "2000", "--compress-logs", "--verbose"]
    arguments += ["--process-monitoring-interval", "1000", "--faulthandler-interval", "1000"]
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    with TestMonitoringContext(parser.parse_args([*arguments, "--enable-fault-handler"])):
        for number in range(50):
            LOGGER.debug("line %d", number)
    assert (root.level, root.handlers) == before
    packed = [gzip.decompress(file.read_bytes()).decode() for file in tmp_path.glob("log.txt.*.gz")]
    text = "".join([*packed, path.read_text()])
    assert packed
    assert all(f"line {number}\n" in text for number in range(50))


def test_short_tests_need_nothing(parser: argparse.ArgumentParser) -> None:
    with TestMonitoringContext(parser.parse_args([])):
        assert logging.getLogger().level == logging.DEBUG
        assert "process-monitoring" not in [thread.name for thread in threading.enumerate()]


def test_images_of_a_text(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("docker run nvcr.io/nvidia/pytorch:24.10-py3 and nvcr.io/nvidia/other:1\n")
    verify_docker_image_in_readme_same_as_tested(path, "nvcr.io/nvidia/pytorch:24.10-py3")
    with pytest.raises(AssertionError, match=r"24\.10-py3, expected"):
        verify_docker_image_in_readme_same_as_tested(path, "nvcr.io/nvidia/pytorch:25.01-py3")


def test_nothing_needs_psutil() -> None:
    code = (
        "import sys; sys.modules['psutil'] = None; import pytriton.check.utils, pytriton.cli.app; "
        "from pytriton.check.environment import describe_environment; describe_environment()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_finds_the_warning_on_verbose_logs() -> None:
    line = (
        "Triton Inference Server is running with enabled verbose logs (log_verbose=4). "
        "It may affect inference performance."
    )
    assert search_warning_on_too_verbose_log_level(f"a\n{line}\nb")
    assert not search_warning_on_too_verbose_log_level("nothing")


def test_monitoring_logs_a_family(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()  # it runs its own command by now
        monitoring = ProcessMonitoring(os.getpid(), LOGGER, logging.WARNING, remove_color=True)
        monitoring.register_custom_monitor(seen.append)
        assert child.pid in [process.pid for process in monitoring.children]
        monitoring.dump_state()
        child.kill()
    assert seen[0] == os.getpid()
    assert child.pid in seen
    assert "input()" in caplog.text
    monitoring.dump_state()
    assert f"process {child.pid} has ended" in caplog.text


def test_monitoring_finds_the_child_of_a_thread_that_ends_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    started, end = threading.Event(), threading.Event()
    children: list[subprocess.Popen[bytes]] = []

    def start_a_child() -> None:
        children.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        started.set()
        end.wait()

    thread = threading.Thread(target=start_a_child)
    thread.start()
    assert started.wait(20)
    read_text = Path.read_text

    def read_and_end(path: Path, *args: Any, **kwargs: Any) -> str:
        text = read_text(path, *args, **kwargs)
        end.set()
        thread.join()
        wait_until(lambda: not Path(f"/proc/self/task/{thread.native_id}").exists(), "its end")
        return text

    try:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_text", read_and_end)
            found = ProcessMonitoring(os.getpid(), LOGGER).children
    finally:
        end.set()
        for child in children:
            with child:
                child.kill()
    assert children[0].pid in [process.pid for process in found]


def test_monitoring_thread_dumps_again_and_again() -> None:
    again = threading.Event()
    counts: list[int] = []

    def count(pid: int) -> None:
        counts.append(pid)
        if len(counts) > 2:
            again.set()

    monitoring = ProcessMonitoring(os.getpid(), LOGGER, logging.DEBUG)
    monitoring.register_custom_monitor(count)
    with ProcessMonitoringThread(monitoring, 0.01):
        assert again.wait(20)
