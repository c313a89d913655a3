# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared."""

from __future__ import annotations

from benchmarks.subjects.fastapi import FastAPI
from benchmarks.subjects.litserve import LitServe
from benchmarks.subjects.noop import Noop
from benchmarks.subjects.python_backend import PythonBackend
from benchmarks.subjects.pytriton import PyTriton
from benchmarks.subjects.pytriton_0_7 import PyTriton07
from benchmarks.subjects.subject import Endpoints, Launch, Subject

__all__ = ["SUBJECTS", "Endpoints", "Launch", "Subject"]

SUBJECTS: tuple[type[Subject], ...] = (PyTriton, Noop, PythonBackend, PyTriton07, FastAPI, LitServe)
