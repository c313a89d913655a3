# SPDX-License-Identifier: Apache-2.0
"""Tables, a picture and the verdict, all from the JSON of one run."""

from __future__ import annotations

__all__: list[str] = []
