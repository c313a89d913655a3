# SPDX-License-Identifier: Apache-2.0
"""Options of the Triton server: one table, from which flags, environment names and dictionaries follow."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import logging
import math
import os
import re
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pytriton.exceptions import PyTritonValidationError

__all__ = ["ENVIRONMENT_PREFIX", "Option", "TritonConfig", "options"]

LOGGER = logging.getLogger(__name__)

ENVIRONMENT_PREFIX: Final = "PYTRITON_TRITON_CONFIG_"
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})
_INDEXED: Final = re.compile(r"(?P<name>.+?)_(?P<index>\d+)")
_MAX_PORT: Final = 65535


@dataclasses.dataclass(kw_only=True)
class TritonConfig:
    """Options of the Triton server; what is left out is the server's own choice.

    Every field is a flag of the server: `http_port` is `--http-port`, and `PYTRITON_TRITON_CONFIG_HTTP_PORT`
    in the environment. Fields win over the environment, the environment over the server's defaults.
    """

    model_repository: Annotated[Path | None, "A model repository of your own; all its models are loaded."] = (
        None
    )
    id: Annotated[str | None, "Name of this server."] = None
    log_verbose: Annotated[int | None, "Level of verbose logging; 0 is off."] = None
    log_file: Annotated[Path | None, "File for the server's log, instead of Python logging."] = None
    exit_timeout_secs: Annotated[int | None, "Seconds that stop waits for requests in flight (30)."] = None
    exit_on_error: Annotated[bool | None, "Whether an error while starting ends the server."] = None
    strict_readiness: Annotated[bool | None, "Whether the server is ready only if all its models are."] = None
    allow_http: Annotated[bool | None, "Whether to serve HTTP."] = None
    http_address: Annotated[str | None, "Address of the HTTP endpoint (0.0.0.0)."] = None
    http_port: Annotated[int | None, "Port of the HTTP endpoint (8000)."] = None
    http_header_forward_pattern: Annotated[str | None, "HTTP headers to pass on: a regular expression."] = (
        None
    )
    http_thread_count: Annotated[int | None, "Threads of the HTTP endpoint."] = None
    http_restricted_api: Annotated[str | None, "APIs that need a header: <apis>:<key>=<value>."] = None
    allow_grpc: Annotated[bool | None, "Whether to serve gRPC."] = None
    grpc_address: Annotated[str | None, "Address of the gRPC endpoint (0.0.0.0)."] = None
    grpc_port: Annotated[int | None, "Port of the gRPC endpoint (8001)."] = None
    grpc_header_forward_pattern: Annotated[str | None, "gRPC metadata to pass on: a regular expression."] = (
        None
    )
    grpc_infer_allocation_pool_size: Annotated[int | None, "Requests and responses kept for reuse."] = None
    grpc_use_ssl: Annotated[bool | None, "Whether gRPC uses TLS."] = None
    grpc_use_ssl_mutual: Annotated[bool | None, "Whether gRPC clients must have a certificate too."] = None
    grpc_server_cert: Annotated[Path | None, "PEM file with the server's certificate."] = None
    grpc_server_key: Annotated[Path | None, "PEM file with the server's key."] = None
    grpc_root_cert: Annotated[Path | None, "PEM file with the root certificate."] = None
    grpc_infer_response_compression_level: Annotated[str | None, "none, low, medium or high."] = None
    grpc_keepalive_time: Annotated[int | None, "Milliseconds between keepalive pings."] = None
    grpc_keepalive_timeout: Annotated[int | None, "Milliseconds to wait for the answer to a ping."] = None
    grpc_keepalive_permit_without_calls: Annotated[bool | None, "Whether to ping while no call runs."] = None
    grpc_http2_max_pings_without_data: Annotated[int | None, "Pings allowed with no data to send."] = None
    grpc_http2_min_recv_ping_interval_without_data: Annotated[
        int | None, "Least milliseconds between pings."
    ] = None
    grpc_http2_max_ping_strikes: Annotated[int | None, "Bad pings before the connection is closed."] = None
    grpc_restricted_protocol: Annotated[
        str | None, "Protocols that need a header: <protocols>:<key>=<value>."
    ] = None
    allow_metrics: Annotated[bool | None, "Whether to serve Prometheus metrics."] = None
    allow_gpu_metrics: Annotated[bool | None, "Whether metrics include those of the GPUs."] = None
    allow_cpu_metrics: Annotated[bool | None, "Whether metrics include those of the CPUs."] = None
    metrics_interval_ms: Annotated[int | None, "Milliseconds between samples of the metrics."] = None
    metrics_port: Annotated[int | None, "Port of the metrics endpoint (8002)."] = None
    metrics_address: Annotated[str | None, "Address of the metrics endpoint (that of HTTP)."] = None
    allow_sagemaker: Annotated[bool | None, "Whether to serve SageMaker requests."] = None
    sagemaker_port: Annotated[int | None, "Port of the SageMaker endpoint (8080)."] = None
    sagemaker_safe_port_range: Annotated[
        str | None, "Ports that the other endpoints may use: <from>-<to>."
    ] = None
    sagemaker_thread_count: Annotated[int | None, "Threads of the SageMaker endpoint."] = None
    allow_vertex_ai: Annotated[bool | None, "Whether to serve Vertex AI requests."] = None
    vertex_ai_port: Annotated[int | None, "Port of the Vertex AI endpoint (8080)."] = None
    vertex_ai_thread_count: Annotated[int | None, "Threads of the Vertex AI endpoint."] = None
    vertex_ai_default_model: Annotated[str | None, "Model that serves Vertex AI requests naming none."] = None
    metrics_config: Annotated[list[str] | None, "Settings of the metrics: <setting>=<value>."] = None
    trace_config: Annotated[list[str] | None, "Settings of tracing: <mode>,<setting>=<value>."] = None
    cache_config: Annotated[list[str] | None, "Settings of response caches: <cache>,<setting>=<value>."] = (
        None
    )
    cache_directory: Annotated[str | None, "Directory of the response caches' libraries."] = None
    buffer_manager_thread_count: Annotated[int | None, "Threads that copy inputs and outputs."] = None
    # What 0.7 did not offer.
    model_repositories: Annotated[
        list[str] | None, "More model repositories; all their models are loaded.", "--model-repository"
    ] = None
    model_config_name: Annotated[
        str | None, "Which of their configurations those models are loaded with."
    ] = None
    model_load_thread_count: Annotated[int | None, "Threads that load models (4)."] = None
    model_load_retry_count: Annotated[int | None, "How often loading a model is tried again (0)."] = None
    model_load_gpu_limit: Annotated[
        list[str] | None, "GPU memory beyond which no model is loaded: <device>:<fraction>."
    ] = None
    reuse_http_port: Annotated[bool | None, "Whether several servers may share the HTTP port."] = None
    reuse_grpc_port: Annotated[bool | None, "Whether several servers may share the gRPC port."] = None
    grpc_max_connection_age: Annotated[int | None, "Milliseconds that a gRPC connection may last."] = None
    grpc_max_connection_age_grace: Annotated[
        int | None, "Milliseconds that its calls get after that to finish."
    ] = None
    log_info: Annotated[bool | None, "Whether the log has what is of level INFO."] = None
    log_warning: Annotated[bool | None, "Whether the log has warnings."] = None
    log_error: Annotated[bool | None, "Whether the log has errors."] = None
    log_format: Annotated[str | None, "Format of the log: default or ISO8601."] = None
    rate_limit: Annotated[str | None, "Rate limiting of model instances: execution_count or off (off)."] = (
        None
    )
    rate_limit_resource: Annotated[
        list[str] | None, "Resources of the rate limiter: <name>:<count>[:<device>]."
    ] = None
    host_policy: Annotated[list[str] | None, "Settings of host policies: <policy>,<setting>=<value>."] = None
    pinned_memory_pool_byte_size: Annotated[int | None, "Bytes of pinned memory for transfers (256 MB)."] = (
        None
    )
    cuda_memory_pool_byte_size: Annotated[
        list[str] | None, "Bytes of CUDA memory for transfers: <device>:<bytes> (64 MB)."
    ] = None
    cuda_virtual_address_size: Annotated[
        list[str] | None, "CUDA address space of growing states: <device>:<bytes> (1 GB)."
    ] = None
    enable_peer_access: Annotated[bool | None, "Whether GPUs may read each other's memory (true)."] = None
    min_supported_compute_capability: Annotated[
        float | None, "GPUs of a lower compute capability are not used."
    ] = None
    backend_config: Annotated[list[str] | None, "Settings of backends: <backend>,<setting>=<value>."] = None
    repoagent_directory: Annotated[Path | None, "Directory of the repository agents' libraries."] = None

    def __new__(cls, *args: Any, **fields: Any) -> TritonConfig:
        """Refuse positional arguments, in words."""
        if args:
            raise TypeError("TritonConfig initialization can't be used with positional arguments")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for option in options():
            value = getattr(self, option.name)
            if value is not None:
                setattr(self, option.name, option.parse(value, f"TritonConfig.{option.name}"))
        if self.allow_http is False and self.allow_grpc is False:
            raise PyTritonValidationError(
                "TritonConfig: allow_http and allow_grpc are both False; allow one of the two endpoints."
            )

    def to_dict(self) -> dict[str, Any]:
        """All fields by name, those left out as None."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> TritonConfig:
        """Make a configuration of values by field name; unknown names are only warned about."""
        known = {option.name for option in options()}
        for name in config:
            if name not in known:
                _warn_unknown(name)
        return cls(**{name: value for name, value in config.items() if name in known})

    @classmethod
    def from_env(cls) -> TritonConfig:
        """Make a configuration of the `PYTRITON_TRITON_CONFIG_*` variables.

        A list is one variable with one entry, or one variable per entry with the suffixes `_0`, `_1`, ...
        """
        given = {
            name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
            for name, value in os.environ.items()
            if name.startswith(ENVIRONMENT_PREFIX)
        }
        known = {option.name: option for option in options()}
        values: dict[str, Any] = {}
        entries: dict[str, dict[int, str]] = {}
        for name, value in given.items():
            indexed = _INDEXED.fullmatch(name)
            if name in known:
                variable = ENVIRONMENT_PREFIX + name.upper()
                parsed = known[name].parse(value, f"environment variable {variable}")
                if known[name].repeated:
                    entries.setdefault(name, {})[-1] = parsed[0]
                else:
                    values[name] = parsed
            elif indexed and (option := known.get(indexed["name"])) is not None and option.repeated:
                entries.setdefault(option.name, {})[int(indexed["index"])] = value
            else:
                _warn_unknown_variable(ENVIRONMENT_PREFIX + name.upper())
        for name, found in entries.items():
            values[name] = [entry for _, entry in sorted(found.items())]
        return cls(**values)

    def over(self, other: TritonConfig) -> TritonConfig:
        """This configuration, with the fields it leaves out taken from another one."""
        return TritonConfig(
            **{
                option.name: other_value if (value := getattr(self, option.name)) is None else value
                for option in options()
                for other_value in (getattr(other, option.name),)
            }
        )

    def arguments(self) -> list[str]:
        """Server arguments, one string each, so that a value may hold any character."""
        return [
            f"{option.flag}={_as_text(value)}"
            for option in options()
            if (given := getattr(self, option.name)) is not None
            for value in (given if option.repeated else (given,))
        ]


