# SPDX-License-Identifier: Apache-2.0
"""Where a server listens, proven by the sockets that its process holds."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from pytriton.constants import DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT, DEFAULT_METRICS_PORT, TRITON_LOCAL_IP
from pytriton.exceptions import PyTritonServerError, PyTritonValidationError
from pytriton.server.config import TritonConfig

__all__ = [
    "Endpoint",
    "Obstacle",
    "PortTakenError",
    "endpoints",
    "free_ports",
    "is_listening",
    "is_running",
    "local_url",
    "unsent_sockets",
    "why_not_listening",
]

_CLOUD_PORT: Final = 8080
_WILDCARD: Final = "0.0.0.0"  # the server's default
_LOOPBACKS: Final = {_WILDCARD: TRITON_LOCAL_IP, "::": "::1"}
_LISTEN: Final = "0A"
_SOCKET: Final = "socket:["


class PortTakenError(PyTritonServerError):
    """The server did not start: something else listens on one of its ports."""


class Obstacle(NamedTuple):
    """Why nothing can listen at an endpoint."""

    text: str
    is_taken: bool


@dataclass(frozen=True)
class Endpoint:
    """One address at which the server takes requests."""

    name: str
    option: str
    address: str
    port: int

    @property
    def local(self) -> str:
        """host:port for a client on this machine."""
        host = _LOOPBACKS.get(self.address, self.address)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def server_address(self) -> str:
        """The address as the server's front end wants it."""
        if ":" not in self.address:
            return self.address
        return f"[{self.address}]" if self.name == "gRPC" else f"ipv6:{self.address}"


def endpoints(config: TritonConfig, environment: Mapping[str, str]) -> list[Endpoint]:
    """Endpoints that a server with this configuration opens."""
    # In Vertex AI's prediction environment the server turns its other front ends off unless told otherwise.
    vertex = environment.get("AIP_MODE") == "PREDICTION"
    vertex_port = environment.get("AIP_HTTP_PORT", "")
    vertex_default = int(vertex_port) if vertex_port.isdecimal() else _CLOUD_PORT
    metrics_address = config.metrics_address or config.http_address
    table = (
        ("HTTP", "http", config.allow_http, not vertex, config.http_address, DEFAULT_HTTP_PORT),
        ("gRPC", "grpc", config.allow_grpc, not vertex, config.grpc_address, DEFAULT_GRPC_PORT),
        ("metrics", "metrics", config.allow_metrics, True, metrics_address, DEFAULT_METRICS_PORT),
        ("SageMaker", "sagemaker", config.allow_sagemaker, False, None, _CLOUD_PORT),
        ("Vertex AI", "vertex_ai", config.allow_vertex_ai, vertex, None, vertex_default),
    )
    found = []
    for name, option, given, by_default, address, default_port in table:
        if by_default if given is None else given:
            port = getattr(config, f"{option}_port") or default_port
            found.append(Endpoint(name, option, _numeric(address, f"{option}_address"), port))
    _check_distinct(found)
    return found


def local_url(config: TritonConfig) -> str:
    """Where clients on this machine reach a server with this configuration, without a look at the network."""
    scheme = "grpc" if config.allow_http is False else "http"
    default_port = DEFAULT_GRPC_PORT if scheme == "grpc" else DEFAULT_HTTP_PORT
    address = getattr(config, f"{scheme}_address") or _WILDCARD
    endpoint = Endpoint(scheme, scheme, address, getattr(config, f"{scheme}_port") or default_port)
    return f"{scheme}://{endpoint.local}"


def _numeric(address: str | None, option: str) -> str:
    # The HTTP front end takes names without a word for the address 255.255.255.255.
    if not address:
        return _WILDCARD
    host = address.removeprefix("ipv6:").removeprefix("ipv4:").removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise PyTritonServerError(
            f"TritonConfig: {option} is {address!r}, which is no address of this machine ({error}). "
            "Give an IP address, or a name that resolves to one."
        ) from None
    numeric = [str(entry[4][0]) for entry in found]
    return next((entry for entry in numeric if ":" not in entry), numeric[0])


