# SPDX-License-Identifier: Apache-2.0
"""Where the built files are: the backend that Triton loads, and the server that comes with the package."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["BACKEND_DIRECTORY", "BUNDLED_DIRECTORY", "BUNDLED_LIBRARIES", "BUNDLED_SERVER", "CACHE_DIRECTORY"]


def _find(relative: str) -> Path | None:
    # An editable install keeps the sources and the built files in two directories; both are on __path__. In
    # the root of a clone its sources are imported, which were not built, and what was installed comes later.
    bases = [*__path__, *(str(Path(entry, "pytriton", "_native")) for entry in sys.path)]
    return next((path for base in bases if (path := Path(base, relative)).exists()), None)


def _parent(path: Path | None) -> Path | None:
    return path.parent if path is not None else None


BACKEND_DIRECTORY: Path | None = _parent(_find("backends/pytriton"))
"""Given to the server as --backend-directory; None in a source tree that was never built."""

BUNDLED_SERVER: Path | None = _find("triton/tritonserver/bin/tritonserver")
"""The tritonserver that came with the package; None if it was built with PYTRITON_BUNDLE_SERVER=OFF."""

CACHE_DIRECTORY: Path | None = _find("triton/tritonserver/caches")
"""Given to the bundled server as --cache-directory; None without that server."""

_BASE: Path = Path(__path__[0]) if CACHE_DIRECTORY is None else CACHE_DIRECTORY.parents[2]

BUNDLED_DIRECTORY: Path = _BASE / "triton" / "tritonserver"
"""Where the bundled server is, if there is one."""

BUNDLED_LIBRARIES: Path = _BASE / "nvidia_pytriton.libs"
"""Where the libraries of the bundled server are, if there is one."""
