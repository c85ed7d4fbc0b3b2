/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { T = 5, N = 7, K = 32, R = 3 };

/* A number between -1 and 1 that i alone decides. */
static float value(size_t i) { return (float)((i * 2654435761u >> 7) % 2001) / 1000.0f - 1.0f; }

static void fill(float* to, size_t count, size_t from) {
  size_t i;
  for (i = 0; i < count; ++i) to[i] = value(from + i);
}

static ft_tensor matrix(const float* data, int64_t rows, int64_t columns) {
  ft_tensor t;
  memset(&t, 0, sizeof t);
  t.struct_size = sizeof t, t.dtype = FT_F32, t.data = (void*)data, t.rank = 2;
  t.shape[0] = rows, t.shape[1] = columns;
  return t;
}

static ft_weight dense(const float* data) {
  ft_weight w;
  memset(&w, 0, sizeof w);
  w.struct_size = sizeof w, w.format = FT_WEIGHT_F32, w.out_features = N, w.in_features = K, w.data = data;
  return w;
}

static int close_to(double got, double want) { return fabs(got - want) <= 1e-5 * (1 + fabs(want)); }

static void nf4_goes_there_and_back(void) {
  float x[200], back[200], absmax[4], nested_scales[1], offset = 0;
  uint8_t codes[100], absmax_codes[4];
  ft_weight w;
  size_t i;
  double worst = 0;
  fill(x, 200, 0);
  x[3] = 0;
  OK(ft_nf4_quantize(x, FT_F32, 200, 64, codes, absmax));
  memset(&w, 0, sizeof w);
  w.struct_size = sizeof w, w.format = FT_WEIGHT_NF4, w.out_features = 1, w.in_features = 200, w.data = codes, w.absmax = absmax;
  w.block_size = 64;
  OK(ft_nf4_dequantize(&w, back, FT_F32));
  for (i = 0; i < 200; ++i) worst = fmax(worst, fabs(x[i] - back[i]));
  CHECK(worst > 0 && worst < 0.16 && back[3] == 0); /* the widest gap of the codes is 0.304 */
  OK(ft_nf4_double_quantize(absmax, 4, absmax_codes, nested_scales, &offset));
  CHECK(close_to(offset, (absmax[0] + absmax[1] + absmax[2] + absmax[3]) / 4));
  w.absmax = absmax_codes, w.nested_scales = nested_scales, w.nested_offset = offset;
  OK(ft_nf4_dequantize(&w, back, FT_F32));
  for (i = 0; i < 200; ++i) CHECK(fabs(x[i] - back[i]) < 0.17);
  w.block_size = 48;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_nf4_dequantize(&w, back, FT_F32));
  x[0] = INFINITY;
  FAILS(FT_ERROR_NON_FINITE, ft_nf4_quantize(x, FT_F32, 200, 64, codes, absmax));
  FAILS(FT_ERROR_NON_FINITE, ft_nf4_double_quantize(x, 4, absmax_codes, nested_scales, &offset));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_nf4_quantize(x, FT_F32, 200, 0, codes, absmax));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_nf4_quantize(x, FT_F32, -1, 64, codes, absmax));
  FAILS(FT_ERROR_UNSUPPORTED, ft_nf4_quantize(x, (ft_dtype)9, 200, 64, codes, absmax));
  OK(ft_nf4_quantize(NULL, FT_F32, 0, 64, NULL, NULL));
}

static void lora_linear_is_the_formula(void) {
  float x[T * K], w[N * K], a[R * K], b[N * R], bias[N], u[T * R], y[T * N];
  const float scale = 0.5f;
  ft_tensor tx = matrix(x, T, K), ta = matrix(a, R, K), tb = matrix(b, N, R), tu = matrix(u, T, R), ty = matrix(y, T, N),
            tbias = matrix(bias, N, 1);
  ft_weight tw = dense(w);
  ft_lora_linear_args args;
  int t, n, k, r;
  fill(x, T * K, 1), fill(w, N * K, 1000), fill(a, R * K, 2000), fill(b, N * R, 3000), fill(bias, N, 4000);
  tbias.rank = 1, tbias.shape[1] = 0;
  memset(&args, 0, sizeof args);
  args.struct_size = sizeof args, args.scale = scale, args.weight = &tw, args.x = &tx, args.bias = &tbias;
  args.a = &ta, args.b = &tb, args.u = &tu, args.y = &ty;
  OK(ft_lora_linear(&args));
  for (t = 0; t < T; ++t)
    for (n = 0; n < N; ++n) {
      double want = bias[n];
      for (k = 0; k < K; ++k) want += (double)x[t * K + k] * w[n * K + k];
      for (r = 0; r < R; ++r) {
        double inner = 0;
        for (k = 0; k < K; ++k) inner += (double)x[t * K + k] * a[r * K + k];
        want += scale * inner * b[n * R + r];
      }
      CHECK(close_to(y[t * N + n], want));
    }
  ty.shape[1] = N - 1;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_lora_linear(&args));
  SAYS("want");
  ty.shape[1] = N, tx.stride[0] = K - 1, tx.stride[1] = 1;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_lora_linear(&args));
  tx.stride[0] = tx.stride[1] = 0, tx.rank = 1;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_lora_linear(&args));
  tx.rank = 2, args.a = NULL;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_lora_linear(&args));
  SAYS("a is NULL");
}

