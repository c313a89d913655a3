# SPDX-License-Identifier: Apache-2.0
"""Run an example as a user would: start its server, run its client against it, end the server with Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

__all__ = ["choose_ports", "main", "run_example"]

DEFAULT_PORTS = (8000, 8001, 8002)
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Triton sets the same option, so that a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def choose_ports() -> tuple[int, int, int]:
    """Return the ports for HTTP, gRPC and metrics: Triton's own, or free ones if any of those is taken."""
    taken = [port for port in DEFAULT_PORTS if not is_free(port)]
    if not taken:
        return DEFAULT_PORTS
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in DEFAULT_PORTS]
        for probe in probes:
            probe.bind(("", 0))
        http, grpc, metrics = (probe.getsockname()[1] for probe in probes)
    print(f"Ports taken: {', '.join(map(str, taken))}. Using instead:")
    print(f"  {http} (HTTP), {grpc} (gRPC), {metrics} (metrics)", flush=True)
    return http, grpc, metrics


def wait_until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(
                f"the example's server ended with exit code {server.returncode}; its output is above"
            )
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"the example's server did not answer {url} within {START_TIMEOUT_S:.0f} s")


def listen_to_ctrl_c() -> None:
    """Undo what a shell does to jobs in the background: they would inherit SIGINT as ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def running_server(script: Path, ports: tuple[int, int, int]) -> Iterator[None]:
    names = ("HTTP_PORT", "GRPC_PORT", "METRICS_PORT")
    config = {f"PYTRITON_TRITON_CONFIG_{name}": str(port) for name, port in zip(names, ports, strict=True)}
    command = [sys.executable, str(script)]
    server = subprocess.Popen(command, env={**os.environ, **config}, preexec_fn=listen_to_ctrl_c)
    try:
        wait_until_ready(server, f"http://localhost:{ports[0]}/v2/models/Linear/ready")
        yield
        server.send_signal(signal.SIGINT)
        if server.wait(STOP_TIMEOUT_S) != 0:
            raise RuntimeError(f"the example's server ended with exit code {server.returncode} after Ctrl-C")
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def run_example(folder: Path) -> None:
    ports = choose_ports()
    print(f"Starting {folder / 'server.py'}", flush=True)
    with running_server(folder / "server.py", ports):
        addresses = (f"--http=localhost:{ports[0]}", f"--grpc=localhost:{ports[1]}")
        subprocess.run([sys.executable, str(folder / "client.py"), *addresses], check=True)
    print("The server ended cleanly.")


def main() -> int:
    try:
        run_example(Path(sys.argv[1] if len(sys.argv) > 1 else "examples/linear_numpy"))
    except (RuntimeError, subprocess.SubprocessError) as error:
        print(f"The demo failed: {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
