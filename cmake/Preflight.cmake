# How every target of the project is built: one place for warnings, sanitizers and test wiring.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(tl-expected REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Vulkan REQUIRED)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(preflight_flags INTERFACE)
target_include_directories(preflight_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_options(preflight_flags INTERFACE -Wall -Wextra -Wpedantic -Werror -Wconversion
  -Wsign-conversion -Wshadow -Wnon-virtual-dtor -Wold-style-cast -ffp-contract=off)
# What was compiled and measured by one build is not taken for another's (vk/build_id.h).
target_link_options(preflight_flags INTERFACE -Wl,--build-id=sha1)
target_link_libraries(preflight_flags INTERFACE fmt::fmt tl::expected nlohmann_json::nlohmann_json Threads::Threads)
if(PREFLIGHT_SANITIZE)
  # GCC 12 sees uninitialised values in the standard library's own headers once they are instrumented.
  target_compile_options(preflight_flags INTERFACE -fsanitize=address,undefined
    -fno-sanitize-recover=all -fno-omit-frame-pointer -Wno-maybe-uninitialized)
  target_link_options(preflight_flags INTERFACE -fsanitize=address,undefined)
endif()

# For the folder it is called in: code that waits for people, sockets and the device, where optimising
# further takes a third of the compiler's time and brings nothing.
macro(preflight_waiting_code)
  add_compile_options($<$<CONFIG:Release>:-O1>)
endmacro()

# preflight_library(NAME SOURCES a.cpp ... LINK target ...)
function(preflight_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC preflight_flags ${arg_LINK})
endfunction()

# preflight_program(NAME SOURCES a.cpp ... LINK target ...): lands in <build>/bin
function(preflight_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE preflight_flags ${arg_LINK})
endfunction()

# What the sanitizers run: the test programs marked SANITIZED, which get the label host. They are
# those of the code that reads foreign input, and of the daemon and the client as programs.
add_custom_target(host_tests)

# preflight_test(NAME [SANITIZED] SOURCES a.cpp ... LINK target ... [LABELS ...] [NEEDS program ...])
# One GoogleTest program, one ctest entry. PREFLIGHT_BIN is the folder of the built programs; NEEDS
# names those that the test starts.
function(preflight_test name)
  cmake_parse_arguments(arg "SANITIZED" "TIMEOUT" "SOURCES;LINK;LABELS;NEEDS" ${ARGN})
  find_package(GTest REQUIRED)
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE preflight_flags ${arg_LINK} GTest::gtest GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE PREFLIGHT_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data"
    PREFLIGHT_SOURCE="${CMAKE_SOURCE_DIR}" PREFLIGHT_BIN="${CMAKE_BINARY_DIR}/bin")
  if(arg_NEEDS)
    add_dependencies(${name} ${arg_NEEDS})
  endif()
  if(arg_SANITIZED)
    list(APPEND arg_LABELS host)
    add_dependencies(host_tests ${name})
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 600)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  # What may take longest starts first, so that no core waits for one test at the end.
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${arg_TIMEOUT} COST ${arg_TIMEOUT} LABELS "${arg_LABELS}")
endfunction()
