# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks ask of the package beyond its interface."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.cache import Cache
from benchmarks.measure.full_batch import measure_full_batch
from benchmarks.subjects.pytriton import PyTriton
from benchmarks.workbench import Workbench


def test_a_full_batch_is_copied_once_in_and_at_most_twice_out(tmp_path: Path) -> None:
    subject = PyTriton(Workbench(Cache(tmp_path / "cache"), Path(sys.executable)))
    counted = measure_full_batch(subject, tmp_path)
    assert [batch.rows for batch in counted] == [128] * 3
    assert all(batch.copies_in == 1 and 1 <= batch.copies_out <= 2 for batch in counted)
