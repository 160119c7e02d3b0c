// SPDX-License-Identifier: Apache-2.0
#include "sparse_gemm.h"

#include "scratch.h"
#include "weights.h"

namespace edgeq::ops {
namespace {

constexpr double kLeastProducts = 64 * 1024;    // of one task: about 30 µs
constexpr double kLeastActivations = 64 * 1024; // arranged by one task
constexpr std::int64_t kMaxColumns = 1 << 16;   // what uint16 can count

/// The constant input `index` of rank 1, elements of type T: data and size.
template <class T>
std::pair<const T*, std::size_t> constant_vector(const ort::KernelInfo& info, std::size_t index, const char* name) {
  const std::optional<ort::Tensor> tensor = info.constant_input(index);
  const std::string where = "input " + std::string(name);
  if (!tensor)
    throw ort::Error(where + ": found a computed tensor, wanted a constant initializer");
  if (tensor->shape.size() != 1)
    throw ort::Error(where + ": found shape " + ort::to_string(tensor->shape) + ", wanted one dimension");
  if (tensor->type != SparseGemm::inputs[index].type)
    throw ort::Error(where + ": found another element type");
  if (reinterpret_cast<std::uintptr_t>(tensor->data) % alignof(T) != 0)
    throw ort::Error(where + ": found data at an odd address, wanted a multiple of " + std::to_string(alignof(T)));
  return {static_cast<const T*>(tensor->data), static_cast<std::size_t>(tensor->shape[0])};
}

/// Checks that row pointers ascend from 0 to the number of entries.
void check_row_pointers(const std::int32_t* pointers, std::size_t count, std::size_t n, std::size_t entries) {
  const std::string where = "input row_pointers: ";
  if (count != n + 1)
    throw ort::Error(where + "found shape [" + std::to_string(count) + "], wanted [" + std::to_string(n + 1) + "]");
  for (std::size_t row = 0; row <= n; ++row) {
    const std::int64_t low = row == 0 ? 0 : pointers[row - 1];
    if (pointers[row] < low || (row == 0 && pointers[0] != 0))
      throw ort::Error(where + "found " + std::to_string(pointers[row]) + " at position " + std::to_string(row) +
                       ", wanted " + (row == 0 ? "0" : "at least " + std::to_string(low)));
  }
  if (static_cast<std::size_t>(pointers[n]) != entries)
    throw ort::Error(where + "found " + std::to_string(pointers[n]) + " at the end, wanted the number of values, " +
                     std::to_string(entries));
}

void check_columns(const std::uint16_t* columns, std::size_t count, std::size_t k, std::size_t entries) {
  const std::string where = "input columns: ";
  if (count != entries)
    throw ort::Error(where + "found shape [" + std::to_string(count) + "], wanted [" + std::to_string(entries) + "]");
  for (std::size_t i = 0; i < count; ++i)
    if (columns[i] >= k)
      throw ort::Error(where + "found " + std::to_string(columns[i]) + " at position " + std::to_string(i) +
                       ", wanted 0 to " + std::to_string(k - 1));
}

kernels::CsrMatrix read_matrix(const ort::KernelInfo& info) {
  const std::size_t k = info.size("K", 1, kMaxColumns), n = info.size("N", 1, kMaxFeatures);
  const auto [pointers, pointer_count] = constant_vector<std::int32_t>(info, 1, "row_pointers");
  const auto [columns, column_count] = constant_vector<std::uint16_t>(info, 2, "columns");
  const auto [values, entries] = constant_vector<std::uint16_t>(info, 3, "values");
  check_row_pointers(pointers, pointer_count, n, entries);
  check_columns(columns, column_count, k, entries);
  return {n, k, pointers, columns, values};
}

} // namespace

SparseGemm::SparseGemm(const ort::KernelInfo& info)
    : kernels_(kernels::sparse_gemm_kernels(kernels::selected_isa())), weights_(read_matrix(info)) {}

void SparseGemm::compute(const ort::KernelContext& context) const {
  const ort::Tensor x = context.input(0);
  const std::size_t tokens = token_count(x, weights_.k);
  const ort::Shape shape = output_shape(x.shape, weights_.n);
  const std::optional<ort::Tensor> addend = context.optional_input(4);
  if (addend && addend->shape != shape)
    throw ort::Error("input addend: found shape " + ort::to_string(addend->shape) + ", wanted " +
                     ort::to_string(shape));
  auto* y = static_cast<float*>(context.output(0, shape));
  if (tokens == 0)
    return;
  const float* added = addend ? static_cast<const float*>(addend->data) : nullptr;
  multiply(context, {weights_, static_cast<const float*>(x.data), tokens, added, y});
}

void SparseGemm::multiply(const ort::KernelContext& context, kernels::MatmulCsr product) const {
  const std::size_t panels = kernels::uses_sparse_panels(product.tokens) ? kernels::sparse_panels(product.tokens) : 0;
  const std::size_t panel_size = weights_.k * kernels::kSparsePanelTokens;
  Scratch scratch(Scratch::padded<float>(panels * panel_size));
  if (panels > 0) {
    const float* x = product.x;
    auto* arranged = scratch.take<float>(panels * panel_size);
    for_chunks(context, panels, chunk_count(panels, static_cast<double>(panel_size), kLeastActivations),
               [&](std::size_t first, std::size_t last) {
                 kernels_.arrange(x, product.tokens, weights_.k, arranged, first, last);
               });
    product.x = arranged;
  }
  const auto entries = static_cast<double>(weights_.row_pointers[weights_.n]);
  const double products = static_cast<double>(product.tokens) * (1 + entries / static_cast<double>(weights_.n));
  for_chunks(context, weights_.n, chunk_count(weights_.n, products, kLeastProducts),
             [&](std::size_t first, std::size_t last) { kernels_.matmul(product, first, last); });
}

void SparseGemm::infer_shapes(const ort::ShapeInference& inference) { infer_matmul_shape(inference); }

} // namespace edgeq::ops
