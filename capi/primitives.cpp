// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <vector>

#include "ftlib/ops/cross_entropy.h"
#include "ftlib/ops/lora_linear.h"
#include "ftlib/ops/nf4.h"
#include "ftlib/optim/adamw.h"
#include "guard.h"

namespace ftlib::capi {
namespace {

constexpr std::int64_t kNestedBlock = 256;

DType dtype_of(const ft_dtype& dtype) {
  constexpr DType kTypes[] = {DType::f32, DType::bf16, DType::f16};
  return kTypes[choice(dtype, FT_F16, "dtype")];
}

std::int64_t blocks(std::int64_t count, std::int64_t size) { return count / size + (count % size != 0); }

/// Any number of elements whose bytes can be counted.
void check_count(std::int64_t count, std::string_view name) {
  FT_CHECK(count >= 0 && count <= INT64_MAX / 64, invalid_argument, name, " must be 0 to ", INT64_MAX / 64, ", got ", count);
}

template <class T>
T* elements(T* data, std::int64_t count, std::string_view name) {
  FT_CHECK(data != nullptr || count == 0, invalid_argument, name, " is NULL");
  return data;
}

/// The library's view of a tensor; NULL gives an absent one.
TensorView view_of(const ft_tensor* tensor, std::string_view name, int rank) {
  if (tensor == nullptr) return {};
  const ft_tensor t = read_struct(tensor, name);
  FT_CHECK(t.rank == rank, invalid_argument, name, " has rank ", t.rank, ", want ", rank);
  check_count(t.shape[0], concat(name, ".shape[0]"));
  TensorView view = vector_view(t.data, t.shape[0], dtype_of(t.dtype));
  if (rank == 2) {
    check_count(t.shape[1], concat(name, ".shape[1]"));
    FT_CHECK(t.shape[1] == 0 || t.shape[0] <= INT64_MAX / 64 / t.shape[1], invalid_argument, name, " is too large");
    view = matrix_view(t.data, t.shape[0], t.shape[1], view.dtype);
    if (t.stride[0] != 0 || t.stride[1] != 0) {
      FT_CHECK(t.stride[1] == 1 && t.stride[0] >= t.shape[1], invalid_argument, name, ": strides {", t.stride[0], ", ",
               t.stride[1], "} of rows of ", t.shape[1], " elements; the last axis must be contiguous");
      view.stride[0] = t.stride[0];
    }
  }
  elements(t.data, view.numel(), concat(name, ".data"));
  return view;
}

TensorView needed(const ft_tensor* tensor, std::string_view name) {
  return view_of(need(tensor, name), name, 2);
}

WeightView weight_of(const ft_weight* weight) {
  const ft_weight w = read_struct(weight, "weight");
  const ft_weight_format format = choice(w.format, FT_WEIGHT_NF4, "weight.format");
  check_count(w.out_features, "weight.out_features");
  check_count(w.in_features, "weight.in_features");
  FT_CHECK(w.in_features == 0 || w.out_features <= INT64_MAX / 64 / w.in_features, invalid_argument, "weight is too large");
  elements(w.data, w.out_features * w.in_features, "weight.data");
  if (format != FT_WEIGHT_NF4) {
    constexpr DType kTypes[] = {DType::f32, DType::bf16, DType::f16};
    return dense_weight(w.data, w.out_features, w.in_features, kTypes[format]);
  }
  FT_CHECK(w.block_size >= 32 && w.block_size <= 4096 && (w.block_size & (w.block_size - 1)) == 0, invalid_argument,
           "weight.block_size must be a power of two from 32 to 4096, got ", w.block_size);
  WeightView view;
  view.format = WeightFormat::nf4, view.block_size = w.block_size;
  view.shape[0] = w.out_features, view.shape[1] = w.in_features;
  view.data = w.data, view.scales = elements(w.absmax, w.out_features * w.in_features, "weight.absmax");
  view.dtype = DType::f32;
  if (w.nested_scales == nullptr) return view;
  view.nested_scales = w.nested_scales, view.nested_code = dynamic_map(true), view.nested_offset = w.nested_offset;
  return view;
}

template <class T>
bool all_finite(const T* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i)
    if (!std::isfinite(to_float(values[i]))) return false;
  return true;
}

bool all_finite(const ConstTensorView& values) {
  if (values.dtype == DType::bf16) return all_finite(data_as<bf16>(values), values.numel());
  if (values.dtype == DType::f16) return all_finite(data_as<f16>(values), values.numel());
  return all_finite(data_as<float>(values), values.numel());
}

ft_adamw_options adamw_defaults() {
  ft_adamw_options o{};
  o.lr = 2e-4, o.beta1 = 0.9, o.beta2 = 0.999, o.eps = 1e-8;
  return o;
}

AdamWOptions adamw_options(const ft_adamw_options* options) {
  const auto o = read_options(options, adamw_defaults());
  FT_CHECK(o.beta1 >= 0 && o.beta1 < 1 && o.beta2 >= 0 && o.beta2 < 1, invalid_argument,
           "betas must lie in [0, 1), got ", o.beta1, " and ", o.beta2);
  FT_CHECK(std::isfinite(o.lr) && o.lr >= 0 && std::isfinite(o.eps) && o.eps > 0 && std::isfinite(o.weight_decay) &&
               o.weight_decay >= 0,
           invalid_argument, "lr and weight_decay must be finite and not negative, eps positive");
  return {o.lr, o.beta1, o.beta2, o.eps, o.weight_decay};
}

}  // namespace
}  // namespace ftlib::capi

