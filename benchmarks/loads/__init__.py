# SPDX-License-Identifier: Apache-2.0
"""The loads and their generators."""

from __future__ import annotations

from benchmarks.loads.load import LOADS, Load, Measured
from benchmarks.loads.perf_analyzer import PerfAnalyzer
from benchmarks.loads.wrk import Wrk

__all__ = ["LOADS", "Load", "Measured", "PerfAnalyzer", "Wrk"]
