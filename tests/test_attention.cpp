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

namespace {

/// Rows [begin, begin + count) of [T, heads, dim], contiguous.
Values slice(const Values& all, std::int64_t row, std::int64_t begin, std::int64_t count) {
  const Doubles values = all.doubles();
  return Values(all.dtype(), Doubles(values.begin() + begin * row, values.begin() + (begin + count) * row));
}

/// Row `token` of `all` becomes NaN.
void poison(Values& all, std::int64_t row, std::int64_t token) {
  Doubles values = all.doubles();
  std::fill_n(values.begin() + token * row, row, NAN);
  all = Values(all.dtype(), values);
}

bool has_nan(const Values& values) {
  const Doubles all = values.doubles();
  return std::any_of(all.begin(), all.end(), [](double v) { return std::isnan(v); });
}

/// Columns [begin, begin + count) of lse [heads, T].
Doubles lse_slice(const Values& lse, std::int64_t tokens, std::int64_t begin, std::int64_t count) {
  const Doubles all = lse.doubles();
  Doubles out;
  for (std::size_t h = 0; h < all.size() / static_cast<std::size_t>(tokens); ++h)
    out.insert(out.end(), all.begin() + static_cast<std::int64_t>(h) * tokens + begin,
               all.begin() + static_cast<std::int64_t>(h) * tokens + begin + count);
  return out;
}

}  // namespace

TEST_CASE("a segment has the bits that it has alone, forward and backward, whatever its neighbours hold") {
  const Problem packed{{6, 2, 20, {67, 1, 130, 5}}};
  const std::int64_t q_row = 6 * 20, kv_row = 2 * 20, begin = 68, count = 130;
  const Problem alone{{6, 2, 20, {130}}};
  for (const DType dtype : {DType::f32, DType::bf16})
    oracle::for_each_backend([&](const KernelTable& backend) {
      CAPTURE(backend.name);
      Values q = packed.q(dtype), k = packed.k(dtype), v = packed.v(dtype), dy = packed.dy(dtype);
      const auto q0 = slice(q, q_row, begin, count), dy0 = slice(dy, q_row, begin, count);
      const auto k0 = slice(k, kv_row, begin, count), v0 = slice(v, kv_row, begin, count);
      for (const std::int64_t other : {0, 66, 67, 198, 202})
        for (Values* values : {&q, &k, &v, &dy}) poison(*values, values == &q || values == &dy ? q_row : kv_row, other);
      const auto all = packed.forward(q, k, v), one = alone.forward(q0, k0, v0);
      CHECK(slice(all[0], q_row, begin, count).bytes() == one[0].bytes());
      CHECK(lse_slice(all[1], packed.tokens, begin, count) == one[1].doubles());
      const auto d_all = packed.backward(q, k, v, dy), d_one = alone.backward(q0, k0, v0, dy0);
      CHECK(slice(d_all[0], q_row, begin, count).bytes() == d_one[0].bytes());
      CHECK(slice(d_all[1], kv_row, begin, count).bytes() == d_one[1].bytes());
      CHECK(slice(d_all[2], kv_row, begin, count).bytes() == d_one[2].bytes());
      CHECK_FALSE(has_nan(d_one[1]));
    });
}

TEST_CASE("NaN and infinity stay in their own segment and do not stop the others") {
  const Problem p{{3, 1, 16, {40, 70}}};
  for (const DType dtype : {DType::f32, DType::bf16})
    oracle::for_each_backend([&](const KernelTable&) {
      for (const double bad : {double{NAN}, double{INFINITY}}) {
        Doubles values = p.q(dtype).doubles();
        std::fill_n(values.begin() + 17 * 48, 48, bad);
        const auto d = p.backward(Values(dtype, values), p.k(dtype), p.v(dtype), p.dy(dtype));
        CHECK(has_nan(slice(d[1], 16, 0, 40)));
        CHECK_FALSE(has_nan(slice(d[1], 16, 40, 70)));
        CHECK_FALSE(has_nan(slice(d[0], 48, 40, 70)));
      }
    });
}

