#include "daemon/protocol/health.h"

#include <initializer_list>

#include "daemon/protocol/json_fields.h"

namespace preflight::protocol {

using nlohmann::json;

std::string to_json(const Health& health) {
  json out = {{"status", health.status},
              {"reason", health.reason},
              {"version", health.version},
              {"model",
               {{"name", health.model.name},
                {"digest", health.model.digest},
                {"loaded", health.model.loaded},
                {"drafter", health.model.drafter}}},
              {"device",
               {{"name", health.device.name},
                {"driver", health.device.driver},
                {"tier", health.device.tier},
                {"software", health.device.software}}},
              {"work",
               {{"prefilled_tokens", health.work.prefilled_tokens},
                {"cached_tokens", health.work.cached_tokens},
                {"generated_tokens", health.work.generated_tokens},
                {"forced_tokens", health.work.forced_tokens},
                {"saved_steps", health.work.saved_steps},
                {"draft_saved_steps", health.work.draft_saved_steps}}},
              {"queue",
               {{"queued", health.queue.queued},
                {"running", health.queue.running},
                {"limit", health.queue.limit}}},
              {"spool",
               {{"used_bytes", health.spool.used_bytes},
                {"limit_bytes", health.spool.limit_bytes},
                {"free_disk_bytes", health.spool.free_disk_bytes}}},
              {"database", health.database},
              {"last_fault", nullptr}};
  if (health.last_fault.at_ms != 0)
    out["last_fault"] = {{"at_ms", health.last_fault.at_ms},
                         {"message", health.last_fault.message}};
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

Decoded<Health> parse_health(std::string_view body) {
  const Decoded<json> value = parse_object(body, "the health");
  if (!value) return tl::unexpected(value.error());
  Health health;
  ObjectReader top(*value, "");
  top.need("status", health.status);
  top.take("reason", health.reason);
  top.take("version", health.version);
  top.take("database", health.database);
  ObjectReader model(top.child("model"), "/model");
  model.take("name", health.model.name);
  model.take("digest", health.model.digest);
  model.take("loaded", health.model.loaded);
  model.take("drafter", health.model.drafter);
  ObjectReader device(top.child("device"), "/device");
  device.take("name", health.device.name);
  device.take("driver", health.device.driver);
  device.take("tier", health.device.tier);
  device.take("software", health.device.software);
  ObjectReader work(top.child("work"), "/work");
  work.take("prefilled_tokens", health.work.prefilled_tokens);
  work.take("cached_tokens", health.work.cached_tokens);
  work.take("generated_tokens", health.work.generated_tokens);
  work.take("forced_tokens", health.work.forced_tokens);
  work.take("saved_steps", health.work.saved_steps);
  work.take("draft_saved_steps", health.work.draft_saved_steps);
  ObjectReader queue(top.child("queue"), "/queue");
  queue.take("queued", health.queue.queued);
  queue.take("running", health.queue.running);
  queue.take("limit", health.queue.limit);
  ObjectReader spool(top.child("spool"), "/spool");
  spool.take("used_bytes", health.spool.used_bytes);
  spool.take("limit_bytes", health.spool.limit_bytes);
  spool.take("free_disk_bytes", health.spool.free_disk_bytes);
  ObjectReader fault(top.child("last_fault"), "/last_fault");
  fault.take("at_ms", health.last_fault.at_ms);
  fault.take("message", health.last_fault.message);
  for (const ObjectReader* part : {&top, &model, &device, &work, &queue, &spool, &fault})
    if (!part->good()) return tl::unexpected(part->error());
  return health;
}

}  // namespace preflight::protocol
