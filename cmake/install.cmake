# Headers, the archive, find_package(ftlib COMPONENTS headers ftlib) and pkg-config.
include(CMakePackageConfigHelpers)
set(ftlib_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ftlib)

install(DIRECTORY include/ftlib DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS ftlib_headers EXPORT ftlib_headers_targets)
install(EXPORT ftlib_headers_targets NAMESPACE ftlib:: DESTINATION ${ftlib_package_dir})

# ftlib_options is a target of this tree only: its warnings must not reach those who link the archive.
install(TARGETS ftlib EXPORT ftlib_ftlib_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS ftlib_options EXPORT ftlib_ftlib_targets)
install(EXPORT ftlib_ftlib_targets NAMESPACE ftlib:: DESTINATION ${ftlib_package_dir})

configure_package_config_file(cmake/ftlibConfig.cmake.in ${PROJECT_BINARY_DIR}/ftlibConfig.cmake
                              INSTALL_DESTINATION ${ftlib_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ftlibConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ftlibConfig.cmake ${PROJECT_BINARY_DIR}/ftlibConfigVersion.cmake
        DESTINATION ${ftlib_package_dir})

configure_file(cmake/ftlib.pc.in ${PROJECT_BINARY_DIR}/ftlib.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ftlib.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
