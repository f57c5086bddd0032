# One shader variant, at build time: GLSL -> SPIR-V -> optimised -> validated -> C++ array body.
#   cmake -D GLSLANG= -D SPIRV_OPT= -D SPIRV_VAL= -D ROOT= -D SOURCE= -D OUTPUT= -D DEFINES=A=1|B -P
# Writes OUTPUT.spv (for tools), OUTPUT.inc (hexadecimal words) and OUTPUT.d (dependencies).

cmake_policy(VERSION 3.25)

string(REPLACE "|" ";" defines "${DEFINES}")
list(TRANSFORM defines PREPEND "-D")

function(run_tool what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(NOT status STREQUAL "0" OR text MATCHES "(WARNING|warning):")
    message(FATAL_ERROR "${what} of ${SOURCE} [${defines}]:\n${text}")
  endif()
endfunction()

run_tool("Compilation" ${GLSLANG} -V --target-env vulkan1.3 -I${ROOT}/shaders -I${ROOT}
  ${defines} --depfile ${OUTPUT}.raw.d -o ${OUTPUT}.raw.spv ${SOURCE})
run_tool("Optimisation" ${SPIRV_OPT} --target-env=vulkan1.3 -O ${OUTPUT}.raw.spv -o ${OUTPUT}.spv)
run_tool("Validation" ${SPIRV_VAL} --target-env vulkan1.3 ${OUTPUT}.spv)

# The compiler names its own output in the dependency file; the build waits for the array.
file(READ ${OUTPUT}.raw.d dependencies)
string(REPLACE "${OUTPUT}.raw.spv:" "${OUTPUT}.inc:" dependencies "${dependencies}")
file(WRITE ${OUTPUT}.d "${dependencies}")

# SPIR-V is little endian on every machine we build on; eight words to a line.
file(READ ${OUTPUT}.spv words HEX)
string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1," words "${words}")
string(REGEX REPLACE "((0x........,)(0x........,)(0x........,)(0x........,)(0x........,)(0x........,)(0x........,)(0x........,))"
  "\\1\n" words "${words}")
file(WRITE ${OUTPUT}.inc "${words}\n")
file(REMOVE ${OUTPUT}.raw.spv ${OUTPUT}.raw.d)