def _check_distinct(found: Collection[Endpoint]) -> None:
    taken: dict[tuple[str, int], Endpoint] = {}
    for endpoint in found:
        first = taken.setdefault((endpoint.address, endpoint.port), endpoint)
        if first is not endpoint:
            raise PyTritonValidationError(
                f"TritonConfig: {first.option}_port and {endpoint.option}_port are both {endpoint.port}; "
                "give every endpoint a port of its own."
            )


def is_listening(pid: int, wanted: Collection[Endpoint]) -> bool:
    """Whether the process itself, not merely somebody, listens on the ports of all these endpoints."""
    ports = Counter(endpoint.port for endpoint in wanted)
    sockets = {entry.inode: entry.port for entry in _listeners(pid) if entry.port in ports}
    if ports.keys() - set(sockets.values()):
        return False
    owned = _socket_inodes(pid)
    return Counter(port for inode, port in sockets.items() if inode in owned) >= ports


def why_not_listening(endpoint: Endpoint) -> Obstacle | None:
    """Try to listen where an endpoint does; what is in the way, or None."""
    family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
    try:
        with socket.create_server((endpoint.address, endpoint.port), family=family):
            return None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            flag = endpoint.option.replace("_", "-")
            advice = (
                f"stop what listens there, or choose another with TritonConfig({endpoint.option}_port=...) "
                f"or `pytriton serve --{flag}-port`"
            )
            return Obstacle(f"port {endpoint.port} is taken: {advice}", is_taken=True)
        reason = os.strerror(error.errno) if error.errno else str(error)
        return Obstacle(f"cannot listen on {endpoint.address} port {endpoint.port}: {reason}", is_taken=False)


def unsent_sockets(pid: int, served: Collection[Endpoint]) -> set[str]:
    """Connections of these endpoints with data that their clients have not received."""
    ports = {endpoint.port for endpoint in served}
    return {entry.inode for entry in _entries(pid) if entry.unsent and entry.port in ports}


def is_running(pid: int) -> bool:
    """Whether any thread of the process is doing something."""
    return any(state in "RD" for state in _thread_states(pid))


class _Entry(NamedTuple):
    port: int
    listening: bool
    unsent: bool
    inode: str


def _listeners(pid: int) -> Iterator[_Entry]:
    for table in ("tcp", "tcp6"):
        for entry in _table(pid, table):
            # The kernel lists listening sockets first; behind them may come a hundred thousand connections.
            if not entry.listening:
                break
            yield entry


def _entries(pid: int) -> Iterator[_Entry]:
    for table in ("tcp", "tcp6"):
        yield from _table(pid, table)


def _table(pid: int, name: str) -> Iterator[_Entry]:
    try:
        with Path(f"/proc/{pid}/net/{name}").open(encoding="ascii") as table:
            next(table, None)
            for line in table:
                columns = line.split()
                listening = columns[3] == _LISTEN
                # Of a listening socket the first number of the queues is its backlog.
                unsent = not listening and int(columns[4].partition(":")[0], 16) > 0
                yield _Entry(int(columns[1].rpartition(":")[2], 16), listening, unsent, columns[9])
    except OSError:  # the process has ended, or the kernel has no IPv6
        return


def _socket_inodes(pid: int) -> set[str]:
    inodes: set[str] = set()
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return inodes
    for descriptor in descriptors:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
        except OSError:  # closed meanwhile
            continue
        if target.startswith(_SOCKET):
            inodes.add(target[len(_SOCKET) : -1])
    return inodes


def _thread_states(pid: int) -> Iterator[str]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        try:
            status = Path(f"/proc/{pid}/task/{thread}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        # The name in parentheses may hold anything, even parentheses.
        yield status.rpartition(")")[2].split(maxsplit=1)[0]


def free_ports(count: int) -> list[int]:
    """Ports of this machine that the kernel has just given and taken back."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server((TRITON_LOCAL_IP, 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]
