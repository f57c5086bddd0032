#include "engine/media/decoder/jobs.h"
namespace preflight::media {
Result<MediaFacts> measure_facts(const Input&, const DecodeLimits&) {
  return fail(ErrorCode::kUnsupported, "cannot be measured");
}
}  // namespace preflight::media
