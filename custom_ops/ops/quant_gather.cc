// SPDX-License-Identifier: Apache-2.0
#include "quant_gather.h"

#include "codebook_weight.h"
#include "scratch_chunks.h"
#include "uniform_weight.h"

#include "kernels/decode_row.h"

namespace edgeq::ops {
namespace {

constexpr std::size_t kWeightInput = 1;
constexpr double kLeastWeights = 32 * 1024; // decoded by one task: about 30 µs

using Layout = std::variant<kernels::UniformLayout, kernels::BcqLayout>;

Layout read_layout(const ort::KernelInfo& info) {
  const std::string format = info.string("format");
  if (format == "uniform" || format == "dint")
    return read_uniform_layout(info, format == "dint");
  if (format == "codebook")
    return read_codebook_layout(info);
  if (format != "bcq")
    throw ort::Error("attribute format: found '" + format + "', wanted 'uniform', 'dint', 'codebook' or 'bcq'");
  const WeightShape shape = read_weight_shape(info);
  (void)info.size("has_zero_point", 0, 0);
  return kernels::BcqLayout{shape.n, shape.inputs, info.size("bits", 1, 4)};
}

std::size_t packed_bytes(const Layout& layout) {
  if (const auto* uniform = std::get_if<kernels::UniformLayout>(&layout))
    return kernels::uniform_packed_bytes(*uniform);
  return kernels::bcq_packed_bytes(std::get<kernels::BcqLayout>(layout));
}

/// Checks that every index lies in [0, rows).
void check_indices(const std::int64_t* indices, std::size_t count, std::size_t rows) {
  for (std::size_t i = 0; i < count; ++i)
    if (indices[i] < 0 || static_cast<std::uint64_t>(indices[i]) >= rows)
      throw ort::Error("input indices: found " + std::to_string(indices[i]) + " at position " + std::to_string(i) +
                       ", wanted 0 to " + std::to_string(rows - 1));
}

} // namespace

QuantGather::QuantGather(const ort::KernelInfo& info) : layout_(read_layout(info)) {
  const auto* uniform = std::get_if<kernels::UniformLayout>(&layout_);
  if (uniform == nullptr)
    refuse_weight_compression(info, "bcq");
  const WeightCompression compression =
      uniform == nullptr ? WeightCompression::none : read_weight_compression(info, *uniform);
  if (compression == WeightCompression::use) {
    compressed_ = compressed_weight(info, *uniform, kWeightInput, "W");
  } else if (compression == WeightCompression::load) {
    decoded_ = decoded_weight(info, *uniform, kWeightInput, "W");
    weights_ = decoded_.data();
  } else {
    weights_ = packed_weight(info, packed_bytes(layout_), kWeightInput);
  }
}

void QuantGather::compute(const ort::KernelContext& context) const {
  const ort::Tensor indices = context.input(0);
  ort::Shape shape = indices.shape;
  std::size_t count = 1;
  for (std::int64_t extent : shape)
    count = kernels::checked_product(count, static_cast<std::size_t>(extent));
  const auto* rows_wanted = static_cast<const std::int64_t*>(indices.data);
  check_indices(rows_wanted, count, rows());
  shape.push_back(static_cast<std::int64_t>(columns()));
  auto* y = static_cast<float*>(context.output(0, shape));
  if (count == 0)
    return;
  if (compressed_)
    return gather_compressed(context, rows_wanted, count, y);
  for_chunks(context, count, chunk_count(count, static_cast<double>(columns()), kLeastWeights),
             [&](std::size_t first, std::size_t last) {
               for (std::size_t i = first; i < last; ++i)
                 decode_row(weights_, static_cast<std::size_t>(rows_wanted[i]), y + i * columns());
             });
}

void QuantGather::gather_compressed(const ort::KernelContext& context, const std::int64_t* wanted, std::size_t count,
                                    float* y) const {
  const kernels::CompressedWeight& weight = *compressed_;
  const std::size_t tile_bytes = std::get<kernels::UniformLayout>(layout_).tile_bytes();
  const std::size_t bytes = weight.first_tile(1) * tile_bytes,
                    block_rows = kernels::kUniformTileRows * weight.tiles_per_block();
  for_chunks_with_scratch(context, count, chunk_count(count, static_cast<double>(bytes), kLeastWeights), bytes,
                          [&](std::size_t first, std::size_t last, std::uint8_t* tiles) {
                            std::size_t decoded = weight.blocks(); // none
                            for (std::size_t i = first; i < last; ++i) {
                              const auto row = static_cast<std::size_t>(wanted[i]);
                              if (const std::size_t block = row / block_rows; block != decoded)
                                weight.decode(decoded = block, block + 1, tiles);
                              decode_row(tiles, row % block_rows, y + i * columns());
                            }
                          });
}

std::size_t QuantGather::rows() const {
  return std::visit([](const auto& layout) { return layout.n; }, layout_);
}

std::size_t QuantGather::columns() const {
  return std::visit([](const auto& layout) { return layout.inputs.k; }, layout_);
}

void QuantGather::decode_row(const std::uint8_t* weights, std::size_t row, float* out) const {
  if (const auto* uniform = std::get_if<kernels::UniformLayout>(&layout_))
    (uniform->codebook ? kernels::decode_row_f32_codebook_generic
                       : kernels::decode_row_f32_uniform_generic)(*uniform, weights, row, out);
  else
    kernels::decode_row_f32_bcq_generic(std::get<kernels::BcqLayout>(layout_), weights, row, out);
}

void QuantGather::infer_shapes(const ort::ShapeInference& inference) {
  std::optional<ort::SymbolicShape> shape = inference.input(0);
  if (!shape)
    return;
  shape->push_back(inference.int64("K"));
  inference.set_output(0, ort::ElementType::float32, *shape);
}

} // namespace edgeq::ops
