# SPDX-License-Identifier: Apache-2.0
"""Find the Triton server and the native backend on this machine."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytriton import _native
from pytriton.constants import BACKEND_NAME
from pytriton.exceptions import PyTritonServerError

__all__ = [
    "SERVER_VARIABLE",
    "ServerBinary",
    "locate_backends",
    "locate_preload_library",
    "locate_server",
]

SERVER_VARIABLE: Final = "PYTRITON_TRITONSERVER"
_BACKENDS_VARIABLE: Final = "PYTRITON_BACKEND_DIRECTORY"
_CONTAINER_SERVER: Final = Path("/opt/tritonserver/bin/tritonserver")
_NAME: Final = "tritonserver"
_PRELOAD_LIBRARY: Final = "libpytriton_preload.so"


@dataclass(frozen=True)
class ServerBinary:
    """A tritonserver executable; the directory of its response caches where they came with the package."""

    path: Path
    cache_directory: Path | None = None


def locate_server(explicit: str | os.PathLike[str] | None = None) -> ServerBinary:
    """Find a server: the given path, the environment, the bundled one, NVIDIA's container, then PATH."""
    if explicit is not None:
        return ServerBinary(_given(explicit, f"server={os.fspath(explicit)!r}"))
    if variable := os.environ.get(SERVER_VARIABLE):
        return ServerBinary(_given(variable, f"environment variable {SERVER_VARIABLE}={variable!r}"))
    if _native.BUNDLED_SERVER is not None and _is_executable(_native.BUNDLED_SERVER):
        return ServerBinary(_native.BUNDLED_SERVER, _native.CACHE_DIRECTORY)
    if _is_executable(_CONTAINER_SERVER):
        return ServerBinary(_CONTAINER_SERVER)
    if on_path := shutil.which(_NAME):
        return ServerBinary(Path(on_path))
    bundled = "not part of this installation" if _native.BUNDLED_SERVER is None else "not executable"
    raise PyTritonServerError(
        "No Triton server was found. Looked for: argument server (not given), environment variable "
        f"{SERVER_VARIABLE} (not set), the server bundled with the package ({bundled}), {_CONTAINER_SERVER}, "
        f"{_NAME} in PATH. Install a wheel of this package with its server, "
        f"or give the path of a tritonserver as Triton(server=...) or in {SERVER_VARIABLE}."
    )


def locate_backends() -> Path:
    """Find the directory that holds the native backend."""
    if variable := os.environ.get(_BACKENDS_VARIABLE):
        directory, source = Path(variable).absolute(), f"environment variable {_BACKENDS_VARIABLE}"
    elif _native.BACKEND_DIRECTORY is not None:
        directory, source = _native.BACKEND_DIRECTORY, "the installed package"
    else:
        raise PyTritonServerError(
            "The native backend is missing: this is a source tree that was not built. "
            "Build and install the package with `pip install .` (or `pip install -e .`)."
        )
    library = directory / BACKEND_NAME / f"libtriton_{BACKEND_NAME}.so"
    if not library.is_file():
        raise PyTritonServerError(
            f"The native backend is missing: {source} leads to {library}, which is not a file. "
            "Build and install the package again."
        )
    return directory


def locate_preload_library() -> Path:
    """Find what is preloaded into a server."""
    library = (_native.BACKEND_DIRECTORY or locate_backends()) / BACKEND_NAME / _PRELOAD_LIBRARY
    if not library.is_file():
        raise PyTritonServerError(
            f"{library} is missing, without which the access token would be in the process list, "
            "and models without workers would count as ready. "
            "Build and install the package again."
        )
    return library


def _given(path: str | os.PathLike[str], source: str) -> Path:
    server = Path(path).expanduser().absolute()
    if server.is_dir():
        server = server / "bin" / _NAME
    if not server.is_file():
        raise PyTritonServerError(
            f"No Triton server was found: {source}, but {server} is not a file. "
            "Give the path of a tritonserver, or of the directory that has it as bin/tritonserver."
        )
    if not _is_executable(server):
        raise PyTritonServerError(
            f"The Triton server cannot be run: {source}, but {server} is not executable. Try `chmod +x`."
        )
    return server


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
