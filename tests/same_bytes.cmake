# Runs a quickstart and the command line's `tune` of the same 12 steps: the adapters have the same bytes. The model is the one
# that `./run test` downloads. Run by ctest with COMMAND (a list), PROGRAM, RECORDS and WORK.
include(${CMAKE_CURRENT_LIST_DIR}/demo_model.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
run(${COMMAND} "${model}" ${RECORDS} "${WORK}/binding")
string(REGEX MATCHALL "loss [0-9.]+" losses "${out}")
list(LENGTH losses count)
if(NOT count EQUAL 12)
  message(FATAL_ERROR "want 12 losses, got:\n${out}")
endif()
run(${PROGRAM} tune --model "${model}" --train ${RECORDS} --steps 12 --out "${WORK}/program")
foreach(name adapter_config.json adapter_model.safetensors adapter.gguf)
  run(${CMAKE_COMMAND} -E compare_files "${WORK}/binding/${name}" "${WORK}/program/${name}")
endforeach()
