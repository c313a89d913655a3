# SPDX-License-Identifier: Apache-2.0
# Takes the server out of its pinned wheel and installs it in the relative layout its RPATHs expect.
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter)

set(server_directory "${CMAKE_CURRENT_BINARY_DIR}/server")
execute_process(
  COMMAND "${Python_EXECUTABLE}" "${CMAKE_CURRENT_LIST_DIR}/fetch_server.py" "${server_directory}"
          "--wheel=${PYTRITON_SERVER_WHEEL}"
  OUTPUT_VARIABLE server_problem
  OUTPUT_STRIP_TRAILING_WHITESPACE
  RESULT_VARIABLE server_result)
if(NOT server_result EQUAL 0)
  message(FATAL_ERROR "${server_problem}")
endif()

install(DIRECTORY "${server_directory}/" DESTINATION pytriton/_native USE_SOURCE_PERMISSIONS COMPONENT pytriton)
