// SPDX-License-Identifier: Apache-2.0
#include "dint_gemm.h"

#include "codebook_weight.h"
#include "scratch_chunks.h"
#include "uniform_weight.h"

#include "kernels/codebook_gemm.h"

namespace edgeq::ops {
namespace {

// Least work of a task: about 20 µs, ten times what handing it to another thread costs.
constexpr double kLeastPackedBytes = 256 * 1024;     // one token: the weights' bytes
constexpr double kLeastProducts = 4.0 * 1024 * 1024; // many tokens: multiplications
constexpr double kLeastActivations = 64 * 1024;      // quantization: activations

std::int64_t read_activation_bits(const ort::KernelInfo& info) {
  const std::int64_t bits = info.int64("activation_bits");
  if (bits != 8 && bits != 16 && bits != 32)
    throw ort::Error("attribute activation_bits: found " + std::to_string(bits) + ", wanted 8, 16 or 32");
  return bits;
}

/// Reads and checks `format`, then what the format's layout needs.
kernels::UniformLayout read_layout(const ort::KernelInfo& info) {
  const std::string format = info.string("format");
  if (format == "codebook")
    return read_codebook_layout(info);
  if (format != "uniform" && format != "dint")
    throw ort::Error("attribute format: found '" + format + "', wanted 'uniform', 'dint' or 'codebook'");
  return read_uniform_layout(info, format == "dint");
}

const kernels::DintGemmKernels& kernels_for(const kernels::UniformLayout& layout) {
  const kernels::Isa isa = kernels::selected_isa();
  return layout.codebook ? kernels::codebook_gemm_kernels(isa) : kernels::dint_gemm_kernels(isa);
}

} // namespace

DintGemm::DintGemm(const ort::KernelInfo& info)
    : layout_(read_layout(info)), kernels_(kernels_for(layout_)), activation_bits_(read_activation_bits(info)),
      quantization_(info, activation_bits_), compression_(read_weight_compression(info, layout_)),
      branches_(info, layout_, [&](const kernels::UniformLayout& layout, std::size_t branch) {
        return read_weight(info, layout, branch);
      }) {
  if (compressed_.all_nibbles())
    matmul_nibbles_ = kernels::matmul_a8_nibble_kernel(kernels::selected_isa());
}

PackedWeight DintGemm::read_weight(const ort::KernelInfo& info, const kernels::UniformLayout& layout,
                                   std::size_t branch) {
  const std::size_t input = weight_input(branch);
  switch (compression_) {
  case WeightCompression::load:
    return decoded_weight(info, layout, input, weight_name(branch));
  case WeightCompression::use:
    compressed_.add(compressed_weight(info, layout, input, weight_name(branch)), layout);
    return {};
  default:
    return branch_weight(info, branch, kernels::uniform_packed_bytes(layout));
  }
}

void DintGemm::compute(const ort::KernelContext& context) const {
  const ort::Tensor x = context.input(0);
  const std::size_t tokens = token_count(x, layout_.inputs.k);
  const Call call{static_cast<const float*>(x.data), tokens,
                  quantization_.with_row_sums(branches_.outputs(context, x.shape))};
  if (tokens == 0)
    return;
  if (activation_bits_ == 8)
    return compute_a8(context, call);
  if (activation_bits_ == 16 && tokens > kernels_.bf16.few_tokens)
    return compute_bf16(context, call);
  kernels_.is_f32_prompt(tokens) ? compute_f32_prompt(context, call) : compute_f32(context, call);
}

void DintGemm::compute_a8(const ort::KernelContext& context, const Call& call) const {
  const kernels::Grouping& inputs = layout_.inputs;
  const std::size_t codes = call.tokens * inputs.padded_k, blocks = call.tokens * inputs.blocks();
  Scratch scratch(Scratch::padded<std::int8_t>(codes) + Scratch::padded<float>(blocks) +
                  Scratch::padded<std::int32_t>(blocks) + Scratch::padded<float>(call.tokens));
  kernels::A8Panels panels = panels_for(kernels_, layout_,
                                        {scratch.take<std::int8_t>(codes), scratch.take<float>(blocks),
                                         scratch.take<std::int32_t>(blocks), call.tokens, kernels_.panel_tokens});
  float* offsets = scratch.take<float>(call.tokens);
  panels.quantization = quantization_.scales(offsets);
  const double activations = static_cast<double>(codes) / static_cast<double>(panels.panels());
  for_chunks(context, panels.panels(), chunk_count(panels.panels(), activations, kLeastActivations),
             [&](std::size_t first, std::size_t last) { kernels_.quantize_a8(call.x, inputs, panels, first, last); });
  if (call.tokens == 1 && !compressed_.empty() && matmul_nibbles_ != nullptr)
    return multiply_nibbles(context, call, panels, offsets);
  const kernels::MatmulA8Function matmul = kernels_.matmul_a8_for(call.tokens);
  multiply(context, call,
           [&](const auto& layout, const std::uint8_t* weights, const BranchOutput& output, std::size_t first,
               std::size_t last) {
             matmul({layout, weights, panels, output.bias, output.y}, first, last);
             if (quantization_.asymmetric())
               subtract_offsets(output, offsets, call.tokens, layout.n, first, last);
           });
}

void DintGemm::compute_f32(const ort::KernelContext& context, const Call& call) const {
  const std::size_t count = activation_bits_ == 16 ? call.tokens * layout_.inputs.k : 0;
  Scratch scratch(Scratch::padded<float>(count));
  auto* rounded = scratch.take<float>(count);
  kernels::round_bf16_generic(call.x, count, rounded);
  const float* x = activation_bits_ == 16 ? rounded : call.x;
  multiply(context, call,
           [&](const auto& layout, const std::uint8_t* weights, const BranchOutput& output, std::size_t first,
               std::size_t last) {
             kernels_.matmul_f32({layout, weights, x, call.tokens, output.bias, output.y}, first, last);
           });
}

void DintGemm::compute_f32_prompt(const ort::KernelContext& context, const Call& call) const {
  const std::size_t k = layout_.inputs.k;
  Scratch scratch(Scratch::padded<float>(call.tokens * k));
  const kernels::F32Panels panels{scratch.take<float>(call.tokens * k), k, call.tokens, kernels_.f32_panel_tokens};
  const double activations = static_cast<double>(call.tokens * k) / static_cast<double>(panels.panels());
  for_chunks(context, panels.panels(), chunk_count(panels.panels(), activations, kLeastActivations),
             [&](std::size_t first, std::size_t last) {
               kernels::pack_f32_generic(call.x, panels, first, last);
               if (activation_bits_ == 16)
                 for (std::size_t panel = first; panel < last; ++panel) {
                   float* values = panels.values + panels.first_token(panel) * k;
                   kernels::round_bf16_generic(values, panels.panel_size(panel) * k, values);
                 }
             });
  multiply(context, call,
           [&](const auto& layout, const std::uint8_t* weights, const BranchOutput& output, std::size_t first,
               std::size_t last) {
             kernels_.matmul_f32_prompt({layout, weights, panels, output.bias, output.y}, first, last);
           });
}

void DintGemm::compute_bf16(const ort::KernelContext& context, const Call& call) const {
  const kernels::Bf16Kernels& kernels = kernels_.bf16;
  const std::size_t count = call.tokens * layout_.inputs.padded_k;
  Scratch scratch(Scratch::padded<std::uint16_t>(count));
  const kernels::Bf16Panels panels{scratch.take<std::uint16_t>(count),
                                   layout_.inputs.k,
                                   layout_.inputs.padded_k,
                                   call.tokens,
                                   kernels.panel_tokens,
                                   kernels.run};
  const double activations = static_cast<double>(count) / static_cast<double>(panels.panels());
  for_chunks(context, panels.panels(), chunk_count(panels.panels(), activations, kLeastActivations),
             [&](std::size_t first, std::size_t last) { kernels.pack(call.x, panels, first, last); });
  multiply(context, call,
           [&](const auto& layout, const std::uint8_t* weights, const BranchOutput& output, std::size_t first,
               std::size_t last) { kernels.matmul({layout, weights, panels, output.bias, output.y}, first, last); });
}

template <class Kernel>
void DintGemm::multiply(const ort::KernelContext& context, const Call& call, const Kernel& kernel) const {
  if (!compressed_.empty())
    return multiply_compressed(context, call, kernel);
  const std::size_t tiles = branches_.tiles(), step = tiles_per_step(call.tokens);
  const std::size_t steps = (tiles + step - 1) / step;
  for_chunks(context, steps, step_chunks(steps, step, call.tokens), [&](std::size_t first, std::size_t last) {
    branches_.for_tiles(step * first, std::min(step * last, tiles),
                        [&](const auto& layout, const std::uint8_t* weights, std::size_t branch, std::size_t begin,
                            std::size_t end) { kernel(layout, weights, call.outputs[branch], begin, end); });
  });
}

template <class Kernel>
void DintGemm::multiply_compressed(const ort::KernelContext& context, const Call& call, const Kernel& kernel) const {
  const std::size_t groups = compressed_.groups();
  const std::size_t chunks = step_chunks(groups, compressed_.group_tiles(), call.tokens);
  for_chunks_with_scratch(context, groups, chunks, compressed_.group_bytes(),
                          [&](std::size_t first, std::size_t last, std::uint8_t* tiles) {
                            compressed_.for_groups(first, last, tiles,
                                                   [&](const auto& layout, const std::uint8_t* weights,
                                                       std::size_t branch, std::size_t begin, std::size_t end) {
                                                     kernel(layout, weights, call.outputs[branch], begin, end);
                                                   });
                          });
}

void DintGemm::multiply_nibbles(const ort::KernelContext& context, const Call& call, const kernels::A8Panels& x,
                                const float* offsets) const {
  const std::size_t groups = compressed_.groups();
  for_chunks(context, groups, step_chunks(groups, compressed_.group_tiles(), 1),
             [&](std::size_t first, std::size_t last) {
               compressed_.for_blocks(first, last,
                                      [&](const kernels::CompressedWeight& weight, std::size_t branch,
                                          std::size_t begin, std::size_t end) {
                                        const BranchOutput& output = call.outputs[branch];
                                        const kernels::NibbleWeight nibbles = weight.nibbles();
                                        matmul_nibbles_({nibbles, x, output.bias, output.y}, begin, end);
                                        if (quantization_.asymmetric())
                                          subtract_offsets(output, offsets, 1, nibbles.layout.n,
                                                           nibbles.first_tile(begin), nibbles.first_tile(end));
                                      });
             });
}

std::size_t DintGemm::tiles_per_step(std::size_t tokens) const {
  return activation_bits_ == 8 && tokens <= kernels_.panel_tokens ? kernels::kTilesInTurns : 1;
}

std::size_t DintGemm::step_chunks(std::size_t steps, std::size_t tiles_per_step, std::size_t tokens) const {
  const auto bytes = static_cast<double>(tiles_per_step * layout_.tile_bytes());
  const auto products =
      static_cast<double>(tiles_per_step * tokens * kernels::kUniformTileRows * layout_.inputs.padded_k);
  return chunk_count(steps, std::max(bytes / kLeastPackedBytes, products / kLeastProducts), 1.0);
}

void DintGemm::infer_shapes(const ort::ShapeInference& inference) { infer_matmul_shape(inference); }

} // namespace edgeq::ops
