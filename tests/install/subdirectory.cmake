# Builds and runs a program that has the source of ftlib in its tree, with the compilers of this build. Run by ctest
# with GENERATOR, SOURCE, WORK, C and CXX (the compilers), C_ID and CXX_ID (what CMake calls them).
include(${CMAKE_CURRENT_LIST_DIR}/consumer.cmake)
build_consumer(${SOURCE}/subdirectory "${WORK}" ${C} ${CXX} "-DFTLIB_SOURCE=${SOURCE}/../.." -DCMAKE_BUILD_TYPE=Debug
               -DCMAKE_CXX_FLAGS_DEBUG=)
foreach(program archive header_only)
  run_consumer(${CXX_ID} "${WORK}/${program}")
endforeach()
foreach(program shared static)
  run_consumer(${C_ID} "${WORK}/${program}")
endforeach()
