# Installs each component into a prefix of its own, where its program finds it and what is not there is refused; with
# each of g++ and clang that this machine has. Run by ctest with BUILD, GENERATOR, SOURCE and WORK.
include(${CMAKE_CURRENT_LIST_DIR}/consumer.cmake)

# The component is asked for where `there` is installed; what follows are the words of the refusal and more options.
function(refuse component there words)
  execute_process(COMMAND ${CMAKE_COMMAND} -G "${GENERATOR}" -S ${SOURCE}/component
                          -B "${WORK}/refused ${there} ${component}"
                          "-DCMAKE_PREFIX_PATH=${WORK}/only ${there}" -DCOMPONENT=${there} -DASKED=${component} ${ARGN}
                  RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  string(REGEX REPLACE "[ \n]+" " " out "${out}")  # CMake wraps lines
  string(FIND "${out}" "ftlib's component \"${component}\" ${words}" found)
  if(code EQUAL 0 OR found EQUAL -1)
    message(SEND_ERROR "${component} where ${there} is installed ended with ${code}, without \"${words}\":\n${out}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
foreach(component headers ftlib c c_static)
  install_into("${WORK}/only ${component}" --component ${component})
endforeach()
refuse(ftlib headers "is not installed in ${WORK}/only headers")
refuse(headers ftlib "is not installed in ${WORK}/only ftlib")
refuse(ftlib c "is not installed in ${WORK}/only c")
refuse(gpu c "does not exist; there are headers, ftlib, c and c_static")
refuse(c_static c_static "needs the component \"ftlib\", which is not installed in ${WORK}/only c_static")
refuse(ftlib ftlib "needs what find_package does not find: dnnl" -DCMAKE_DISABLE_FIND_PACKAGE_dnnl=ON)

install_into("${WORK}/only c_static" --component ftlib)
file(GLOB pc "${WORK}/only c_static/lib*/pkgconfig" "${WORK}/only c_static/lib/*/pkgconfig")
set(ENV{PKG_CONFIG_PATH} "${pc}")
foreach(compiler IN LISTS compilers)
  list(GET ${compiler}_compilers 0 c)
  list(GET ${compiler}_compilers 1 cxx)
  foreach(component headers ftlib c c_static)
    set(folder "${WORK}/${component} ${compiler}")
    build_consumer(${SOURCE}/component "${folder}" ${c} ${cxx} "-DCMAKE_PREFIX_PATH=${WORK}/only ${component}"
                   -DCOMPONENT=${component})
    run_consumer(${compiler} "${folder}/program")
  endforeach()
  run(pkg-config --static --cflags --libs ftlib-c)
  separate_arguments(flags UNIX_COMMAND "${out}")
  run(${c} -std=c99 -Wpedantic -Werror ${SOURCE}/shared.c -o "${folder}/by-pkgconfig" ${flags})
  run_consumer(${compiler} "${folder}/by-pkgconfig")
endforeach()