TEST_CASE("generation over a cache gives what the whole sequence gives") {
  // Few long sequences, then many that ask for one to three tokens: each takes its own way through the heads.
  std::vector<std::int32_t> few = {150, 5, 70}, many, few_asked = {1, 5, 70}, many_asked;
  for (std::int32_t s = 0; s < 20; ++s) many.push_back(3 + s * 37 % 140), many_asked.push_back(1 + s % 3);
  for (const auto& both : {std::pair{few, few_asked}, std::pair{many, many_asked}}) {
    const auto &lengths = both.first, &asked = both.second;
    const Problem whole{{6, 2, 64, lengths}};
    const std::vector<std::int32_t> q_offsets = offsets_of(asked);
    std::vector<std::int32_t> kv_begin;  // from the end of the cache to its start, with a row of NaN between
    for (std::size_t s = 0; s < lengths.size(); ++s)
      kv_begin.push_back(static_cast<std::int32_t>(whole.tokens - whole.offsets[s + 1] + static_cast<std::int32_t>(lengths.size() - s)));
    const auto cache_rows = whole.tokens + static_cast<std::int64_t>(lengths.size()) + 1;
    for (const DType dtype : {DType::f32, DType::bf16})
      oracle::for_each_backend([&](const KernelTable& backend) {
        CAPTURE(backend.name);
        const Doubles q = whole.q(dtype).doubles(), k = whole.k(dtype).doubles(), v = whole.v(dtype).doubles();
        Doubles cache_k(static_cast<std::size_t>(cache_rows * 128), NAN), cache_v = cache_k, last_q, want;
        const Doubles full = whole.forward(q, k, v)[0];
        for (std::size_t s = 0; s < lengths.size(); ++s) {
          const std::int64_t begin = whole.offsets[s], end = whole.offsets[s + 1], row = 6 * 64;
          std::copy(k.begin() + begin * 128, k.begin() + end * 128, cache_k.begin() + kv_begin[s] * 128);
          std::copy(v.begin() + begin * 128, v.begin() + end * 128, cache_v.begin() + kv_begin[s] * 128);
          last_q.insert(last_q.end(), q.begin() + (end - asked[s]) * row, q.begin() + end * row);
          want.insert(want.end(), full.begin() + (end - asked[s]) * row, full.begin() + end * row);
        }
        AttentionArgs args;
        Values q_in(dtype, last_q), k_in(dtype, cache_k), v_in(dtype, cache_v);
        Values y = Values::filled(dtype, static_cast<std::int64_t>(last_q.size()));
        args.q = q_in.heads(6, 64), args.k = k_in.heads(2, 64), args.v = v_in.heads(2, 64), args.y = y.heads(6, 64);
        args.segments.q_offsets = q_offsets.data(), args.segments.count = static_cast<std::int64_t>(asked.size());
        args.segments.kv_begin = kv_begin.data(), args.segments.kv_length = lengths.data();
        args.scale = whole.scale;
        attention(args);
        CHECK(oracle::relative_error(y.doubles(), want) < oracle::tolerance(dtype));
      });
  }
}

TEST_CASE("heads may be columns of one wide matrix") {
  const Problem p{{4, 2, 16, {30, 3}}};
  for (const DType dtype : {DType::f32, DType::bf16})
    oracle::for_each_backend([&](const KernelTable&) {
      Values q = p.q(dtype), k = p.k(dtype), v = p.v(dtype);
      const auto want = p.forward(q, k, v);
      const Doubles qd = q.doubles(), kd = k.doubles(), vd = v.doubles();
      Doubles wide;
      for (std::int64_t t = 0; t < p.tokens; ++t) {
        wide.insert(wide.end(), qd.begin() + t * 64, qd.begin() + (t + 1) * 64);
        wide.insert(wide.end(), kd.begin() + t * 32, kd.begin() + (t + 1) * 32);
        wide.insert(wide.end(), vd.begin() + t * 32, vd.begin() + (t + 1) * 32);
      }
      Values qkv(dtype, wide), y = Values::filled(dtype, p.q_count());
      const auto part = [&](std::int64_t column, std::int64_t heads) {
        TensorView view = qkv.heads(8, 16);
        view.data = static_cast<char*>(view.data) + column * dtype_bytes(dtype), view.shape[1] = heads;
        return view;
      };
      attention({part(0, 4), part(64, 2), part(96, 2), p.segments(), p.scale, p.q_view(y), {}});
      CHECK(y.bytes() == want[0].bytes());
    });
}

