#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks for what pip cannot install and installs it with apt-get where that is possible.
#
#   scripts/debian-deps.sh          what `make test` needs
#   scripts/debian-deps.sh bench    what `make bench` needs
set -eu

purpose=${1:-test}
missing=

need() { missing="$missing $1"; }

compiles() { # compiler, flags, source
  # shellcheck disable=SC2086
  printf '%s\n' "$3" | $1 $2 -x c++ -std=c++20 - -o /dev/null 2>/dev/null
}

need_fuzzer() {
  compiles clang++ -fsanitize=fuzzer,address \
    'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' && return
  need clang
  # The runtimes are in a package of their own on Debian and recent Ubuntu, whose name has clang's version.
  version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
  if [ -n "$version" ] && apt-cache show "libclang-rt-$version-dev" >/dev/null 2>&1; then
    need "libclang-rt-$version-dev"
  fi
}

collect() {
  missing=
  compiles "${CXX:-c++}" "" 'int main() {}' || need g++
  python3 -c 'import ensurepip, venv' 2>/dev/null || need python3-venv
  case $purpose in
    test)
      compiles "${CXX:-c++}" -fsyntax-only '#include <doctest/doctest.h>' || need doctest-dev
      need_fuzzer
      ;;
    bench)
      command -v wrk >/dev/null || need wrk
      command -v cmake >/dev/null || need cmake
      ldconfig -p 2>/dev/null | grep -q 'libb64\.so\.0d' || need libb64-0d
      ;;
    *)
      echo "debian-deps.sh: unknown purpose '$purpose': give test or bench" >&2
      exit 2
      ;;
  esac
}

collect
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "Missing, under their Debian names:$missing. Install them with this system's package manager." >&2
  exit 1
elif [ "$(id -u)" = 0 ]; then
  as_root="env"
elif sudo -n true 2>/dev/null; then
  as_root="sudo -n"
else
  echo "Missing:$missing. Run: sudo apt-get update && sudo apt-get install -y$missing" >&2
  exit 1
fi

# The fuzzer's package name needs the package lists, so look again once they are there.
$as_root apt-get update -qq
collect
echo "Installing:$missing"
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
