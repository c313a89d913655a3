# SPDX-License-Identifier: Apache-2.0
"""Import path of earlier versions; the example lives in `pytriton.check.example`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from pytriton.check.example import check_in_process, check_script
from pytriton.check.finding import Finding, Status

__all__ = ["add_sub_example", "add_sub_example_thread"]


def add_sub_example(workspace: Path | None, logger: logging.Logger) -> bool:
    """Serve a model in this process, ask it, log what comes out, and tell whether all was well."""
    return _log(check_in_process(workspace), logger)


def add_sub_example_thread(workspace: Path | None, logger: logging.Logger) -> bool:
    """Serve a model in a process of its own, ask it, log what comes out, and tell whether all was well."""
    return _log(check_script(workspace), logger)


def _log(findings: Iterator[Finding], logger: logging.Logger) -> bool:
    well = True
    for finding in findings:
        failed = finding.status is Status.FAILED
        logger.log(logging.ERROR if failed else logging.INFO, "%s: %s", finding.name, finding.text)
        well = well and not failed
    return well
