#pragma once

#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/kv/position_key.h"

namespace preflight::engine {

/// The keys of inputs that begin and end outside vision blocks. `bidirectional`: the rows of a
/// block see all of it.
[[nodiscard]] std::vector<kv::PositionKey> position_keys(std::span<const Input> inputs,
                                                         bool bidirectional);

}  // namespace preflight::engine
