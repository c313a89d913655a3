# SPDX-License-Identifier: Apache-2.0
# Stops with one sentence where the machine cannot build the backend, and enables C++20 where it can.
if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  message(FATAL_ERROR "pytriton runs on Linux only and this is ${CMAKE_SYSTEM_NAME}: "
                      "build it on Linux, in WSL 2 or in a container.")
endif()

set(compiler_advice "install one (on Debian and Ubuntu: apt-get install g++) or set CXX to its path.")
include(CheckLanguage)
check_language(CXX)
if(NOT CMAKE_CXX_COMPILER)
  message(FATAL_ERROR "pytriton builds a small C++ library and found no C++20 compiler: ${compiler_advice}")
endif()
enable_language(CXX)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

# A compiler may accept -std=c++20 and still lack the library, so compile something.
if("cxx_std_20" IN_LIST CMAKE_CXX_COMPILE_FEATURES)
  include(CheckCXXSourceCompiles)
  check_cxx_source_compiles(
    "#include <bit>
     #include <concepts>
     #include <span>
     #include <stop_token>
     #include <thread>
     template <std::integral T> int size(std::span<const T> s) { return std::bit_width(s.size()); }
     int main() { std::jthread worker; std::stop_source source; return size(std::span<const int>{}); }"
    PYTRITON_HAVE_CXX20)
endif()
if(NOT PYTRITON_HAVE_CXX20)
  message(FATAL_ERROR "pytriton needs a C++20 compiler (GCC 11, Clang 14 or newer) and ${CMAKE_CXX_COMPILER} is "
                      "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}: ${compiler_advice}")
endif()
