# SPDX-License-Identifier: Apache-2.0
"""Print the directory that a server of one's own needs as --backend-directory."""

from __future__ import annotations

from pytriton import _native

__all__: list[str] = []

if __name__ == "__main__":
    print(_native.BACKEND_DIRECTORY)
