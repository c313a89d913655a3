# SPDX-License-Identifier: Apache-2.0
"""`pytriton serve` as a user runs it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from pytriton.server.config import options
from tests.helpers.command import SERVICE, Command, pytriton, serving_command
from tests.helpers.gate import wait_until
from tests.helpers.server import LOCAL, Address, free_ports
from tests.helpers.vectors import Pending


@pytest.fixture
def service(tmp_path: Path) -> Path:
    (tmp_path / "service.py").write_text(SERVICE)
    return tmp_path


def scaled(address: Address) -> list[float]:
    reply = address.post("/v2/models/Scale/generate", {"values": [1, 2]})
    values: list[float] = reply.json["scaled"]
    return values


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_on_loopback_until_a_signal(service: Path, number: signal.Signals) -> None:
    with serving_command(service, "service:app") as (command, address, said):
        assert scaled(address) == [2.0, 4.0]
        assert said["endpoints"]["HTTP"] == address.url
        assert said["models"][0]["inputs"] == [
            {"name": "values", "datatype": "FP32", "shape": [-1], "optional": False}
        ]
        tables = "".join(Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6"))
        listening = [line.split()[1] for line in tables.splitlines() if line.split()[3] == "0A"]
        for port in (address.http_port, address.grpc_port, address.metrics_port):
            (place,) = (place for place in listening if place.endswith(f":{port:04X}"))
            assert place.endswith("0100007F:" + place.rpartition(":")[2])  # of IPv4, or of IPv6 that maps it
        assert command.end(number) == 0


def test_shows_a_panel(service: Path) -> None:
    http, grpc, metrics = free_ports(3)
    ports = [f"--http-port={http}", f"--grpc-port={grpc}", f"--metrics-port={metrics}"]
    with contextlib.closing(Command(["serve", "service.py", *ports], service)) as command:
        assert f"http://{LOCAL}:{http} " in command.expect("HTTP")
        assert "values: FP32[*]   scaled: FP32[*]   up to 16" in command.expect("Scale")
        command.expect("Ctrl-C ends it.")
        assert command.end() == 0


def test_the_project_says_what_to_serve(service: Path) -> None:
    (service / "pyproject.toml").write_text('[tool.pytriton]\napp = "service:app"\nid = "of the project"\n')
    with serving_command(service) as (_, address, said):
        assert said["models"][0]["name"] == "Scale"
        assert address.get("/v2").json["name"] == "of the project"


def test_reload_puts_the_new_code_in_the_place_of_the_old(service: Path) -> None:
    file = service / "service.py"
    with serving_command(service, "service:app", "--reload") as (command, address, _):
        assert scaled(address) == [2.0, 4.0]
        file.write_text(SERVICE.replace("* 2.0", "* 3.0"))
        command.expect('"endpoints"')
        assert scaled(address) == [3.0, 6.0]
        file.write_text(SERVICE + "\nx =")
        command.expect("invalid syntax. What was there before still serves.")
        file.write_text(SERVICE + "\nraise ValueError('on purpose')\n")
        command.expect("ValueError: on purpose")
        command.expect("What was there before still serves.")
        assert scaled(address) == [3.0, 6.0]
        file.write_text(SERVICE.replace("* 2.0", "* 5.0"))
        command.expect('"endpoints"')
        assert scaled(address) == [5.0, 10.0]
        assert command.end() == 0


@pytest.mark.parametrize(
    "trouble", ["\nraise ValueError('on purpose')\n", "\nx =\n"], ids=["raises", "no Python"]
)
def test_reload_serves_what_is_mended(tmp_path: Path, trouble: str) -> None:
    file = tmp_path / "service.py"
    broken = CONSTRUCTED.replace("...", 'raise ValueError("no weights")')
    file.write_text(broken)
    ports = free_ports(3)
    options = [f"--{name}-port={port}" for name, port in zip(("http", "grpc", "metrics"), ports, strict=True)]
    with (
        contextlib.closing(
            Command(["serve", "service:app", "--reload", "--json", *options], tmp_path)
        ) as command,
        contextlib.closing(Address(*ports)) as address,
    ):
        command.expect("ValueError: no weights")
        command.expect("Nothing is served until the files change.")
        file.write_text(broken + trouble)
        assert "still serves" not in command.expect("Nothing is served until the files change.")
        file.write_text(CONSTRUCTED)
        command.expect('"endpoints"')
        assert address.post("/v2/models/Double/generate", {"x": 2}).json["output"] == 4
        file.write_text(broken)
        command.expect("ValueError: no weights")
        command.expect("Nothing is served until the files change.")
        file.write_text(CONSTRUCTED + "\n")
        command.expect('"endpoints"')
        assert address.post("/v2/models/Double/generate", {"x": 3}).json["output"] == 6
        assert command.end() == 0


def test_reload_ends_with_sigterm_where_sigint_is_ignored(service: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell's background jobs have it
    try:
        with serving_command(service, "service:app", "--reload") as (command, address, _):
            assert scaled(address) == [2.0, 4.0]
            started = time.monotonic()
            assert command.end(signal.SIGTERM) == 0
            assert time.monotonic() - started < 30.0
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_users_own_error_has_a_traceback_and_nothing_else_has(service: Path) -> None:
    (service / "broken.py").write_text("def helper():\n    raise RuntimeError('mine')\n\nhelper()\n")
    result = pytriton("serve", "broken:app", cwd=service)
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line for line in lines if line.startswith("  File ")] == [
        f'  File "{service / "broken.py"}", line 4, in <module>',
        f'  File "{service / "broken.py"}", line 2, in helper',
    ]
    assert lines[-1] == 'pytriton: Importing "broken" failed: RuntimeError: mine'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "@app.model\ndef f(x) -> str:\n    return x\n",
            'broken.py:4: model "f", parameter "x": has no annotation; write',
        ),
        ("@app.model\nclass M: ...\n", "broken.py:3: model \"M\": <class 'broken.M'> has no method __call__"),
        ("@app.model(name='a b')\ndef f(x: str) -> str: ...\n", "broken.py:4: Model name can only contain "),
        ("for _ in 'ab':\n    app.model(name='m')(lambda x: x)\n", "broken.py:4: "),
        ("app.include(3)\n", "broken.py:3: include takes a Router or an App, got 3."),
    ],
)
def test_a_definition_that_cannot_be_is_one_sentence(service: Path, text: str, expected: str) -> None:
    (service / "broken.py").write_text(f"from pytriton import App\napp = App()\n{text}")
    result = pytriton("serve", "broken:app", cwd=service)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"pytriton: {service / expected}")
    assert "Traceback" not in result.stderr
    assert result.stderr.count("broken.py:") == 1


def test_a_program_that_serves_an_app_says_where_and_is_found(service: Path) -> None:
    http, grpc, metrics = free_ports(3)
    (service / "program.py").write_text(f"""
