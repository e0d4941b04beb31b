# The rooms of the project and the arrows between them.
#
# `dure_arrow(ROOM below...)` says which rooms a file in ROOM may include; what those may include
# is allowed too. docs/ARCHITECTURE.md explains the table. A new arrow is a change to this file,
# made by itself. The check runs whenever CMake configures, and as the test `rooms`:
#
#   cmake -P cmake/rooms.cmake

cmake_minimum_required(VERSION 3.25)

set(DURE_ROOMS "")
macro(dure_arrow room)
  list(APPEND DURE_ROOMS ${room})
  set(DURE_BELOW_${room} ${ARGN})
endmacro()

dure_arrow(base)
dure_arrow(crypto base)
dure_arrow(proto base)
dure_arrow(federation base crypto proto)
dure_arrow(privacy/dp base crypto)
dure_arrow(privacy/secagg base crypto proto)
dure_arrow(aggregation base)
dure_arrow(audit base crypto proto)
dure_arrow(federation/terms federation privacy/dp privacy/secagg aggregation)
dure_arrow(learner/data base federation)
dure_arrow(learner base proto federation learner/data privacy/dp)
dure_arrow(transport base crypto proto)
dure_arrow(coordinator federation/terms aggregation learner)
dure_arrow(coordinator/service coordinator transport audit)
dure_arrow(client federation/terms learner)
dure_arrow(client/service client transport audit)
dure_arrow(simulation coordinator client)

# Rooms that may include anything.
set(DURE_OPEN_ROOMS cli tests examples)

# Every room that `room` may include, itself included, in `out`.
function(dure_rooms_below room out)
  set(seen "${room}")
  set(open "${room}")
  while(open)
    list(POP_FRONT open next)
    foreach(below IN LISTS DURE_BELOW_${next})
      if(NOT below IN_LIST seen)
        list(APPEND seen ${below})
        list(APPEND open ${below})
      endif()
    endforeach()
  endwhile()
  set(${out} "${seen}" PARENT_SCOPE)
endfunction()

# The room of `path` (relative to the project): the longest folder that is a room.
function(dure_room_of path out)
  get_filename_component(folder "${path}" DIRECTORY)
  while(folder AND NOT folder IN_LIST DURE_ROOMS AND NOT folder IN_LIST DURE_OPEN_ROOMS)
    get_filename_component(folder "${folder}" DIRECTORY)
  endwhile()
  set(${out} "${folder}" PARENT_SCOPE)
endfunction()

# Foreign headers and the files that may include them (a regular expression on the path).
set(DURE_FOREIGN
  "(torch|ATen|c10)/" "^learner/.*_torch(_test)?\\.(h|cc)$"
  "openssl/" "^crypto/.*\\.cc$"
  "(grpcpp|grpc)/" "^(transport|coordinator/service|cli|tests)/.*\\.cc$"
  "sqlite3\\.h" "^coordinator/service/.*\\.cc$"
  "toml\\+\\+/" "^federation/.*\\.cc$"
  "spdlog/" "^base/.*\\.cc$"
  "kissfft/" "^privacy/dp/.*\\.cc$"
  "httplib\\.h" "^coordinator/service/web_server\\.cc$"
  "prometheus/" "^coordinator/service/web_metrics\\.cc$"
  "mpi\\.h" "^simulation/mpi_ranks\\.cc$"
  "CLI/" "^cli/.*\\.(h|cc)$|^(learner|simulation)/.*_main\\.cc$")

function(dure_check_rooms root)
  set(faults "")
  set(files "")
  foreach(room IN LISTS DURE_ROOMS DURE_OPEN_ROOMS)
    file(GLOB_RECURSE found RELATIVE "${root}" "${root}/${room}/*.h" "${root}/${room}/*.cc")
    list(APPEND files ${found})
  endforeach()
  list(REMOVE_DUPLICATES files)
  foreach(path IN LISTS files)
    dure_room_of("${path}" room)
    dure_rooms_below("${room}" allowed)
    file(STRINGS "${root}/${path}" lines REGEX "^#include ")
    foreach(line IN LISTS lines)
      string(REGEX MATCH "[<\"]([^>\"]+)[>\"]" unused "${line}")
      set(header "${CMAKE_MATCH_1}")
      if(line MATCHES "^#include \"" AND NOT room IN_LIST DURE_OPEN_ROOMS)
        dure_room_of("${header}" other)
        if(path MATCHES "_test\\.cc$" AND header MATCHES "^tests/support/")
          continue()
        endif()
        if(other AND NOT other IN_LIST allowed)
          list(APPEND faults "${path} includes \"${header}\": ${room} may not include ${other}")
        endif()
      endif()
      set(foreign ${DURE_FOREIGN})
      while(foreign)
        list(POP_FRONT foreign pattern places)
        if(header MATCHES "^${pattern}" AND NOT path MATCHES "${places}")
          list(APPEND faults "${path} includes <${header}>: allowed only in ${places}")
        endif()
      endwhile()
    endforeach()
  endforeach()
  if(faults)
    list(JOIN faults "\n  " text)
    message(FATAL_ERROR "arrows between rooms that cmake/rooms.cmake does not allow:\n  ${text}")
  endif()
endfunction()

if(CMAKE_SCRIPT_MODE_FILE)
  get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}" DIRECTORY)
  dure_check_rooms("${root}")
  message(STATUS "rooms: every arrow is allowed")
endif()
