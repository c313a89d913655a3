# SPDX-License-Identifier: Apache-2.0
"""Import path of earlier versions; the functions live in `pytriton.telemetry`."""

from __future__ import annotations

from pytriton.telemetry.tracable_model import TracableModel
from pytriton.telemetry.tracing import (
    build_proxy_tracer_from_triton_config,
    end_span,
    get_span_dict,
    get_telemetry_tracer,
    parse_trace_config,
    raise_if_no_telemetry,
    set_telemetry_tracer,
    start_span_from_remote,
    start_span_from_span,
    traced_span,
)

__all__ = [
    "TracableModel",
    "build_proxy_tracer_from_triton_config",
    "end_span",
    "get_span_dict",
    "get_telemetry_tracer",
    "parse_trace_config",
    "raise_if_no_telemetry",
    "set_telemetry_tracer",
    "start_span_from_remote",
    "start_span_from_span",
    "traced_span",
]
