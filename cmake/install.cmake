# Headers, archive, C library shared and static: find_package(ftlib COMPONENTS headers ftlib c c_static) and pkg-config; the
# same names are the components of `cmake --install --component`. c_static needs the component ftlib.
include(CMakePackageConfigHelpers)
set(ftlib_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ftlib)
set(ftlib_pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH ftlib_pc_to_prefix /${ftlib_pkgconfig_dir} /)  # so that an installation may be moved

install(DIRECTORY include/ftlib DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT headers)
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
  # A wheel holds no links: the library under the one name that programs load.
  install(FILES $<TARGET_FILE:ftlib_c> RENAME $<TARGET_SONAME_FILE_NAME:ftlib_c> DESTINATION . COMPONENT python
          EXCLUDE_FROM_ALL)
endif()

configure_package_config_file(cmake/ftlibConfig.cmake.in ${PROJECT_BINARY_DIR}/ftlibConfig.cmake
                              INSTALL_DESTINATION ${ftlib_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ftlibConfigVersion.cmake COMPATIBILITY SameMinorVersion)
foreach(component headers ftlib c c_static)  # each stands by itself
  install(FILES ${PROJECT_BINARY_DIR}/ftlibConfig.cmake ${PROJECT_BINARY_DIR}/ftlibConfigVersion.cmake
          DESTINATION ${ftlib_package_dir} COMPONENT ${component})
endforeach()
