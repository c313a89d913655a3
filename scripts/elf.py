# SPDX-License-Identifier: Apache-2.0
"""What the build and the packaging tests ask of an ELF file."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection

__all__ = ["Elf", "is_elf", "read_elf"]


@dataclass(frozen=True)
class Elf:
    needed: frozenset[str]
    rpath: tuple[str, ...]
    exported: frozenset[str]
    glibc: tuple[int, int]  # the newest version of a symbol that it refers to; (0, 0) if there is none


def is_elf(content: bytes) -> bool:
    return content.startswith(b"\x7fELF")


def read_elf(content: bytes) -> Elf:
    file = ELFFile(io.BytesIO(content))
    dynamic = file.get_section_by_name(".dynamic")
    assert isinstance(dynamic, DynamicSection)
    tags: list[Any] = list(dynamic.iter_tags())
    rpath = next((tag.rpath for tag in tags if tag.entry.d_tag == "DT_RPATH"), "")
    runpath = next((tag.runpath for tag in tags if tag.entry.d_tag == "DT_RUNPATH"), "")
    return Elf(
        needed=frozenset(tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"),
        rpath=tuple(filter(None, (runpath or rpath).split(":"))),
        exported=exported_symbols(file),
        glibc=newest_glibc(file),
    )


def exported_symbols(file: ELFFile) -> frozenset[str]:
    table = file.get_section_by_name(".dynsym")
    assert isinstance(table, SymbolTableSection)
    return frozenset(
        symbol.name
        for symbol in table.iter_symbols()
        if symbol["st_shndx"] != "SHN_UNDEF" and symbol["st_info"]["bind"] != "STB_LOCAL"
    )


def newest_glibc(file: ELFFile) -> tuple[int, int]:
    names = (
        auxiliary.name
        for section in file.iter_sections()
        if isinstance(section, GNUVerNeedSection)
        for _, auxiliaries in section.iter_versions()
        for auxiliary in auxiliaries
    )
    matches = (re.fullmatch(r"GLIBC_(\d+)\.(\d+)(\.\d+)?", name) for name in names)
    return max(((int(match[1]), int(match[2])) for match in matches if match), default=(0, 0))
