#include "engine/position_keys.h"

namespace preflight::engine {

std::vector<kv::PositionKey> position_keys(std::span<const Input> inputs, bool bidirectional) {
  std::vector<kv::PositionKey> keys(inputs.size());
  std::uint32_t reach = 0;  // of the input behind, within one block
  for (std::size_t i = inputs.size(); i-- > 0;) {
    const Input& input = inputs[i];
    const bool before_block_mate = i + 1 < inputs.size() && inputs[i + 1].vision;
    reach = bidirectional && input.vision && before_block_mate ? reach + 1 : 0;
    kv::PositionKey& key = keys[i];
    key.reach = reach;
    if (input.medium != kv::MediumKey{}) {
      key.medium = input.medium;
      key.index = input.medium_index;
    } else {
      key.index = input.soft_row != nullptr ? kv::kUnknownSoftToken
                                            : static_cast<std::uint32_t>(input.token);
    }
  }
  return keys;
}

}  // namespace preflight::engine
