# SPDX-License-Identifier: Apache-2.0
"""Import path of earlier versions; the report lives in `pytriton.check.environment`."""

from __future__ import annotations

import json
import logging

from pytriton.check.environment import describe_environment

__all__ = ["env_checks"]


def env_checks(logger: logging.Logger) -> None:
    """Log what this machine and this Python have."""
    for name, value in describe_environment().items():
        logger.info("%s: %s", name, json.dumps(value, ensure_ascii=False))
