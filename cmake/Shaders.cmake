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
# A variant with COOPMAT needs glslang 13 or later: the system's, or what scripts/shader-tools has put
# beside the build. Where there is neither, PREFLIGHT_COOPMAT is off and such variants are left out.
#
# Include paths are the folder shaders/ ("include/weight_q4_0.glsl") and the root of the repository
# ("shaders/params/begin.h"). A warning of the compiler is an error.

find_program(GLSLANG_PROGRAM glslangValidator REQUIRED)
find_program(SPIRV_OPT_PROGRAM spirv-opt REQUIRED)
find_program(SPIRV_VAL_PROGRAM spirv-val REQUIRED)

execute_process(COMMAND ${GLSLANG_PROGRAM} --version OUTPUT_VARIABLE glslang_version)
string(REGEX REPLACE ".*Glslang Version: [0-9]*:([0-9.]+).*" "\\1" glslang_version "${glslang_version}")
set(shader_tools ${CMAKE_SOURCE_DIR}/build/shader-tools)
set(PREFLIGHT_COOPMAT ON)
if(NOT glslang_version VERSION_LESS 13)
  set(coopmat_tools ${GLSLANG_PROGRAM} ${SPIRV_OPT_PROGRAM} ${SPIRV_VAL_PROGRAM})
elseif(EXISTS ${shader_tools}/bin/glslangValidator)
  set(coopmat_tools ${shader_tools}/bin/glslangValidator ${shader_tools}/bin/spirv-opt
    ${shader_tools}/bin/spirv-val)
  set(PREFLIGHT_VULKAN_HEADERS ${shader_tools}/include)
else()
  set(PREFLIGHT_COOPMAT OFF)
  message(STATUS "The tier coopmat is not built: glslang ${glslang_version} is older than 13 and "
    "scripts/shader-tools has unpacked no newer one")
endif()

set(PREFLIGHT_SHADER_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/CompileShader.cmake)

function(preflight_shader)
  cmake_parse_arguments(arg "COOPMAT" "NAME;SOURCE" "DEFINES" ${ARGN})
  if(arg_COOPMAT AND NOT PREFLIGHT_COOPMAT)
    return()
  endif()
  if(NOT arg_NAME MATCHES "^[a-z][a-z0-9_]*$")
    message(FATAL_ERROR "preflight_shader: NAME \"${arg_NAME}\" is not of the form [a-z][a-z0-9_]*")
  endif()
  get_property(names DIRECTORY PROPERTY PREFLIGHT_SHADERS)
  if(arg_NAME IN_LIST names)
    message(FATAL_ERROR "preflight_shader: \"${arg_NAME}\" is listed twice")
  endif()
  set_property(DIRECTORY APPEND PROPERTY PREFLIGHT_SHADERS ${arg_NAME})

  set(tools ${GLSLANG_PROGRAM} ${SPIRV_OPT_PROGRAM} ${SPIRV_VAL_PROGRAM})
  if(arg_COOPMAT)
    set(tools ${coopmat_tools})
  endif()
  list(GET tools 0 glslang)
  list(GET tools 1 spirv_opt)
  list(GET tools 2 spirv_val)

  # A ';' would split the argument on its way through the build tool.
  string(JOIN "|" defines ${arg_DEFINES})
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${arg_SOURCE})
  set(output ${CMAKE_CURRENT_BINARY_DIR}/spirv/${arg_NAME})
  add_custom_command(
    OUTPUT ${output}.inc ${output}.spv
    COMMAND ${CMAKE_COMMAND} -D GLSLANG=${glslang} -D SPIRV_OPT=${spirv_opt}
      -D SPIRV_VAL=${spirv_val} -D ROOT=${CMAKE_SOURCE_DIR} -D SOURCE=${source}
      -D OUTPUT=${output} -D CACHE=${CMAKE_SOURCE_DIR}/build/shader-cache
      -D "DEFINES=${defines}" -P ${PREFLIGHT_SHADER_SCRIPT}
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
  set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)  # one file, large and not ours
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS "${includes}")
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/spirv)
  target_link_libraries(${target} PUBLIC preflight_flags)
endfunction()
