# SPDX-License-Identifier: Apache-2.0
"""`pytriton init`: a small project to start from."""

from __future__ import annotations

__all__: list[str] = []
