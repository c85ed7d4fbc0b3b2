# The warnings, hardening and code generation of every target of this tree; consumers see none of it.
include(CheckCXXCompilerFlag)
include(CheckPIESupported)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# The same bytes wherever they are built. A debugger of a Debug build finds the source by itself.
add_compile_options("$<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.>"
                    "$<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${CMAKE_BINARY_DIR}=./build>")
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
string(REPLACE "-O3" "-O2" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
add_compile_definitions(EIGEN_MPL2_ONLY)

add_library(ftlib_options INTERFACE)
target_compile_options(ftlib_options INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wformat=2 -ffp-contract=off
                                               $<$<BOOL:${FTLIB_WERROR}>:-Werror>)

# Hardening, as the OpenSSF's guide to compiler options has it; what a compiler does not know is left out. A return address
# that was overwritten, and a write that _FORTIFY_SOURCE sees pass its buffer, end the process: its memory is no longer its
# own. -D_GLIBCXX_ASSERTIONS is not among them: it aborts where the library promises an error value.
check_pie_supported()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(FTLIB_SANITIZE)  # sees more, and wants the plain functions; its checks blind g++ to what was initialised
  target_compile_options(ftlib_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  add_compile_options(-fsanitize=${FTLIB_SANITIZE} -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${FTLIB_SANITIZE})
else()
  foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fstrict-flex-arrays=3
               -ftrivial-auto-var-init=zero)
    string(MAKE_C_IDENTIFIER "ftlib_knows${flag}" known)
    check_cxx_compiler_flag(${flag} ${known})
    if(${known})
      add_compile_options(${flag})
    endif()
  endforeach()
  add_compile_options("$<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>")  # it needs an optimiser
  add_link_options(LINKER:-z,relro,-z,now,-z,noexecstack LINKER:--as-needed)
endif()
