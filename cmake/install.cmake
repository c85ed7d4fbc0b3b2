# Headers, archive, C library shared and static: find_package(ftlib COMPONENTS headers ftlib c c_static) and pkg-config;
# the same names are the components of `cmake --install --component`. Each is enough by itself but c_static, over ftlib.
include(CMakePackageConfigHelpers)
set(ftlib_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ftlib)
set(ftlib_pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH ftlib_pc_to_prefix /${ftlib_pkgconfig_dir} /)  # so that an installation may be moved

foreach(component headers ftlib)  # the archive is of no use without them
  install(DIRECTORY include/ftlib DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT ${component})
endforeach()
install(TARGETS ftlib_headers EXPORT ftlib_headers_targets COMPONENT headers)
install(EXPORT ftlib_headers_targets NAMESPACE ftlib:: DESTINATION ${ftlib_package_dir} COMPONENT headers)

# ftlib_options is a target of this tree only: its warnings must not reach those who link the archive.
install(TARGETS ftlib EXPORT ftlib_ftlib_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ftlib)
install(TARGETS ftlib_options EXPORT ftlib_ftlib_targets COMPONENT ftlib)
install(EXPORT ftlib_ftlib_targets NAMESPACE ftlib:: DESTINATION ${ftlib_package_dir} COMPONENT ftlib)
configure_file(cmake/ftlib.pc.in ${PROJECT_BINARY_DIR}/ftlib.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ftlib.pc DESTINATION ${ftlib_pkgconfig_dir} COMPONENT ftlib)

if(TARGET ftlib_c)
  configure_file(cmake/ftlib-c.pc.in ${PROJECT_BINARY_DIR}/ftlib-c.pc @ONLY)
  foreach(component c c_static)
    install(FILES capi/ftlib_c.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT ${component})
    install(TARGETS ftlib_${component} EXPORT ftlib_${component}_targets DESTINATION ${CMAKE_INSTALL_LIBDIR}
            COMPONENT ${component})
    install(EXPORT ftlib_${component}_targets NAMESPACE ftlib:: DESTINATION ${ftlib_package_dir} COMPONENT ${component})
    install(FILES ${PROJECT_BINARY_DIR}/ftlib-c.pc DESTINATION ${ftlib_pkgconfig_dir} COMPONENT ${component})
  endforeach()
endif()

configure_package_config_file(cmake/ftlibConfig.cmake.in ${PROJECT_BINARY_DIR}/ftlibConfig.cmake
                              INSTALL_DESTINATION ${ftlib_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ftlibConfigVersion.cmake COMPATIBILITY SameMinorVersion)

# The SBOM of this build: the table of tools/third_party.py with the versions that were found. Its date is SOURCE_DATE_EPOCH's
# or none, so that two builds are one.
file(READ cmake/ftlib.spdx.json.in ftlib_sbom)
if(TARGET ftlib_cli)
  foreach(package CLI11 yaml-cpp)
    get_directory_property(${package}_VERSION DIRECTORY cli DEFINITION ${package}_VERSION)
  endforeach()
  string(REPLACE "@program@" "" ftlib_sbom "${ftlib_sbom}")
else()
  string(REGEX REPLACE "@program@[^\n]*\n" "" ftlib_sbom "${ftlib_sbom}")
endif()
set(ftlib_sbom_created 1970-01-01T00:00:00Z)
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  string(TIMESTAMP ftlib_sbom_created "%Y-%m-%dT%H:%M:%SZ" UTC)
endif()
string(CONFIGURE "${ftlib_sbom}" ftlib_sbom_versions @ONLY)
string(UUID ftlib_sbom_uuid NAMESPACE 6ba7b811-9dad-11d1-80b4-00c04fd430c8 NAME "${ftlib_sbom_versions}" TYPE SHA1)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/ftlib.spdx.json CONTENT "${ftlib_sbom}" @ONLY)

foreach(component headers ftlib c c_static)  # whichever of them is installed can be found, and says what it is
  install(FILES ${PROJECT_BINARY_DIR}/ftlibConfig.cmake ${PROJECT_BINARY_DIR}/ftlibConfigVersion.cmake
          DESTINATION ${ftlib_package_dir} COMPONENT ${component})
  install(FILES LICENSE THIRD_PARTY.md ${PROJECT_BINARY_DIR}/ftlib.spdx.json DESTINATION ${CMAKE_INSTALL_DOCDIR}
          COMPONENT ${component})
endforeach()

# The wheel: no links, so the library under the one name that programs load; the licences of what is in it, compiled or beside.
if(SKBUILD)
  find_package(Python REQUIRED COMPONENTS Interpreter)
  execute_process(COMMAND ${Python_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/third_party.py licences
                          ${PROJECT_BINARY_DIR}/licences COMMAND_ERROR_IS_FATAL ANY)
  install(FILES $<TARGET_FILE:ftlib_c> RENAME $<TARGET_SONAME_FILE_NAME:ftlib_c> DESTINATION . COMPONENT python)
  install(DIRECTORY ${PROJECT_BINARY_DIR}/licences/ DESTINATION ${SKBUILD_METADATA_DIR}/licenses COMPONENT python)
  install(FILES ${PROJECT_BINARY_DIR}/ftlib.spdx.json DESTINATION ${SKBUILD_METADATA_DIR}/sboms COMPONENT python)
endif()
