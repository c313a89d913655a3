# SPDX-License-Identifier: Apache-2.0
"""What the clients ask and how they proceed, without input or output: no transport is imported here."""

from __future__ import annotations
