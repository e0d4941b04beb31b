# What `find_package(dure)` finds in an installation: the libraries of which a trainer of one's own is
# made (docs/extending.md), their headers, and those of the messages they speak.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(rooms base crypto proto federation privacy/dp learner/data learner)
set(targets dure_trainer_program dure_sandbox)
foreach(room IN LISTS rooms)
  string(REPLACE "/" "_" name ${room})
  list(APPEND targets dure_${name})
  file(GLOB headers RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/${room}/*.h)
  # What includes LibTorch is for dure's own programs.
  list(FILTER headers EXCLUDE REGEX "_torch\\.h$")
  foreach(header IN LISTS headers)
    install(FILES ${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dure/${room}
            COMPONENT libraries)
  endforeach()
endforeach()
install(DIRECTORY ${PROJECT_BINARY_DIR}/proto/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dure/proto
        COMPONENT libraries
        FILES_MATCHING PATTERN "*.pb.h" PATTERN "*.grpc.pb.h" EXCLUDE PATTERN "CMakeFiles" EXCLUDE)

# dure::trainer_program is what a program links.
foreach(target IN LISTS targets)
  string(REGEX REPLACE "^dure_" "" short ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${short})
endforeach()
install(TARGETS ${targets} EXPORT dureTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/dure
        COMPONENT libraries)
install(EXPORT dureTargets NAMESPACE dure::
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/dure COMPONENT libraries)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/dureConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/dureConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/dure)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/dureConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/dureConfig.cmake ${PROJECT_BINARY_DIR}/dureConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/dure COMPONENT libraries)
