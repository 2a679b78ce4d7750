# chordfs_library(NAME SOURCES a.cc … DEPENDS lib …): one static library per folder, named after it.
# chordfs_program(NAME SOURCES … DEPENDS …): a program in build/bin.
# chordfs_test(NAME SOURCES … DEPENDS … LABEL unit|sim …): a GoogleTest program, one ctest entry. The further label
#   tsan: it has threads, so that the thread sanitizer is worth its time. The target tests_LABEL builds all of a label.
#   SHARDS n: n ctest entries, each with its share of the tests, so that a long one uses several cores.
# chordfs_fuzz(NAME SOURCES … DEPENDS …): a libFuzzer program, built where CHORDFS_SANITIZE has fuzzer-no-link; its ctest
#   entry, label fuzz, runs the corpus tests/fuzz/corpus/NAME and then looks further for CHORDFS_FUZZ_SECONDS.

function(chordfs_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC chordfs_options ${arg_DEPENDS})
  chordfs_precompile(${name})
endfunction()

function(chordfs_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE chordfs_options ${arg_DEPENDS})
  chordfs_precompile(${name})
endfunction()

function(chordfs_test name)
  cmake_parse_arguments(arg "" "SHARDS" "SOURCES;DEPENDS;LABEL" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE chordfs_options ${arg_DEPENDS} GTest::gtest GTest::gmock GTest::gtest_main)
  chordfs_precompile(${name})
  if(arg_SHARDS)
    foreach(shard RANGE 1 ${arg_SHARDS})
      math(EXPR index "${shard} - 1")
      add_test(NAME ${name}_${shard} COMMAND ${name})
      # A simulation makes and drops small objects by the million: glibc is to keep more than seven of a size at hand.
      set_tests_properties(${name}_${shard} PROPERTIES LABELS "${arg_LABEL}" ENVIRONMENT
        "GTEST_TOTAL_SHARDS=${arg_SHARDS};GTEST_SHARD_INDEX=${index};GLIBC_TUNABLES=glibc.malloc.tcache_count=1000")
    endforeach()
  else()
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS "${arg_LABEL}")
  endif()
  foreach(label ${arg_LABEL})
    if(NOT TARGET tests_${label})
      add_custom_target(tests_${label})
    endif()
    add_dependencies(tests_${label} ${name})
  endforeach()
endfunction()

function(chordfs_fuzz name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  if(NOT CHORDFS_SANITIZE MATCHES "fuzzer-no-link")
    return()
  endif()
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE chordfs_options ${arg_DEPENDS})
  chordfs_precompile(${name})
  add_test(NAME ${name} COMMAND ${PROJECT_SOURCE_DIR}/tests/fuzz/run.sh $<TARGET_FILE:${name}>
    ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name} ${PROJECT_BINARY_DIR}/fuzz/${name})
  set_tests_properties(${name} PROPERTIES LABELS fuzz)
  if(NOT TARGET tests_fuzz)
    add_custom_target(tests_fuzz)
  endif()
  add_dependencies(tests_fuzz ${name})
endfunction()

# One precompiled header for all: Asio and protobuf cost seconds per source file otherwise.
function(chordfs_precompile name)
  if(name STREQUAL "chordfs_base")
    target_precompile_headers(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tools/cmake/precompiled.h)
  else()
    target_precompile_headers(${name} REUSE_FROM chordfs_base)
  endif()
endfunction()

# Adds the folders named, in this order; one without a CMakeLists.txt (a folder of scripts) is passed over.
function(chordfs_folders)
  foreach(folder ${ARGN})
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt)
      add_subdirectory(${folder})
    endif()
  endforeach()
endfunction()
