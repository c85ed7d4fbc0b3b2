# What the tests of this folder share. They install ftlib from BUILD and build programs of somebody else's with
# GENERATOR; all builds are out of tree, all paths have a space.
include(${CMAKE_CURRENT_LIST_DIR}/../run.cmake)
set(GNU_compilers gcc g++)
set(Clang_compilers clang clang++)
set(compilers "")  # those that this machine has
foreach(compiler GNU Clang)
  list(GET ${compiler}_compilers 1 cxx)
  find_program(${compiler}_path ${cxx})
  if(${compiler}_path)
    list(APPEND compilers ${compiler})
  else()
    message(STATUS "${cxx} is not here: not tried")
  endif()
endforeach()

# Whatever is installed has to say whose it is.
function(install_into prefix)
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix "${prefix}" ${ARGN})
  foreach(document LICENSE THIRD_PARTY.md ftlib.spdx.json)
    file(GLOB found "${prefix}/share/doc/*/${document}")
    if(NOT found)
      message(SEND_ERROR "${prefix} has no ${document}")
    endif()
  endforeach()
endfunction()

# Configures afresh: a folder that another compiler was used in would keep some of its settings and lose others.
function(build_consumer source folder c cxx)
  run(${CMAKE_COMMAND} --fresh -G "${GENERATOR}" -S ${source} -B "${folder}" -DCMAKE_C_COMPILER=${c}
      -DCMAKE_CXX_COMPILER=${cxx} ${ARGN})
  run(${CMAKE_COMMAND} --build "${folder}")
endfunction()

# A program prints first which compiler built it.
function(run_consumer compiler)
  run(${ARGN})
  if(NOT out MATCHES "^${compiler}\n")
    message(FATAL_ERROR "${ARGN} is to be built by ${compiler}, and prints:\n${out}")
  endif()
endfunction()
