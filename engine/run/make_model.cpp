#include "engine/run/make_model.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "engine/model/blocks.h"
#include "engine/model/make_model.h"
#include "engine/run/command.h"

namespace preflight::run {
namespace {

struct MakeModelOptions {
  std::string shape;
  std::string type;
  std::string head;
  std::optional<std::uint32_t> n_layers;
  std::optional<std::uint32_t> vocab_size;
  std::uint64_t seed = 1;
  bool mmproj = false;
  bool drafter = false;
  bool sparse = false;
  std::string out;
};

/// For the parser: what is wrong with the name of a type, or nothing.
std::string check_type(const std::string& name) {
  if (model::type_from_name(name)) return {};
  return fmt::format("unknown type \"{}\", expected one like F32, BF16, Q8_0, Q4_0 or Q4_K", name);
}

Result<void> run_make_model(const MakeModelOptions& options) {
  model::MakeModelOptions make;
  const auto shape = model::shape_from_name(options.shape);
  PREFLIGHT_ASSERT(shape);  // the parser lets no other name pass
  make.shape = *shape;
  make.n_layers = options.n_layers;
  make.vocab_size = options.vocab_size;
  make.seed = options.seed;
  make.mmproj = options.mmproj;
  make.drafter = options.drafter;
  make.sparse = options.sparse;
  if (!options.type.empty()) make.type = *model::type_from_name(options.type);
  if (!options.head.empty()) make.head = *model::type_from_name(options.head);
  PREFLIGHT_TRY(const std::uint64_t n_bytes, model::make_model(make, options.out));
  return write_stdout(fmt::format("{}: {} bytes of {}, shape {}\n", options.out, n_bytes,
                                  options.sparse ? "zeros" : "random weights", options.shape));
}

}  // namespace

void add_make_model(CLI::App& app, Result<void>& outcome) {
  const auto options = std::make_shared<MakeModelOptions>();
  CLI::App* command = app.add_subcommand("make-model", "Write a GGUF model of random weights");
  command->add_option("--shape", options->shape, "Sizes of the model")
      ->required()
      ->check(CLI::IsMember({"demo", "12b"}));
  command->add_option("--layers", options->n_layers, "2 to 48; default: as many as the shape has")
      ->check(CLI::Range(2, 48));
  command->add_option("--type", options->type, "Type of the matrices; default Q4_0")
      ->check(check_type);
  command
      ->add_option("--head", options->head,
                   "Type of the embedding table; default Q6_K beside packed matrices")
      ->check(check_type);
  command->add_option("--vocab", options->vocab_size, "512 to 262144 tokens")
      ->check(CLI::Range(512, 262144));
  command->add_option("--seed", options->seed, "The same seed gives the same file; default 1");
  CLI::Option* mmproj =
      command->add_flag("--mmproj", options->mmproj, "Write the image and sound part instead");
  command->add_flag("--drafter", options->drafter, "Write the drafter instead")->excludes(mmproj);
  command->add_flag("--sparse", options->sparse,
                    "Matrices of zeros that take no room on disk: a file for `plan`, not to run");
  command->add_option("OUT", options->out, "The file to write")->required();
  command->callback([options, &outcome] { outcome = run_make_model(*options); });
}

}  // namespace preflight::run