/* sum(y * g) as a function of one number of x, A or B, whose slope is the gradient. */
static double objective(ft_lora_linear_args* args, const float* g) {
  const float* y = args->y->data;
  double sum = 0;
  int i;
  OK(ft_lora_linear(args));
  for (i = 0; i < T * N; ++i) sum += (double)y[i] * g[i];
  return sum;
}

static void check_slope(ft_lora_linear_args* args, const float* g, float* at, float gradient) {
  const float before = *at, h = 0.25f;
  double high, low;
  *at = before + h;
  high = objective(args, g);
  *at = before - h;
  low = objective(args, g);
  *at = before;
  CHECK(fabs((high - low) / (2 * (double)h) - gradient) < 1e-3 * (1 + fabs(gradient)));
}

static void the_backward_pass_is_the_slope_of_the_forward_pass(void) {
  float x[T * K], w[N * K], a[R * K], b[N * R], u[T * R], y[T * N], g[T * N], du[T * R], d_a[R * K], d_b[N * R], dx[T * K];
  ft_tensor tx = matrix(x, T, K), ta = matrix(a, R, K), tb = matrix(b, N, R), tu = matrix(u, T, R), ty = matrix(y, T, N),
            tg = matrix(g, T, N), tdu = matrix(du, T, R), tda = matrix(d_a, R, K), tdb = matrix(d_b, N, R),
            tdx = matrix(dx, T, K);
  ft_weight tw = dense(w);
  ft_lora_linear_args forward;
  ft_lora_linear_backward_args backward;
  int i;
  fill(x, T * K, 1), fill(w, N * K, 1000), fill(a, R * K, 2000), fill(b, N * R, 3000), fill(g, T * N, 5000);
  memset(&forward, 0, sizeof forward);
  forward.struct_size = sizeof forward, forward.scale = 2, forward.weight = &tw, forward.x = &tx;
  forward.a = &ta, forward.b = &tb, forward.u = &tu, forward.y = &ty;
  OK(ft_lora_linear(&forward));
  memset(&backward, 0, sizeof backward);
  backward.struct_size = sizeof backward, backward.scale = 2, backward.weight = &tw, backward.dy = &tg, backward.x = &tx;
  backward.a = &ta, backward.b = &tb, backward.u = &tu, backward.du = &tdu, backward.d_a = &tda, backward.d_b = &tdb;
  backward.dx = &tdx;
  memset(d_a, 0, sizeof d_a), memset(d_b, 0, sizeof d_b);
  OK(ft_lora_linear_backward(&backward));
  for (i = 0; i < R * K; i += 7) check_slope(&forward, g, &a[i], d_a[i]);
  for (i = 0; i < N * R; i += 2) check_slope(&forward, g, &b[i], d_b[i]);
  for (i = 0; i < T * K; i += 11) check_slope(&forward, g, &x[i], dx[i]);
  OK(ft_lora_linear(&forward));
  backward.dx = NULL; /* gradients are added to */
  {
    const float once = d_a[0];
    OK(ft_lora_linear_backward(&backward));
    CHECK(close_to(d_a[0], 2 * (double)once));
  }
  backward.dy = NULL;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_lora_linear_backward(&backward));
}

