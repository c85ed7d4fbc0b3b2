# Runs a desktop-shaped example: it shows progress while it tunes, and answers from what it has learned. The model is the one
# that `./run test` downloads. Run by ctest with PROGRAM and RECORDS.
include(${CMAKE_CURRENT_LIST_DIR}/demo_model.cmake)
execute_process(COMMAND ${PROGRAM} "${model}" ${RECORDS} "What do bees make?"
                RESULT_VARIABLE code OUTPUT_VARIABLE answer ERROR_VARIABLE shown)
if(NOT code EQUAL 0 OR NOT shown MATCHES "step 12 of 12, loss [0-9.]+ - done" OR NOT answer MATCHES "Honey")
  message(FATAL_ERROR "${PROGRAM} ended with ${code}:\n${shown}\n${answer}")
endif()