from pytriton import App
from pytriton.triton import TritonConfig

app = App()

@app.model
def shout(text: str) -> str:
    return text.upper()

app.serve(config=TritonConfig(
    http_address="{LOCAL}", http_port={http}, grpc_port={grpc}, metrics_port={metrics},
    grpc_address="{LOCAL}", metrics_address="{LOCAL}",
))
""")
    with contextlib.closing(Command(["program.py"], service, program=())) as command:
        said = command.expect("Serves shout")
        assert f"http://{LOCAL}:{http}, grpc://{LOCAL}:{grpc}" in said
        answer = pytriton("infer", "shout", "a")
        assert (answer.returncode, "A" in answer.stdout) == (0, True), answer.stderr
        assert pytriton("models", "--json").returncode == 0  # it needs the token
        assert command.end() == 0
    assert pytriton("infer", "shout", "a", "--url", f"http://{LOCAL}:{http}").returncode == 3


def test_bad_input_is_one_sentence(service: Path) -> None:
    (service / "wrong.yaml").write_text("http_prot: 1\n")
    for arguments, code, text in (
        (["serve"], 2, "Nothing to serve: give module:attribute"),
        (["serve", "nowhere:app"], 2, 'There is no module "nowhere"'),
        (["serve", "service:nope"], 2, 'has no attribute "nope". It could serve app.'),
        (["serve", "service:scale"], 2, "is a function that takes "),
        (["serve", "service:app", "--config", "none.yaml"], 2, "there is no file none.yaml"),
        (["serve", "service:app", "--config", "wrong.yaml"], 2, "did you mean http_port?"),
        (["serve", "service:app", "--http-port", "70000"], 2, "a port is 1 to 65535"),
        (["serve", "service:app", "--log-level", "loud"], 2, "expected debug, info, warning, error"),
        (["serve", "service:app", "--reload", "--reload-dir", "none"], 2, "there is no directory none"),
    ):
        result = pytriton(*arguments, cwd=service)
        assert (result.returncode, result.stdout) == (code, ""), result
        assert text in result.stderr
        if code == 2:
            assert len(result.stderr.splitlines()) == 1
            assert result.stderr.startswith("pytriton: ")


@pytest.mark.parametrize("endpoint", ["HTTP", "gRPC", "metrics"])
def test_a_port_in_use(service: Path, endpoint: str) -> None:
    option = endpoint.lower()
    with socket.create_server((LOCAL, 0)) as taken:
        port = taken.getsockname()[1]
        ports = dict(zip(("http", "grpc", "metrics"), free_ports(3), strict=True)) | {option: port}
        options = [f"--{name}-port={number}" for name, number in ports.items()]
        result = pytriton("serve", "service:app", *options, cwd=service)
    assert result.returncode == 3
    assert result.stderr == (
        f"pytriton: The Triton server cannot listen: {endpoint} port {port} is taken: stop what listens "
        f"there, or choose another with --{option}-port.\n"
    )


def test_config_show_says_where_values_come_from(service: Path) -> None:
    (service / "pyproject.toml").write_text('[tool.pytriton]\nid = "f"\nhttp_port = 1\ngrpc_port = 2\n')
    result = pytriton(
        "config",
        "show",
        "--given",
        "--http-port=4",
        cwd=service,
        COLUMNS="300",
        PYTRITON_TRITON_CONFIG_GRPC_PORT="3",
        PYTRITON_TRITON_CONFIG_HTTP_PORT="3",
    )
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines()[2:]]
    assert rows == [
        ["id", "f", "file", "pyproject.toml"],
        ["http_address", "127.0.0.1", "command", "pytriton", "serve"],
        ["http_port", "4", "argument", "--http-port"],
        ["grpc_address", "127.0.0.1", "command", "pytriton", "serve"],
        ["grpc_port", "3", "environment", "PYTRITON_TRITON_CONFIG_GRPC_PORT"],
        ["metrics_address", "127.0.0.1", "command", "pytriton", "serve"],
    ]


def test_config_show_breaks_no_lines_in_a_pipe(service: Path) -> None:
    directory = "/" + "d" * 200
    arguments = ["config", "show", "--given", f"--log-file={directory}"]
    assert f" {directory} " in pytriton(*arguments, cwd=service, COLUMNS="").stdout
    narrow = pytriton(*arguments, cwd=service, COLUMNS="80").stdout
    assert max(map(len, narrow.splitlines())) <= 80


def test_help_lists_the_table(service: Path) -> None:
    result = pytriton("serve", "--help", COLUMNS="160")
    assert result.returncode == 0
    for text in ("--http-port", "--no-allow-grpc", "--cache-config", "Port of the HTTP endpoint (8000)."):
        assert text in result.stdout


@pytest.mark.parametrize("command", [["serve"], ["config", "show"]])
def test_help_cuts_off_no_names_of_options(service: Path, command: list[str]) -> None:
    shown = pytriton(*command, "--help", COLUMNS="80").stdout
    words = shown.split()
    for option in options():
        assert f"--{option.name.replace('_', '-')}" in words
    # The addresses are those of the command, not the server's own.
    assert "0.0.0.0" not in shown
    assert "Address of the HTTP endpoint (127.0.0.1)." in " ".join(words)


def test_sighup_lets_the_running_server_have_what_it_can(service: Path) -> None:
    file = service / "pyproject.toml"
    traces = f'trace_config = ["triton,file={service / "trace.json"}"'
    file.write_text(f'[tool.pytriton]\napp = "service:app"\n{traces}]\n')
    with serving_command(service) as (command, address, said):
        token = {"triton-access-token": said["access_token"]}

        def settings(path: str) -> Any:
            return address.request("GET", path, headers=token).json

        assert settings("/v2/logging")["log_verbose_level"] == 0
        more = 'log_verbose = 2\nlog_info = false\nid = "x"'
        file.write_text(f'[tool.pytriton]\napp = "service:app"\n{more}\n{traces}]\n')
        command.signal(signal.SIGHUP)
        line = command.expect("SIGHUP")
        assert "changed log_verbose, log_info; id will change when it is started again." in line
        assert settings("/v2/logging")["log_verbose_level"] == 2
        assert settings("/v2/logging")["log_info"] is False
        file.write_text(f'[tool.pytriton]\n{traces}, "rate=77", "level=TENSORS", "triton,count=5"]\n')
        command.signal(signal.SIGHUP)
        assert "changed log_verbose, log_info, trace_config." in command.expect("SIGHUP")
        assert settings("/v2/logging")["log_verbose_level"] == 0
        found = settings("/v2/trace/setting")
        assert (found["trace_rate"], found["trace_level"], found["trace_count"]) == ("77", ["TENSORS"], "5")
        file.write_text("[tool.pytriton]\nhttp_prot = 1\n")
        command.signal(signal.SIGHUP)
        assert "nothing is changed: " in command.expect("SIGHUP")
        assert scaled(address) == [2.0, 4.0]
        assert command.end() == 0


CONSTRUCTED = """
from pytriton.app import App

