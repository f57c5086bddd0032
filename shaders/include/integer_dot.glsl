// Dot products of four signed bytes packed in a word, an instruction of Vulkan 1.3
// (VK_KHR_shader_integer_dot_product). Declared by its SPIR-V number, because glslang has a name for it
// (GL_EXT_integer_dot_product) only in releases newer than the distributions'.
#extension GL_EXT_spirv_intrinsics : require

// OpSDot with the capabilities DotProductInput4x8BitPacked and DotProduct.
spirv_instruction(capabilities = [6018, 6019], id = 4450)
int signed_dot(const int a, const int b, spirv_literal const int packed_format);

// sum + a.0 * b.0 + a.1 * b.1 + a.2 * b.2 + a.3 * b.3, exact; compilers make one instruction of it where
// the device has one that accumulates.
int add_dot(const uint a, const uint b, const int sum) {
  return sum + signed_dot(int(a), int(b), 0);  // 0: PackedVectorFormat4x8Bit
}
