# One library and one test program a room.
#
#   dure_library(privacy/dp SOURCES a.cc b.cc LINK dure::crypto absl::status [PRIVATE OpenSSL::Crypto])
#     -> target dure::privacy_dp; headers are included as "privacy/dp/a.h".
#   dure_test(privacy/dp SOURCES a_test.cc LINK dure::privacy_dp)
#     -> program privacy_dp_test and one test of that name. Tests find data at
#        DURE_SOURCE_DIR (a macro), for example DURE_SOURCE_DIR "/tests/golden/x.csv".
#   dure_fuzzer(NAME SOURCES x_fuzz.cc LINK ...)
#     -> with -DDURE_FUZZ=ON (clang) a libFuzzer program (all of them: target `fuzzers`); without it
#        a test that replays the corpus in tests/fuzz/NAME/ and a fixed number of random and mutated
#        inputs through the same function.

function(dure_library room)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE" ${ARGN})
  string(REPLACE "/" "_" name ${room})
  add_library(dure_${name} STATIC ${ARG_SOURCES})
  add_library(dure::${name} ALIAS dure_${name})
  target_include_directories(dure_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                                                 $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}>
                                                 $<INSTALL_INTERFACE:include/dure>)
  target_link_libraries(dure_${name} PUBLIC ${ARG_LINK}
                                     PRIVATE ${ARG_PRIVATE} $<BUILD_INTERFACE:dure_warnings>)
endfunction()

function(dure_test room)
  cmake_parse_arguments(ARG "" "NAME;TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(NOT DURE_TESTS)
    return()
  endif()
  if(ARG_NAME)
    set(name ${ARG_NAME})
  else()
    string(REPLACE "/" "_" name ${room})
    set(name ${name}_test)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_compile_definitions(${name} PRIVATE DURE_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             DURE_BINARY_DIR="${PROJECT_BINARY_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_LINK} dure_warnings GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()

function(dure_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  if(NOT DURE_TESTS)
    return()
  endif()
  if(DURE_FUZZ)
    add_executable(${name} ${ARG_SOURCES})
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    if(NOT TARGET fuzzers)
      add_custom_target(fuzzers)
    endif()
    add_dependencies(fuzzers ${name})
  else()
    add_executable(${name} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/support/fuzz_replay_main.cc)
    add_test(NAME ${name} COMMAND ${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 120)
  endif()
  target_link_libraries(${name} PRIVATE ${ARG_LINK} dure_warnings)
endfunction()

# Has `name` remember what Ed25519 and X25519 answered: tests/support/remembered_crypto.cc.
function(dure_remember_crypto name)
  if(NOT TARGET ${name})
    return()
  endif()
  target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/remembered_crypto.cc)
  set(bytes "St4spanIKhLm18446744073709551615EE")
  foreach(function
          _ZN4dure15VerifySignatureERKSt5arrayIhLm32EE${bytes}S6_
          _ZNK4dure10SigningKey4SignE${bytes}
          _ZNK4dure16X25519PrivateKey5AgreeERKSt5arrayIhLm32EE
          _ZN4dure17IsUsableX25519KeyERKSt5arrayIhLm32EE)
    target_link_options(${name} PRIVATE "LINKER:--wrap=${function}")
  endforeach()
endfunction()