using namespace ftlib;
using namespace ftlib::capi;

ft_status ft_nf4_quantize(const void* values, ft_dtype dtype, int64_t count, int32_t block_size, uint8_t* codes,
                          float* absmax) {
  return guard([&] {
    check_process();
    check_count(count, "count");
    FT_CHECK(block_size > 0, invalid_argument, "block_size must be a power of two from 32 to 4096, got ", block_size);
    const ConstTensorView from = vector_view(elements(values, count, "values"), count, dtype_of(dtype));
    FT_CHECK(all_finite(from), non_finite, "values hold NaN or infinity, which NF4 cannot");
    nf4_quantize({from, block_size, vector_view<void*>(elements(codes, count, "codes"), blocks(count, 2), DType::u8),
                  vector_view<void*>(elements(absmax, count, "absmax"), blocks(count, block_size))});
  });
}

ft_status ft_nf4_double_quantize(const float* absmax, int64_t count, uint8_t* codes, float* nested_scales,
                                 float* offset) {
  return guard([&] {
    check_process();
    check_count(count, "count");
    need(offset, "offset");
    const ConstTensorView from = vector_view<const void*>(elements(absmax, count, "absmax"), count);
    FT_CHECK(all_finite(from), non_finite, "absmax holds NaN or infinity");
    *offset = double_quantize(
        {from, vector_view<void*>(elements(codes, count, "codes"), count, DType::u8),
         vector_view<void*>(elements(nested_scales, count, "nested_scales"), blocks(count, kNestedBlock))});
  });
}

ft_status ft_nf4_dequantize(const ft_weight* weight, void* values, ft_dtype dtype) {
  return guard([&] {
    check_process();
    const WeightView from = weight_of(weight);
    FT_CHECK(from.format == WeightFormat::nf4, invalid_argument, "weight.format must be FT_WEIGHT_NF4");
    nf4_dequantize({from, vector_view(elements(values, from.numel(), "values"), from.numel(), dtype_of(dtype))});
  });
}

ft_status ft_lora_linear(const ft_lora_linear_args* args) {
  return guard([&] {
    check_process();
    const auto a = read_struct(args, "args");
    lora_linear({needed(a.x, "x"), weight_of(a.weight), view_of(a.bias, "bias", 1), {}, needed(a.a, "a"),
                 needed(a.b, "b"), a.scale, needed(a.u, "u"), {}, needed(a.y, "y")});
  });
}

ft_status ft_lora_linear_backward(const ft_lora_linear_backward_args* args) {
  return guard([&] {
    check_process();
    const auto a = read_struct(args, "args");
    const WeightView weight = weight_of(a.weight);
    const TensorView dy = needed(a.dy, "dy"), du = needed(a.du, "du"), lora_a = needed(a.a, "a");
    const TensorView dx = view_of(a.dx, "dx", 2);
    lora_linear_backward({dy, needed(a.x, "x"), lora_a, needed(a.b, "b"), needed(a.u, "u"), a.scale, du,
                          needed(a.d_a, "d_a"), needed(a.d_b, "d_b")});
    if (a.dx) lora_linear_backward_input(dy, weight, du, lora_a, dx);
  });
}

