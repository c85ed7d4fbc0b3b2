# ftlib_options: the warnings and hardening of every target of this tree; never seen by consumers.
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

add_library(ftlib_options INTERFACE)
target_compile_options(ftlib_options INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -ffp-contract=off
                                               $<$<BOOL:${FTLIB_WERROR}>:-Werror>)
if(FTLIB_SANITIZE)
  add_compile_options(-fsanitize=${FTLIB_SANITIZE} -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${FTLIB_SANITIZE})
endif()
