# SPDX-License-Identifier: Apache-2.0
"""Tensors in shared memory of the system, which a server on the same machine maps."""

from __future__ import annotations