static void adamw_is_torchs(void) {
  float p[300], g[300], m[300], v[300], p8[300], absmax_m[2], absmax_v[2];
  uint8_t m8[300], v8[300];
  ft_adamw_options options;
  double want_p, want_m = 0, want_v = 0;
  int step;
  fill(p, 300, 0), fill(g, 300, 500);
  memset(m, 0, sizeof m), memset(v, 0, sizeof v), memset(m8, 0, sizeof m8), memset(v8, 0, sizeof v8);
  memset(absmax_m, 0, sizeof absmax_m), memset(absmax_v, 0, sizeof absmax_v);
  memcpy(p8, p, sizeof p);
  want_p = p[17];
  OK(ft_adamw_options_init(&options, sizeof options));
  CHECK(options.lr == 2e-4 && options.beta1 == 0.9 && options.beta2 == 0.999 && options.eps == 1e-8);
  options.lr = 0.01, options.weight_decay = 0.1;
  for (step = 1; step <= 3; ++step) {
    OK(ft_adamw_step(p, g, m, v, 300, &options, step, 0.5f));
    OK(ft_adamw_8bit_step(p8, g, m8, v8, absmax_m, absmax_v, 300, &options, step, 0.5f));
    want_p *= 1 - 0.01 * 0.1;
    want_m += (0.5 * g[17] - want_m) * 0.1;
    want_v = want_v * 0.999 + 0.25 * g[17] * g[17] * 0.001;
    want_p -= 0.01 / (1 - pow(0.9, step)) * want_m / (sqrt(want_v) / sqrt(1 - pow(0.999, step)) + 1e-8);
    CHECK(close_to(p[17], want_p));
  }
  CHECK(fabs(p8[17] - p[17]) < 2e-3 && p8[17] != value(17));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_adamw_step(p, g, m, v, 300, &options, 0, 1));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_adamw_step(p, g, NULL, v, 300, &options, 1, 1));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_adamw_8bit_step(p8, g, m8, v8, NULL, absmax_v, 300, &options, 1, 1));
  options.beta1 = 1;
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_adamw_step(p, g, m, v, 300, &options, 1, 1));
}

static void clipping_is_torchs(void) {
  float a[2] = {3, 0}, b[1] = {4};
  float* const all[] = {a, b};
  const int64_t counts[] = {2, 1};
  double norm = 0;
  OK(ft_clip_grad_norm(all, counts, 2, 0, &norm));
  CHECK(norm == 5 && a[0] == 3);
  OK(ft_clip_grad_norm(all, counts, 2, 1, &norm));
  CHECK(norm == 5 && close_to(a[0], 0.6) && close_to(b[0], 0.8));
  a[1] = NAN;
  OK(ft_clip_grad_norm(all, counts, 2, 0.1, &norm));
  CHECK(isnan(norm) && close_to(b[0], 0.8));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_clip_grad_norm(all, counts, 2, -1, &norm));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_clip_grad_norm(NULL, counts, 2, 1, &norm));
}

static void cross_entropy_and_its_gradient(void) {
  float logits[6] = {1, 2, 3, 0, 0, 0}, nll[2], d[6];
  const int32_t targets[] = {2, 0}, outside[] = {3, 0};
  const float weights[] = {1, 2};
  const double sum = exp(-2) + exp(-1) + 1;
  OK(ft_cross_entropy(logits, targets, weights, 2, 3, 0.5f, nll, d));
  CHECK(close_to(nll[0], log(sum)) && close_to(nll[1], log(3)));
  CHECK(close_to(d[0], 0.5 * exp(-2) / sum) && close_to(d[2], 0.5 * (1 / sum - 1)) && close_to(d[3], 1.0 / 3 - 1));
  OK(ft_cross_entropy(logits, targets, NULL, 2, 3, 1, nll, NULL));
  OK(ft_cross_entropy(logits, targets, NULL, 2, 3, 1, nll, logits));
  CHECK(close_to(logits[3], 1.0 / 3 - 1));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_cross_entropy(logits, outside, NULL, 2, 3, 1, nll, NULL));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_cross_entropy(logits, targets, NULL, -1, 3, 1, nll, NULL));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_cross_entropy(logits, targets, NULL, 2, 0, 1, nll, NULL));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_cross_entropy(NULL, targets, NULL, 2, 3, 1, nll, NULL));
}

const test_case primitive_tests[] = {
    {"primitives: NF4 goes there and back", nf4_goes_there_and_back},
    {"primitives: a LoRA linear is the formula", lora_linear_is_the_formula},
    {"primitives: the backward pass is the slope of the forward pass",
     the_backward_pass_is_the_slope_of_the_forward_pass},
    {"primitives: AdamW is torch's", adamw_is_torchs},
    {"primitives: clipping is torch's", clipping_is_torchs},
    {"primitives: cross-entropy and its gradient", cross_entropy_and_its_gradient},
    {NULL, NULL}};
