# SPDX-License-Identifier: Apache-2.0
"""Import path of earlier versions; the classes live in `pytriton.request`."""

from __future__ import annotations

from pytriton.request import Request, Requests, Response, Responses

__all__ = ["Request", "Requests", "Response", "Responses"]