app = App()


@app.model
class Double:
    def __init__(self) -> None:
        ...

    def __call__(self, x: int) -> int:
        return 2 * x
"""
APPLICATION = """
import os
from pytriton.app import App
from pytriton.model_config import Tensor
from pytriton.triton import Triton

app = App()


@app.model
class Pid:
    def __init__(self) -> None:
        self.pid = os.getpid()

    def __call__(self, x: int) -> int:
        return self.pid


def where(requests):
    return [{"pid": __import__("numpy").array([[os.getpid()]])} for _ in requests]


inputs, outputs = [Tensor(name="x", dtype=int, shape=(1,))], [Tensor(name="pid", dtype=int, shape=(1,))]
app.bind("where", where, inputs, outputs)


def make():
    return app
"""


def test_a_second_ctrl_c_does_not_wait(service: Path) -> None:
    waiting = '    print("working", flush=True)\n    __import__("threading").Event().wait()\n    return'
    code = SERVICE.replace("values", "INPUT_1").replace("    return", waiting)
    (service / "service.py").write_text(code)
    with serving_command(service, "service:app") as (command, address, _):
        pending = Pending(address, "Scale", 1)
        command.expect("working")
        command.signal(signal.SIGINT)
        while address.get("/v2/models/Scale/ready").status == 200:
            pass
        with pytest.raises(subprocess.TimeoutExpired):  # longer than signals count as one
            command.wait(0.3)
        command.signal(signal.SIGINT)
        with pytest.raises(ConnectionError):
            pending.reply()
        assert command.wait() == 130
        assert "SIGINT received while stopping: " in command.expect("SIGINT")
        assert command.rest() == ""


@pytest.mark.parametrize("target", ["service:app", "service.py:make"])
def test_workers_are_processes_that_import_the_module(tmp_path: Path, target: str) -> None:
    (tmp_path / "service.py").write_text(APPLICATION)
    with serving_command(tmp_path, target, "--workers", "2") as (command, address, _):
        for model, output in (("Pid", "output"), ("where", "pid")):
            reply = address.post(f"/v2/models/{model}/generate", {"x": 1})
            assert reply.status == 200, reply.body
            assert reply.json[output] not in (command.pid, os.getpid())
            assert Path(f"/proc/{reply.json[output]}").exists()
        wait_until(lambda: address.metrics("Pid")["pytriton_workers"] == 2, "the second worker")
        assert command.end() == 0
