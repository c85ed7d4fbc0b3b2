# SPDX-License-Identifier: Apache-2.0
# The linker keeps one copy of an inline function for the whole program. A kernel file that shares one with files built
# for the baseline CPU could give them its wide instructions, so every weak function there names the file's own vector.
execute_process(COMMAND nm ${ARCHIVE} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\navx[^\n]+\\.o:\n([^\n]+\n)+" members "\n${symbols}")
if(NOT members)
  message(FATAL_ERROR "${ARCHIVE} has no kernel file")
endif()
foreach(member IN LISTS members)
  string(REGEX MATCHALL "[0-9a-f]+ W [^\n]+" weak "${member}")
  list(FILTER weak EXCLUDE REGEX "Avx2Vector|Avx512Vector|Bf16Tile|__clang_call_terminate")  # the last: two plain calls
  string(REGEX MATCH "avx[^\n]+" file "${member}")
  foreach(symbol IN LISTS weak)
    string(APPEND shared "\n  ${file} ${symbol}")
  endforeach()
endforeach()
if(shared)
  message(FATAL_ERROR "functions that files for the baseline CPU may share:${shared}")
endif()
