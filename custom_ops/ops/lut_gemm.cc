// SPDX-License-Identifier: Apache-2.0
#include "lut_gemm.h"

#include "bcq_weight.h"
#include "scratch.h"
#include "weight_compression.h"

namespace edgeq::ops {
namespace {

// Least work of a task: about 20 µs, ten times what handing it to another thread costs.
constexpr double kLeastPackedBytes = 256 * 1024;     // one token: the weights' bytes
constexpr double kLeastProducts = 4.0 * 1024 * 1024; // many tokens: multiplications
constexpr double kLeastActivations = 16 * 1024;      // tables, panels: activations

constexpr std::size_t kTableBytes = std::size_t{1}
                                    << 20; // of the tokens of a pass: they stay in the second-level cache
constexpr std::size_t kPassMultiple = 8;   // the most tokens that a kernel takes at once

std::size_t read_table_bits(const ort::KernelInfo& info) {
  const std::int64_t bits = info.int64("table_bits");
  if (bits != 8 && bits != 16)
    throw ort::Error("attribute table_bits: found " + std::to_string(bits) + ", wanted 8 or 16");
  return static_cast<std::size_t>(bits);
}

} // namespace

LutGemm::LutGemm(const ort::KernelInfo& info)
    : kernels_(kernels::lut_gemm_kernels(kernels::selected_isa())), layout_(read_bcq_layout(info)),
      table_bits_(read_table_bits(info)),
      branches_(info, layout_, [&](const kernels::BcqLayout& layout, std::size_t branch) {
        return branch_weight(info, branch, kernels::bcq_packed_bytes(layout));
      }) {
  refuse_weight_compression(info, "bcq");
}

void LutGemm::compute(const ort::KernelContext& context) const {
  const ort::Tensor x = context.input(0);
  const std::size_t k = layout_.inputs.k, tokens = token_count(x, k);
  const auto* activations = static_cast<const float*>(x.data);
  const BranchOutputs outputs = branches_.outputs(context, x.shape);
  const auto product = kernels::fastest_product(kernels_.costs, layout_.planes, table_bits_, tokens);
  if (product == kernels::LutGemmProduct::multiply_f32)
    return multiply_f32(context, {activations, tokens, outputs});
  if (product == kernels::LutGemmProduct::multiply_a8)
    return multiply_a8(context, {activations, tokens, outputs});
  for (std::size_t first = 0; first < tokens; first += tokens_per_pass())
    look_up(context,
            {activations + first * k, std::min(tokens_per_pass(), tokens - first), branches_.after(outputs, first)});
}

void LutGemm::look_up(const ort::KernelContext& context, const Part& part) const {
  const kernels::Grouping& inputs = layout_.inputs;
  const std::size_t bytes = kernels::lut_bytes(inputs, table_bits_), blocks = inputs.blocks();
  Scratch scratch(Scratch::padded<std::uint8_t>(part.tokens * bytes) +
                  Scratch::padded<kernels::LutBlock>(part.tokens * blocks));
  auto* entries = scratch.take<std::uint8_t>(part.tokens * bytes);
  auto* block_values = scratch.take<kernels::LutBlock>(part.tokens * blocks);
  for_chunks(context, part.tokens, chunk_count(part.tokens, static_cast<double>(inputs.padded_k), kLeastActivations),
             [&](std::size_t first, std::size_t last) {
               for (std::size_t t = first; t < last; ++t)
                 kernels_.build_lut(part.x + t * inputs.k, inputs, table_bits_, entries + t * bytes,
                                    block_values + t * blocks);
             });
  for_tiles(context, part,
            [&](const auto& layout, const std::uint8_t* weights, const BranchOutput& output, std::size_t first,
                std::size_t last) {
              kernels_.matmul_lut({layout, weights, table_bits_, entries, block_values, part.tokens, output.bias,
                                   output.y, kernels_.prefetch},
                                  first, last);
            });
}

void LutGemm::multiply_f32(const ort::KernelContext& context, const Part& part) const {
  const std::size_t k = layout_.inputs.k, panel_tokens = kernels_.panel_tokens;
  const std::size_t panels = (part.tokens + panel_tokens - 1) / panel_tokens;
  Scratch scratch(Scratch::padded<float>(part.tokens * k));
  auto* x = scratch.take<float>(part.tokens * k);
  for_chunks(context, panels, chunk_count(panels, static_cast<double>(panel_tokens * k), kLeastActivations),
             [&](std::size_t first, std::size_t last) {
               kernels::pack_panels(part.x, k, part.tokens, panel_tokens, first, last, x);
             });
  for_tiles(context, part,
            [&](const auto& layout, const std::uint8_t* weights, const BranchOutput& output, std::size_t first,
                std::size_t last) {
              kernels_.matmul_bcq({layout, weights, x, part.tokens, output.bias, output.y}, first, last);
            });
}

template <class Kernel>
void LutGemm::for_tiles(const ort::KernelContext& context, const Part& part, const Kernel& kernel) const {
  for_chunks(context, tile_pairs(), pair_chunks(part.tokens), [&](std::size_t first, std::size_t last) {
    branches_.for_tiles(2 * first, std::min(2 * last, branches_.tiles()),
                        [&](const auto& layout, const std::uint8_t* weights, std::size_t branch, std::size_t begin,
                            std::size_t end) { kernel(layout, weights, part.outputs[branch], begin, end); });
  });
}

void LutGemm::multiply_a8(const ort::KernelContext& context, const Part& part) const {
  const kernels::Grouping& inputs = layout_.inputs;
  const std::size_t codes = part.tokens * inputs.padded_k, blocks = part.tokens * inputs.blocks();
  Scratch scratch(Scratch::padded<std::int8_t>(codes) + Scratch::padded<float>(blocks) +
                  Scratch::padded<std::int32_t>(blocks));
  const kernels::A8Panels x =
      kernels::bcq_panels(kernels_, {scratch.take<std::int8_t>(codes), scratch.take<float>(blocks),
                                     scratch.take<std::int32_t>(blocks), part.tokens, kernels_.a8_panel_tokens});
  const double activations = static_cast<double>(codes) / static_cast<double>(x.panels());
  for_chunks(context, x.panels(), chunk_count(x.panels(), activations, kLeastActivations),
             [&](std::size_t first, std::size_t last) { kernels_.quantize_a8(part.x, inputs, x, first, last); });
  for_tiles(context, part,
            [&](const auto& layout, const std::uint8_t* weights, const BranchOutput& output, std::size_t first,
                std::size_t last) { kernels_.matmul_a8({layout, weights, x, output.bias, output.y}, first, last); });
}

std::size_t LutGemm::tokens_per_pass() const {
  const std::size_t tokens = kTableBytes / kernels::lut_bytes(layout_.inputs, table_bits_);
  return std::max(tokens / kPassMultiple, std::size_t{1}) * kPassMultiple;
}

std::size_t LutGemm::tile_pairs() const { return (branches_.tiles() + 1) / 2; }

std::size_t LutGemm::pair_chunks(std::size_t tokens) const {
  const auto bytes = static_cast<double>(2 * layout_.tile_bytes());
  const double products = static_cast<double>(2 * tokens * kernels::kBcqTileRows * layout_.inputs.padded_k);
  return chunk_count(tile_pairs(), std::max(bytes / kLeastPackedBytes, products / kLeastProducts), 1.0);
}

void LutGemm::infer_shapes(const ort::ShapeInference& inference) { infer_matmul_shape(inference); }

} // namespace edgeq::ops