@dataclasses.dataclass(frozen=True)
class Option:
    """One row of the table: a field of TritonConfig and what follows from it."""

    name: str
    kind: type
    help: str
    flag: str
    prefix: str = ENVIRONMENT_PREFIX

    @property
    def variable(self) -> str:
        """The environment variable; lists add _0, _1, ..."""
        return self.prefix + self.name.upper()

    @property
    def repeated(self) -> bool:
        """Whether the flag is given once per entry of a list."""
        return self.kind is list

    def parse(self, value: Any, where: str) -> Any:
        """Convert a value, possibly text, to the field's type."""
        parsed = _PARSERS[self.kind](value, where)
        if self.name.endswith("_port") and not 0 < parsed <= _MAX_PORT:
            raise PyTritonValidationError(f"{where}: a port is 1 to {_MAX_PORT}, got {value!r}.")
        return parsed


@functools.cache
def options() -> tuple[Option, ...]:
    """Rows of the table, in the order of the fields."""
    hints = typing.get_type_hints(TritonConfig, include_extras=True)
    return tuple(_as_option(field.name, hints[field.name]) for field in dataclasses.fields(TritonConfig))


def _as_option(name: str, hint: Any) -> Option:
    optional, text, *flags = typing.get_args(hint)
    (given,) = (argument for argument in typing.get_args(optional) if argument is not types.NoneType)
    (flag,) = flags or ("--" + name.replace("_", "-"),)
    return Option(name, typing.get_origin(given) or given, text, flag)


