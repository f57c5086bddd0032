# One shader variant, at build time: GLSL -> SPIR-V -> optimised -> validated -> C++ array body.
#   cmake -D GLSLANG= -D SPIRV_OPT= -D SPIRV_VAL= -D ROOT= -D SOURCE= -D OUTPUT= -D CACHE=
#         -D DEFINES=A=1|B -P
# Writes OUTPUT.spv (for tools), OUTPUT.inc (hexadecimal words) and OUTPUT.d (dependencies). What has
# been made from the same text by the same tools lies in the folder CACHE, one of each variant, which
# the build trees of all presets share: the optimiser takes up to ten seconds for one variant, and
# there are hundreds.

cmake_policy(VERSION 3.25)

string(REPLACE "|" ";" defines "${DEFINES}")
list(TRANSFORM defines PREPEND "-D")

function(run_tool what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT status STREQUAL "0" OR text MATCHES "(WARNING|warning):")
    message(FATAL_ERROR "${what} of ${SOURCE} [${defines}]:\n${text}")
  endif()
endfunction()

# The text holds the name of every file included, so equal text has equal dependencies too.
execute_process(COMMAND ${GLSLANG} -E -I${ROOT}/shaders -I${ROOT} ${defines} ${SOURCE}
  OUTPUT_VARIABLE text ERROR_QUIET)
foreach(tool GLSLANG SPIRV_OPT SPIRV_VAL)
  execute_process(COMMAND ${${tool}} --version OUTPUT_VARIABLE version ERROR_QUIET)
  string(APPEND text "${version}")
endforeach()
file(READ ${CMAKE_CURRENT_LIST_FILE} steps)
string(SHA256 key "${SOURCE} ${text} ${steps}")
get_filename_component(variant ${OUTPUT} NAME)
set(cached ${CACHE}/${variant}-${key})
if(NOT EXISTS ${cached}.spv OR NOT EXISTS ${cached}.d)
  run_tool("Compilation" ${GLSLANG} -V --target-env vulkan1.3 -I${ROOT}/shaders -I${ROOT}
    ${defines} --depfile ${OUTPUT}.raw.d -o ${OUTPUT}.raw.spv ${SOURCE})
  run_tool("Optimisation" ${SPIRV_OPT} --target-env=vulkan1.3 -O ${OUTPUT}.raw.spv -o ${OUTPUT}.spv)
  run_tool("Validation" ${SPIRV_VAL} --target-env vulkan1.3 ${OUTPUT}.spv)
  file(READ ${OUTPUT}.raw.d dependencies)
  string(REPLACE "${OUTPUT}.raw.spv: " "" dependencies "${dependencies}")
  file(WRITE ${OUTPUT}.raw.d "${dependencies}")
  # Two builds may well make the same file: each comes into being under its name at once.
  file(MAKE_DIRECTORY ${CACHE})
  file(RENAME ${OUTPUT}.spv ${cached}.spv)
  file(RENAME ${OUTPUT}.raw.d ${cached}.d)
  file(REMOVE ${OUTPUT}.raw.spv)
  file(GLOB others ${CACHE}/${variant}-*)
  list(REMOVE_ITEM others ${cached}.spv ${cached}.d)
  foreach(other IN LISTS others)
    file(REMOVE ${other})
  endforeach()
endif()
file(COPY_FILE ${cached}.spv ${OUTPUT}.spv)

# The compiler names its own output in the dependency file; the build waits for the array.
file(READ ${cached}.d dependencies)
file(WRITE ${OUTPUT}.d "${OUTPUT}.inc: ${dependencies}")

# SPIR-V is little endian on every machine we build on; eight words to a line.
file(READ ${OUTPUT}.spv words HEX)
string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1," words "${words}")
string(REGEX REPLACE "((0x........,)(0x........,)(0x........,)(0x........,)(0x........,)(0x........,)(0x........,)(0x........,))"
  "\\1\n" words "${words}")
file(WRITE ${OUTPUT}.inc "${words}\n")