ft_status ft_adamw_options_init(ft_adamw_options* options, size_t struct_size) {
  return guard([&] { init_options(options, struct_size, adamw_defaults()); });
}

ft_status ft_adamw_step(float* parameter, const float* gradient, float* exp_avg, float* exp_avg_sq, int64_t count,
                        const ft_adamw_options* options, int64_t step, float gradient_scale) {
  return guard([&] {
    check_process();
    check_count(count, "count");
    const AdamWTensor tensor{elements(parameter, count, "parameter"), elements(gradient, count, "gradient"),
                             elements(exp_avg, count, "exp_avg"), elements(exp_avg_sq, count, "exp_avg_sq"), count};
    adamw_step({&tensor, 1}, adamw_options(options), step, gradient_scale);
  });
}

ft_status ft_adamw_8bit_step(float* parameter, const float* gradient, uint8_t* exp_avg, uint8_t* exp_avg_sq,
                             float* exp_avg_absmax, float* exp_avg_sq_absmax, int64_t count,
                             const ft_adamw_options* options, int64_t step, float gradient_scale) {
  return guard([&] {
    check_process();
    check_count(count, "count");
    const AdamW8bitTensor tensor{elements(parameter, count, "parameter"),
                                 elements(gradient, count, "gradient"),
                                 elements(exp_avg, count, "exp_avg"),
                                 elements(exp_avg_sq, count, "exp_avg_sq"),
                                 elements(exp_avg_absmax, count, "exp_avg_absmax"),
                                 elements(exp_avg_sq_absmax, count, "exp_avg_sq_absmax"),
                                 count};
    adamw_8bit_step({&tensor, 1}, adamw_options(options), step, gradient_scale);
  });
}

ft_status ft_clip_grad_norm(float* const* gradients, const int64_t* counts, size_t tensor_count, double max_norm,
                            double* norm) {
  return guard([&] {
    check_process();
    need(norm, "norm");
    FT_CHECK(std::isfinite(max_norm) && max_norm >= 0, invalid_argument, "max_norm must be finite and not negative, got ",
             max_norm);
    const auto data = array(gradients, tensor_count, "gradients");
    const auto sizes = array(counts, tensor_count, "counts");
    std::vector<std::span<const float>> all;
    for (std::size_t i = 0; i < tensor_count; ++i) {
      check_count(sizes[i], concat("counts[", i, "]"));
      all.emplace_back(elements(data[i], sizes[i], concat("gradients[", i, "]")), static_cast<std::size_t>(sizes[i]));
    }
    *norm = global_norm(all);
    const float factor = std::isfinite(*norm) ? clip_factor(*norm, max_norm) : 1;
    for (std::size_t i = 0; factor != 1 && i < tensor_count; ++i)
      for (std::int64_t j = 0; j < sizes[i]; ++j) data[i][j] *= factor;
  });
}

ft_status ft_cross_entropy(const float* logits, const int32_t* targets, const float* weights, int64_t rows,
                           int64_t vocabulary, float gradient_scale, float* nll, float* d_logits) {
  return guard([&] {
    check_process();
    check_count(rows, "rows");
    check_count(vocabulary, "vocabulary");
    FT_CHECK(vocabulary >= 1 && rows <= INT64_MAX / 64 / vocabulary, invalid_argument, "vocabulary must be positive, and ",
             rows, " rows of ", vocabulary, " must fit");
    CrossEntropyArgs args;
    args.logits = matrix_view<const void*>(elements(logits, rows, "logits"), rows, vocabulary);
    args.targets = vector_view<const void*>(elements(targets, rows, "targets"), rows, DType::i32);
    if (weights) args.weights = vector_view<const void*>(weights, rows);
    args.gradient_scale = gradient_scale;
    args.nll = vector_view<void*>(elements(nll, rows, "nll"), rows);
    if (d_logits) args.d_logits = matrix_view<void*>(d_logits, rows, vocabulary);
    cross_entropy(args);
  });
}
