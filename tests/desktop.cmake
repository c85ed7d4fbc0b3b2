# Runs a desktop-shaped example by desktop.py. The model is the one that `./run test` downloads. Run by ctest with HOW
# (done or stopped), PROGRAM, RECORDS and WORK.
include(${CMAKE_CURRENT_LIST_DIR}/demo_model.cmake)
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
execute_process(COMMAND python3 ${CMAKE_CURRENT_LIST_DIR}/desktop.py ${HOW} ${PROGRAM} "${model}" ${RECORDS}
                WORKING_DIRECTORY "${WORK}" COMMAND_ERROR_IS_FATAL ANY)
