// The fields of bundle.json, without a look at any file. Internal to read_bundle.
#pragma once

#include <nlohmann/json.hpp>

#include "daemon/protocol/bundle.h"

namespace preflight::protocol {

/// Fills `reading` from a parsed bundle.json and notes every problem of its fields.
void read_bundle_fields(const nlohmann::json& json, const BundleOptions& options,
                        BundleReading& reading);

}  // namespace preflight::protocol
