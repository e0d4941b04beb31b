# Debian packages: `cpack --config build/release/CPackConfig.cmake` writes
#
#   dure          the command, the coordinator and the client; no LibTorch
#   dure-learner  the programs in libexec/dure that train, simulate and measure
#   libdure-dev   headers and libraries of which a trainer of one's own is made
#
# scripts/check-packages installs and runs them on a fresh Debian.
include(GNUInstallDirs)

set(DURE_MAINTAINER "The dure authors <maintainers@dure.invalid>" CACHE STRING
    "Maintainer of the Debian packages: NAME <ADDRESS>")
# Of the source, so that a build can be repeated: SOURCE_DATE_EPOCH, as CMake knows it.
string(TIMESTAMP DURE_CHANGELOG_DATE "%a, %d %b %Y 00:00:00 +0000" UTC)
configure_file(deploy/debian/changelog.in ${PROJECT_BINARY_DIR}/deploy/changelog @ONLY)
find_program(DURE_GZIP gzip REQUIRED)
execute_process(COMMAND ${DURE_GZIP} -9nkf ${PROJECT_BINARY_DIR}/deploy/changelog
                COMMAND_ERROR_IS_FATAL ANY)
configure_file(CHANGELOG.md ${PROJECT_BINARY_DIR}/deploy/CHANGELOG.md COPYONLY)
execute_process(COMMAND ${DURE_GZIP} -9nkf ${PROJECT_BINARY_DIR}/deploy/CHANGELOG.md
                COMMAND_ERROR_IS_FATAL ANY)

set(dure_package_programs dure)
set(dure_package_learner dure-learner)
set(dure_package_libraries libdure-dev)
set(components programs learner libraries)
foreach(component IN LISTS components)
  install(FILES ${PROJECT_SOURCE_DIR}/deploy/debian/copyright
                ${PROJECT_BINARY_DIR}/deploy/changelog.gz
          DESTINATION share/doc/${dure_package_${component}} COMPONENT ${component}
          EXCLUDE_FROM_ALL)
endforeach()
install(FILES ${PROJECT_BINARY_DIR}/deploy/CHANGELOG.md.gz ${PROJECT_SOURCE_DIR}/README.md
        DESTINATION share/doc/dure COMPONENT programs)
install(FILES ${PROJECT_SOURCE_DIR}/deploy/systemd/dure-coordinator@.service
        DESTINATION lib/systemd/system COMPONENT programs)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME dure)
set(CPACK_PACKAGE_VENDOR dure)
# Else CPack puts it before the first line of every package's own description.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_PACKAGE_CONTACT "${DURE_MAINTAINER}")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
# Folders of packages are for everybody to read, whatever the umask here.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_ALL ${components})
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME dure)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_DEPENDS "adduser")
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_RECOMMENDS "libjs-chart.js")
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SUGGESTS "dure-learner")
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_CONTROL_EXTRA
    "${PROJECT_SOURCE_DIR}/deploy/debian/postinst;${PROJECT_SOURCE_DIR}/deploy/debian/postrm")
set(CPACK_DEBIAN_PROGRAMS_DESCRIPTION "decentralised federated learning
Trains one open model together, while everybody's data stays at home. Members
compute on their own machines; what they send is masked, so that a coordinator
learns sums alone, and noised, so that a model says little of any record.
.
This package has the command dure: the coordinator of a federation, and the
client of a member, who needs dure-learner as well. It does not use LibTorch.")

set(CPACK_DEBIAN_LEARNER_PACKAGE_NAME dure-learner)
set(CPACK_DEBIAN_LEARNER_PACKAGE_SECTION science)
set(CPACK_DEBIAN_LEARNER_PACKAGE_DEPENDS "dure (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_LEARNER_PACKAGE_SUGGESTS "openmpi-bin, dataset-fashion-mnist")
set(CPACK_DEBIAN_LEARNER_DESCRIPTION "local training of dure, with LibTorch
The programs of dure that train, run, measure and simulate models: what the
machine of a member or of a researcher needs. A coordinator needs only dure.")

set(CPACK_DEBIAN_LIBRARIES_PACKAGE_NAME libdure-dev)
set(CPACK_DEBIAN_LIBRARIES_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBRARIES_PACKAGE_DEPENDS "libabsl-dev, libprotobuf-dev, libssl-dev, \
libspdlog-dev, libseccomp-dev, libtomlplusplus-dev, nlohmann-json3-dev, zlib1g-dev")
set(CPACK_DEBIAN_LIBRARIES_PACKAGE_SUGGESTS "dure, cmake")
set(CPACK_DEBIAN_LIBRARIES_DESCRIPTION "trainers of one's own for dure, in C++
Headers, static libraries and a CMake package for a trainer program that dure's
client starts in the place of its own, in the same sandbox: find_package(dure).")
include(CPack)
