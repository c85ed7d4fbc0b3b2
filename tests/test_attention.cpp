// SPDX-License-Identifier: Apache-2.0
#include "cases.h"
#include "ftlib/ops/attention.h"
#include "oracle.h"

using namespace ftlib;
using oracle::Doubles;
using oracle::Values;

namespace {

std::vector<std::int32_t> offsets_of(const std::vector<std::int32_t>& lengths) {
  std::vector<std::int32_t> offsets = {0};
  for (const std::int32_t length : lengths) offsets.push_back(offsets.back() + length);
  return offsets;
}

/// One attention problem over packed segments, forward and backward, in any dtype and in double.
struct Problem {
  cases::Attention c;
  std::vector<std::int32_t> offsets = offsets_of(c.lengths);
  std::int64_t tokens = offsets.back();
  float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(c.head_dim)));

  AttentionSegments segments() const {
    AttentionSegments s;
    s.q_offsets = offsets.data(), s.count = static_cast<std::int64_t>(c.lengths.size());
    return s;
  }
  std::int64_t q_count() const { return tokens * c.heads * c.head_dim; }
  std::int64_t kv_count() const { return tokens * c.kv_heads * c.head_dim; }
  Values q(DType dtype) const { return Values::random(dtype, q_count(), 1, 1.5); }
  Values k(DType dtype) const { return Values::random(dtype, kv_count(), 2, 1.5); }
  Values v(DType dtype) const { return Values::random(dtype, kv_count(), 3); }
  Values dy(DType dtype) const { return Values::random(dtype, q_count(), 4); }
  TensorView q_view(Values& values) const { return values.heads(c.heads, c.head_dim); }
  TensorView kv_view(Values& values) const { return values.heads(c.kv_heads, c.head_dim); }
  TensorView lse_view(Values& values) const { return matrix_view(values.data(), c.heads, tokens, DType::f32); }

  template <class T>
  Heads<T> q_heads(T* data) const { return {data, c.heads * c.head_dim, c.head_dim}; }
  template <class T>
  Heads<T> kv_heads(T* data) const { return {data, c.kv_heads * c.head_dim, c.head_dim}; }

  std::vector<Values> forward(Values q_in, Values k_in, Values v_in) const {
    Values y = Values::filled(q_in.dtype(), q_count()), lse = Values::filled(DType::f32, c.heads * tokens);
    attention({q_view(q_in), kv_view(k_in), kv_view(v_in), segments(), scale, q_view(y), lse_view(lse)});
    return {y, lse};
  }
  std::vector<Doubles> forward(const Doubles& q_in, const Doubles& k_in, const Doubles& v_in) const {
    Doubles y(q_in.size()), lse(static_cast<std::size_t>(c.heads * tokens));
    reference::attention<double>(q_heads(q_in.data()), kv_heads(k_in.data()), kv_heads(v_in.data()), segments(), scale,
                                 q_heads(y.data()), {lse.data(), tokens}, c.heads, c.heads / c.kv_heads, c.head_dim);
    return {y, lse};
  }
  std::vector<Values> backward(Values q_in, Values k_in, Values v_in, Values dy_in) const {
    const DType dtype = q_in.dtype();
    std::vector<Values> made = forward(q_in, k_in, v_in);
    Values dq = Values::filled(dtype, q_count()), dk = Values::filled(dtype, kv_count()), dv = dk;
    attention_backward({q_view(q_in), kv_view(k_in), kv_view(v_in), q_view(made[0]), lse_view(made[1]), q_view(dy_in),
                        segments(), scale, q_view(dq), kv_view(dk), kv_view(dv)});
    return {dq, dk, dv};
  }
  std::vector<Doubles> backward(const Doubles& q_in, const Doubles& k_in, const Doubles& v_in, const Doubles& dy_in) const {
    const std::vector<Doubles> made = forward(q_in, k_in, v_in);
    Doubles dq(q_in.size()), dk(k_in.size()), dv(k_in.size());
    reference::attention_backward<double>(q_heads(q_in.data()), kv_heads(k_in.data()), kv_heads(v_in.data()),
                                          q_heads(made[0].data()), {made[1].data(), tokens}, q_heads(dy_in.data()),
                                          segments(), scale, q_heads(dq.data()), kv_heads(dk.data()),
                                          kv_heads(dv.data()), c.heads, c.heads / c.kv_heads, c.head_dim);
    return {dq, dk, dv};
  }
};

}  // namespace

TEST_CASE("attention equals the reference in double on every backend") {
  for (const cases::Attention& shape : cases::kAttention) {
    CAPTURE(shape.head_dim);
    const Problem p{shape};
    oracle::check_op(
        "attention", &KernelTable::attention,
        [&](DType dtype) { return p.forward(p.q(dtype), p.k(dtype), p.v(dtype)); },
        [&](DType dtype) { return p.forward(p.q(dtype).doubles(), p.k(dtype).doubles(), p.v(dtype).doubles()); });
  }
}

TEST_CASE("attention_backward equals the reference in double on every backend") {
  for (const cases::Attention& shape : cases::kAttention) {
    CAPTURE(shape.head_dim);
    const Problem p{shape};
    oracle::check_op(
        "attention_backward", &KernelTable::attention_backward,
        [&](DType dtype) { return p.backward(p.q(dtype), p.k(dtype), p.v(dtype), p.dy(dtype)); },
        [&](DType dtype) {
          return p.backward(p.q(dtype).doubles(), p.k(dtype).doubles(), p.v(dtype).doubles(), p.dy(dtype).doubles());
        });
  }
}

TEST_CASE("attention_backward is the derivative of attention") {
  const Problem p{{4, 2, 6, {3, 1, 5}}};
  Doubles q = p.q(DType::f32).doubles(), k = p.k(DType::f32).doubles(), v = p.v(DType::f32).doubles();
  const Doubles dy = p.dy(DType::f32).doubles();
  const auto loss = [&] { return oracle::dot(p.forward(q, k, v)[0], dy); };
  const std::vector<Doubles> got = p.backward(q, k, v, dy);
  CHECK(oracle::relative_error(got[0], oracle::central_differences(q, loss)) < 1e-8);
  CHECK(oracle::relative_error(got[1], oracle::central_differences(k, loss)) < 1e-8);
  CHECK(oracle::relative_error(got[2], oracle::central_differences(v, loss)) < 1e-8);
}
