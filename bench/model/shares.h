#pragma once

#include <vector>

#include "bench/model/results.h"

namespace preflight::bench {

/// The model's figures as shares of what the device, its processors or its file can do, where both
/// were measured (of a limit its best sample):
/// - decode_depth_0_of_read, _of_copy: each byte of the file counts once a token;
/// - prefill_N_of_fma, _of_coopmat: two operations for each weight of the layers and token;
/// - rows_8_of_rows_1: times of a step;
/// - load_of_slower: bytes of the file in a second of loading, of the slower of reading it and
///   copying it to the device.
[[nodiscard]] std::vector<Figure> shares(const Subject& subject,
                                         const std::vector<Figure>& figures);

}  // namespace preflight::bench
