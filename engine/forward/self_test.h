#pragma once

#include "engine/forward/arena.h"
#include "engine/forward/kernels.h"
#include "engine/forward/model_weights.h"
#include "engine/model/model_file.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/submit.h"
#include "vk/upload.h"

namespace preflight::forward {

/// A loaded model, to be tested on its device.
struct SelfTestSubject {
  vk::Device& device;
  vk::Submitter& submitter;
  vk::Uploader& uploader;
  Kernels& kernels;
  const model::ModelFile& file;
  const ModelWeights& weights;
  Arena& arena;
  const ArenaPlan& plan;
};

/// Runs a few operations at the model's own shapes, with its own weights and on its own buffers,
/// and compares them with the CPU twins: a norm, the first layer's key projection on every path for
/// few and many rows, attention of each layer kind, the choice of a token, a softmax. Between load
/// and the first step: scratch rows and the first page of each kind hold its numbers afterwards.
/// Takes milliseconds. Errors: kUnsupported naming device, driver, operation, what was found and
/// expected; those of the submissions.
[[nodiscard]] Result<void> self_test(const SelfTestSubject& subject);

/// Of self_test() the norm and the products alone: whether what a tier multiplies with can be
/// trusted, before anything else is made from these kernels.
[[nodiscard]] bool products_agree(const SelfTestSubject& subject);

}  // namespace preflight::forward
