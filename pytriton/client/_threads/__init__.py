# SPDX-License-Identifier: Apache-2.0
"""What threads of the clients need: pools of them, futures, ending what one waits for, forks."""

from __future__ import annotations