def _parse_bool(value: Any, where: str) -> bool:
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise PyTritonValidationError(f"{where}: expected true or false, got {value!r}.")


def _parse_int(value: Any, where: str) -> int:
    try:
        if isinstance(value, str):
            return int(value)
        if not isinstance(value, bool) and int(value) == value:
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise PyTritonValidationError(f"{where}: expected an integer, got {value!r}.")


def _parse_float(value: Any, where: str) -> float:
    try:
        if not isinstance(value, bool) and math.isfinite(number := float(value)):
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    raise PyTritonValidationError(f"{where}: expected a number, got {value!r}.")


def _parse_str(value: Any, where: str) -> str:
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    if isinstance(value, (int, float)):
        return str(value)
    raise PyTritonValidationError(f"{where}: expected a string, got {value!r}.")


def _parse_path(value: Any, where: str) -> Path:
    if isinstance(value, (str, os.PathLike)) and os.fspath(value):
        return Path(value)
    raise PyTritonValidationError(f"{where}: expected a path, got {value!r}.")


def _parse_list(value: Any, where: str) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, (list, tuple)):
        return [_parse_str(entry, where) for entry in value]
    raise PyTritonValidationError(f"{where}: expected a list of strings, got {value!r}.")


_PARSERS: Final[dict[type, Callable[[Any, str], Any]]] = {
    bool: _parse_bool,
    int: _parse_int,
    float: _parse_float,
    str: _parse_str,
    Path: _parse_path,
    list: _parse_list,
}


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _warn_unknown(name: str) -> None:
    close = difflib.get_close_matches(name.removeprefix(ENVIRONMENT_PREFIX).lower(), _names(), 1)
    if not close:
        hint = ", see `pytriton config show` for those there are."
    elif name.startswith(ENVIRONMENT_PREFIX):
        hint = f"; did you mean {ENVIRONMENT_PREFIX}{close[0].upper()}?"
    else:
        hint = f"; did you mean {close[0]}?"
    LOGGER.warning("Ignoring %s, which is no option of the server%s", name, hint)


@functools.cache
def _warn_unknown_variable(name: str) -> None:
    """Warn about a variable; once, however often the environment is read."""
    _warn_unknown(name)


def _names() -> list[str]:
    return [option.name for option in options()]
