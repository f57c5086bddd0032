# Shaders: GLSL compute source to checked, optimised SPIR-V inside a static library.
#
#   preflight_shader(NAME matvec_q4_0 SOURCE matvec.comp DEFINES WEIGHT_Q4_0 ROWS=4)
#   preflight_shader_library(preflight_shaders)
#
# Each preflight_shader is one variant; NAME is what the C++ side asks for. The library takes all
# variants listed in the same folder before it and offers them as
#   std::span<const std::uint32_t> preflight::shaders::spirv(std::string_view name)
# in "shaders/embedded.h" (HEADER and NAMESPACE choose others, for shaders of tests).
#
# Include paths are the folder shaders/ ("include/weight_q4_0.glsl") and the root of the repository
# ("shaders/params/begin.h"). A warning of the compiler is an error.

find_program(GLSLANG_PROGRAM glslangValidator REQUIRED)
find_program(SPIRV_OPT_PROGRAM spirv-opt REQUIRED)
find_program(SPIRV_VAL_PROGRAM spirv-val REQUIRED)
set(PREFLIGHT_SHADER_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/CompileShader.cmake)

function(preflight_shader)
  cmake_parse_arguments(arg "" "NAME;SOURCE" "DEFINES" ${ARGN})
  if(NOT arg_NAME MATCHES "^[a-z][a-z0-9_]*$")
    message(FATAL_ERROR "preflight_shader: NAME \"${arg_NAME}\" is not of the form [a-z][a-z0-9_]*")
  endif()
  get_property(names DIRECTORY PROPERTY PREFLIGHT_SHADERS)
  if(arg_NAME IN_LIST names)
    message(FATAL_ERROR "preflight_shader: \"${arg_NAME}\" is listed twice")
  endif()
  set_property(DIRECTORY APPEND PROPERTY PREFLIGHT_SHADERS ${arg_NAME})

  # A ';' would split the argument on its way through the build tool.
  string(JOIN "|" defines ${arg_DEFINES})
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${arg_SOURCE})
  set(output ${CMAKE_CURRENT_BINARY_DIR}/spirv/${arg_NAME})
  add_custom_command(
    OUTPUT ${output}.inc ${output}.spv
    COMMAND ${CMAKE_COMMAND} -D GLSLANG=${GLSLANG_PROGRAM} -D SPIRV_OPT=${SPIRV_OPT_PROGRAM}
      -D SPIRV_VAL=${SPIRV_VAL_PROGRAM} -D ROOT=${CMAKE_SOURCE_DIR} -D SOURCE=${source}
      -D OUTPUT=${output} -D "DEFINES=${defines}" -P ${PREFLIGHT_SHADER_SCRIPT}
    DEPENDS ${source} ${PREFLIGHT_SHADER_SCRIPT}
    DEPFILE ${output}.d
    COMMENT "Shader ${arg_NAME}"
    VERBATIM)
endfunction()

function(preflight_shader_library target)
  cmake_parse_arguments(arg "" "HEADER;NAMESPACE" "" ${ARGN})
  if(NOT arg_HEADER)
    set(arg_HEADER shaders/embedded.h)
  endif()
  if(NOT arg_NAMESPACE)
    set(arg_NAMESPACE preflight::shaders)
  endif()
  get_property(names DIRECTORY PROPERTY PREFLIGHT_SHADERS)

  set(arrays "")
  set(entries "")
  set(hashed "")
  set(includes "")
  foreach(shader IN LISTS names)
    string(APPEND arrays "constexpr std::uint32_t k_${shader}[] = {\n#include \"${shader}.inc\"\n};\n")
    string(APPEND entries "  if (name == \"${shader}\") return k_${shader};\n")
    string(APPEND hashed "  add(k_${shader});\n")
    list(APPEND includes ${CMAKE_CURRENT_BINARY_DIR}/spirv/${shader}.inc)
  endforeach()

  set(header ${CMAKE_BINARY_DIR}/generated/${arg_HEADER})
  file(CONFIGURE OUTPUT ${header} @ONLY CONTENT [=[
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace @arg_NAMESPACE@ {

/// The SPIR-V words of a shader variant; empty when there is none of that name.
std::span<const std::uint32_t> spirv(std::string_view name);

/// The same as long as no shader of the library changes.
std::uint64_t fingerprint();

}  // namespace @arg_NAMESPACE@
]=])
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${target}.cpp)
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT [=[
#include "@arg_HEADER@"

namespace {
@arrays@}  // namespace

std::span<const std::uint32_t> @arg_NAMESPACE@::spirv([[maybe_unused]] std::string_view name) {
@entries@  return {};
}

std::uint64_t @arg_NAMESPACE@::fingerprint() {
  std::uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&hash](std::span<const std::uint32_t> words) {
    for (const std::uint32_t word : words) hash = (hash ^ word) * 0x100000001b3u;
  };
@hashed@  return hash;
}
]=])
  add_library(${target} STATIC ${source})
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS "${includes}")
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/spirv)
  target_link_libraries(${target} PUBLIC preflight_flags)
endfunction()
