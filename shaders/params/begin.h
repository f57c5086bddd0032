// Parameter headers are read by glslang and by C++: one place for bindings, constant ids and push
// constants. Such a header looks like this:
//
//   #ifndef PREFLIGHT_PARAMS_RMS_NORM_H
//   #define PREFLIGHT_PARAMS_RMS_NORM_H
//   #include "shaders/params/begin.h"
//
//   const uint kRmsNormBindX = 0, kRmsNormBindY = 1;  // set 0
//   const uint kRmsNormSpecRowSize = 0;               // constant_id
//   struct RmsNormParams {                            // push constants
//     uint n_rows;
//     float epsilon;
//   };
//   PARAMS_SIZE(RmsNormParams, 8)
//
//   #include "shaders/params/end.h"
//   #endif
//
// A shader includes it as "params/rms_norm.h", C++ as "shaders/params/rms_norm.h" and finds the
// names in preflight::params. Members are int, uint and float only (no vectors, no bool), so that
// both languages lay them out alike; push constants take 128 bytes at most, what every device has.
// Comments and the common part of the two languages are all that fits in: no pragma once (glslang
// 12 does not know it), no types with :: in them.
//
// This file and end.h are meant to be read many times and have no guard.

#ifdef __cplusplus
#include <cstdint>
namespace preflight::params {
using uint = std::uint32_t;
#define PARAMS_SIZE(type, bytes) static_assert(sizeof(type) == (bytes));
#else
#define PARAMS_SIZE(type, bytes)
#endif
