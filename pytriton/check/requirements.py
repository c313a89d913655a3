# SPDX-License-Identifier: Apache-2.0
"""What serving needs of a machine, looked at piece by piece, without starting anything."""

from __future__ import annotations

import os
import platform
import socket
import sys
from collections.abc import Iterator
from typing import Final

from pytriton import _native
from pytriton.check.advisories import BUNDLED_VERSION, advisories_for
from pytriton.check.environment import glibc_version
from pytriton.check.finding import Finding, Status
from pytriton.constants import DEFAULT_GRPC_PORT, DEFAULT_HTTP_PORT, DEFAULT_METRICS_PORT, pytriton_home
from pytriton.exceptions import PyTritonError
from pytriton.server.locate import locate_backends, locate_server
from pytriton.server.workspace import Workspace

__all__ = ["check_requirements", "check_vulnerabilities"]

_MACHINES: Final = ("x86_64", "aarch64")
_LEAST_PYTHON: Final = (3, 10)
_LEAST_GLIBC: Final = (2, 35)
_PORTS: Final = {"HTTP": DEFAULT_HTTP_PORT, "gRPC": DEFAULT_GRPC_PORT, "metrics": DEFAULT_METRICS_PORT}
_PROBE_SIZE: Final = 1 << 20


def check_requirements() -> Iterator[Finding]:
    """Findings, one by one."""
    yield _platform()
    yield _python()
    yield _server()
    yield _backend()
    yield _memory()
    yield _workspace()
    yield _ports()


def check_vulnerabilities(version: str, source: str) -> Finding:
    """What is known of a version of the server."""
    known = advisories_for(version)
    if not known:
        return Finding("vulnerabilities", Status.OK, f"none known here of {source} {version}")
    names = ", ".join(advisory.name for advisory in known)
    return Finding(
        "vulnerabilities",
        Status.WARNING,
        f"{source} {version} has {names}: {known[0].summary}. Let only clients that you trust reach the HTTP "
        "port, or use a server of release 25.07 or newer (see SECURITY.md).",
        {"advisories": [advisory.name for advisory in known]},
    )


def _platform() -> Finding:
    system, machine, glibc = platform.system(), platform.machine(), glibc_version()
    text = f"{system} {machine}, glibc {'.'.join(map(str, glibc)) or 'not found'}"
    if system != "Linux" or machine not in _MACHINES:
        return Finding("platform", Status.FAILED, f"{text}; the server runs on Linux, x86_64 or aarch64.")
    if _native.BUNDLED_SERVER is not None and glibc < _LEAST_GLIBC:
        least = ".".join(map(str, _LEAST_GLIBC))
        return Finding("platform", Status.FAILED, f"{text}; the bundled server needs glibc {least} or newer.")
    return Finding("platform", Status.OK, text)


def _python() -> Finding:
    text = f"{platform.python_implementation()} {platform.python_version()}"
    if sys.version_info < _LEAST_PYTHON:
        return Finding("python", Status.FAILED, f"{text}; 3.10 or newer is needed.")
    return Finding("python", Status.OK, text)


def _server() -> Finding:
    try:
        server = locate_server()
    except PyTritonError as error:
        return Finding("server", Status.FAILED, error.message)
    bundled = server.path == _native.BUNDLED_SERVER
    text = f"{server.path}" + (f" (bundled, {BUNDLED_VERSION})" if bundled else "")
    return Finding("server", Status.OK, text, {"path": str(server.path), "bundled": bundled})


def _backend() -> Finding:
    try:
        return Finding("backend", Status.OK, str(locate_backends()))
    except PyTritonError as error:
        return Finding("backend", Status.FAILED, error.message)


def _memory() -> Finding:
    try:
        descriptor = os.memfd_create("pytriton-check", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except (AttributeError, OSError) as error:
        return Finding("shared memory", Status.FAILED, f"memfd_create does not work here: {error}")
    try:
        os.posix_fallocate(descriptor, 0, _PROBE_SIZE)
    except OSError as error:
        return Finding("shared memory", Status.FAILED, f"memory of a memfd cannot be had: {error}")
    finally:
        os.close(descriptor)
    return Finding("shared memory", Status.OK, "memfd works; /dev/shm is not used")


def _workspace() -> Finding:
    try:
        workspace = Workspace()
    except OSError as error:
        return Finding("workspace", Status.FAILED, f"no directory for workspaces: {error}")
    try:
        home = pytriton_home()
        if workspace.path.parent != home.absolute():
            text = f"{home} cannot be written; workspaces go to {workspace.path.parent}"
            return Finding("workspace", Status.WARNING, text)
        return Finding("workspace", Status.OK, f"{home} can be written")
    finally:
        workspace.clean()


def _ports() -> Finding:
    taken = [f"{name} {port}" for name, port in _PORTS.items() if not _is_free(port)]
    if not taken:
        return Finding("ports", Status.OK, "the default ports 8000, 8001 and 8002 are free")
    text = f"taken: {', '.join(taken)}; choose others, such as TritonConfig(http_port=...)"
    return Finding("ports", Status.WARNING, text, {"taken": taken})


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True
