# Compiler, warnings, sanitizers, libraries. `chordfs_options` is the one target that everything links.

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR "GCC below 13 miscompiles coroutines: use Clang 16 or newer (-DCMAKE_CXX_COMPILER=clang++-19)")
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16)
  message(FATAL_ERROR "Clang below 16 lacks the C++23 that ChordFS uses: -DCMAKE_CXX_COMPILER=clang++-19")
endif()

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Debug, Release, RelWithDebInfo" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -gline-tables-only")
set(CHORDFS_SANITIZE "" CACHE STRING "Sanitizers for the whole build, as -fsanitize takes them: address,undefined,fuzzer-no-link or thread")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(Protobuf REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(spdlog REQUIRED)
find_package(GTest REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(FUSE3 REQUIRED IMPORTED_TARGET fuse3)
pkg_check_modules(ROCKSDB REQUIRED IMPORTED_TARGET rocksdb)
pkg_check_modules(ISAL REQUIRED IMPORTED_TARGET libisal)

add_library(chordfs_options INTERFACE)
target_include_directories(chordfs_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_definitions(chordfs_options INTERFACE BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  CHORDFS_VERSION="${PROJECT_VERSION}")
target_compile_options(chordfs_options INTERFACE -Wall -Wextra -Werror -Wshadow -Wno-missing-field-initializers
  -fno-omit-frame-pointer -Xclang -fno-pch-timestamp)
target_link_options(chordfs_options INTERFACE -fuse-ld=lld)
target_link_libraries(chordfs_options INTERFACE Boost::headers spdlog::spdlog)
if(CHORDFS_SANITIZE)
  target_compile_options(chordfs_options INTERFACE -fsanitize=${CHORDFS_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(chordfs_options INTERFACE -fsanitize=${CHORDFS_SANITIZE})
  if(CHORDFS_SANITIZE MATCHES "undefined")
    # A quarter of the build's time; what a null pointer is used for ends in a report of AddressSanitizer's as well.
    target_compile_options(chordfs_options INTERFACE -fno-sanitize=null,vptr)
  endif()
endif()
