# Runs a desktop-shaped example: it shows progress while it tunes, and answers from what it has learned. The model is the one
# that `./run test` downloads. Run by ctest with PROGRAM and RECORDS.
if(DEFINED ENV{FTLIB_TEST_MODELS})
  set(models "$ENV{FTLIB_TEST_MODELS}")
else()
  set(models "$ENV{HOME}/.cache/ftlib")
endif()
execute_process(COMMAND ${PROGRAM} "${models}/SmolLM2-135M-Instruct.Q4_1.gguf" ${RECORDS} "What do bees make?"
                RESULT_VARIABLE code OUTPUT_VARIABLE answer ERROR_VARIABLE shown)
if(NOT code EQUAL 0 OR NOT shown MATCHES "step 12 of 12, loss [0-9.]+ - done" OR NOT answer MATCHES "Honey")
  message(FATAL_ERROR "${PROGRAM} ended with ${code}:\n${shown}\n${answer}")
endif()