TEST_CASE("a segment of 4096 tokens: single rows equal double, and the gradients keep their sums") {
  const Problem p{{3, 1, 64, {4096}}};
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const auto q = p.q(dtype), k = p.k(dtype), v = p.v(dtype), dy = p.dy(dtype);
    const Doubles qd = q.doubles(), kd = k.doubles(), vd = v.doubles(), y = p.forward(q, k, v)[0].doubles();
    for (const std::int64_t i : {0, 63, 64, 2047, 4095}) {
      Doubles want(64), got(y.begin() + (i * 3 + 1) * 64, y.begin() + (i * 3 + 2) * 64);
      double sum = 0;
      for (std::int64_t j = 0; j <= i; ++j) {
        const double weight = std::exp(static_cast<double>(p.scale) * reference::dot(&qd[static_cast<std::size_t>((i * 3 + 1) * 64)], &kd[static_cast<std::size_t>(j * 64)], 64));
        sum += weight;
        for (std::size_t e = 0; e < 64; ++e) want[e] += weight * vd[static_cast<std::size_t>(j) * 64 + e];
      }
      for (double& value : want) value /= sum;
      CHECK(oracle::relative_error(got, want) < oracle::tolerance(dtype));
    }
    // Every row of weights sums to 1, and scores are bilinear in q and k.
    const auto d = p.backward(q, k, v, dy);
    Doubles dv_sum(64), dy_sum(64);
    const Doubles dv = d[2].doubles(), dyd = dy.doubles();
    for (std::size_t i = 0; i < dv.size(); ++i) dv_sum[i % 64] += dv[i];
    for (std::size_t i = 0; i < dyd.size(); ++i) dy_sum[i % 64] += dyd[i];
    CHECK(oracle::relative_error(dv_sum, dy_sum) < oracle::tolerance(dtype));
    const double along_q = oracle::dot(d[0].doubles(), qd), along_k = oracle::dot(d[1].doubles(), kd);
    CHECK(along_q == doctest::Approx(along_k).epsilon(10 * oracle::tolerance(dtype)).scale(1));
  }
}

TEST_CASE("long segments, whose queries several threads share: gradients equal double, with the bits of one alone on one thread") {
  const Problem packed{{2, 1, 16, {3, 2200, 2050}}}, alone{{2, 1, 16, {2200}}};
  const int before = threads();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    Values q = packed.q(dtype), k = packed.k(dtype), v = packed.v(dtype), dy = packed.dy(dtype);
    const std::vector<Doubles> want = packed.backward(q.doubles(), k.doubles(), v.doubles(), dy.doubles());
    oracle::for_each_backend([&](const KernelTable& backend) {
      if (backend.name == "ref") return;  // loops over all pairs: it is what `want` comes from
      CAPTURE(backend.name);
      set_threads(2);
      const auto got = packed.backward(q, k, v, dy);
      set_threads(1);
      const auto one = alone.backward(slice(q, 32, 3, 2200), slice(k, 16, 3, 2200), slice(v, 16, 3, 2200), slice(dy, 32, 3, 2200));
      for (std::size_t i = 0; i < 3; ++i) {
        CHECK(oracle::relative_error(got[i].doubles(), want[i]) < oracle::tolerance(dtype));
        CHECK(slice(got[i], i == 0 ? 32 : 16, 3, 2200).bytes() == one[i].bytes());
      }
    });
  }
  set_threads(before);
}

TEST_CASE("attention names what does not fit") {
  Problem p{{4, 2, 16, {3, 2}}};
  Values q = p.q(DType::f32), k = p.k(DType::f32), y = q, lse = Values::filled(DType::f32, 20);
  const auto message = [&](auto change) -> std::string {
    AttentionArgs args{p.q_view(q), p.kv_view(k), p.kv_view(k), p.segments(), 1, p.q_view(y), p.lse_view(lse)};
    change(args);
    try {
      attention(args);
    } catch (const Error& error) {
      CHECK(error.status() == Status::invalid_argument);
      return error.what();
    }
    return "no error";
  };
  CHECK(message([](AttentionArgs&) {}) == "no error");
  CHECK(message([](AttentionArgs& a) { a.segments.count = 1; }) == "[attention] segments got 3 query rows, want 5");
  const std::int32_t falling[] = {0, 4, 3}, late[] = {1, 3, 5}, begin[] = {0, 4}, length[] = {3, 2};
  CHECK(message([&](AttentionArgs& a) { a.segments.q_offsets = falling; }) ==
        "[attention] segment 1 got query rows 4 to 3, want a start at 4 and no negative length");
  CHECK(message([&](AttentionArgs& a) { a.segments.q_offsets = late; }) ==
        "[attention] segment 0 got query rows 1 to 3, want a start at 0 and no negative length");
  CHECK(message([&](AttentionArgs& a) { a.segments.kv_begin = begin; }) ==
        "[attention] kv_begin and kv_length go together, got one of them");
  CHECK(message([&](AttentionArgs& a) { a.segments.kv_begin = begin, a.segments.kv_length = length; }) ==
        "[attention] segment 1 got keys 4 to 6, want at least 2 within 0 to 5");
  CHECK(message([](AttentionArgs& a) { a.q.shape[1] = a.y.shape[1] = 3; a.lse = {}; }) ==
        "[attention] got 3 query heads on 2 key/value heads, want a multiple");
  CHECK(message([](AttentionArgs& a) { a.v.dtype = DType::bf16; }) ==
        "[attention] v got bf16 [5, 2, 16], want f32 [5, 2, 16]");
}
