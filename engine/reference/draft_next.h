#pragma once

#include <cstdint>
#include <span>

#include "shaders/params/draft.h"

namespace preflight::reference {

/// Twin of shaders/draft_next.comp. infos and rows [best.size()] or more, tokens [p.first_token +
/// best.size()] or more.
void draft_next(std::span<const params::ArgmaxEntry> best, std::span<params::RowInfo> infos,
                std::span<std::uint32_t> rows, std::span<std::uint32_t> tokens,
                const params::DraftNextParams& p);

}  // namespace preflight::reference
