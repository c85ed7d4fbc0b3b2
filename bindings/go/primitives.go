// SPDX-License-Identifier: Apache-2.0

package ftlib

/*
#include <string.h>
#include <ftlib_c.h>

// C may keep no Go pointer in its structs, so these are made here, of arguments.
typedef struct go_weight {
  int32_t format, block_size;
  int64_t out_features, in_features;
  float nested_offset;
} go_weight;

static ft_weight weight_of(const go_weight* w, const void* data, const void* absmax, const float* nested_scales) {
  ft_weight weight;
  memset(&weight, 0, sizeof weight);
  weight.struct_size = sizeof weight, weight.format = (ft_weight_format)w->format, weight.block_size = w->block_size;
  weight.out_features = w->out_features, weight.in_features = w->in_features, weight.nested_offset = w->nested_offset;
  weight.data = data, weight.absmax = absmax, weight.nested_scales = nested_scales;
  return weight;
}

static ft_tensor tensor_of(const void* data, ft_dtype dtype, int64_t rows, int64_t columns) {
  ft_tensor tensor;
  memset(&tensor, 0, sizeof tensor);
  tensor.struct_size = sizeof tensor, tensor.dtype = dtype, tensor.data = (void*)data;
  tensor.rank = columns > 0 ? 2 : 1, tensor.shape[0] = rows, tensor.shape[1] = columns;
  return tensor;
}

// Arguments of any type come as bytes: see bytes() in ftlib.go.
static ft_status nf4_quantize(const uint8_t* values, ft_dtype dtype, int64_t count, int32_t block_size, uint8_t* codes,
                              float* absmax) {
  return ft_nf4_quantize(values, dtype, count, block_size, codes, absmax);
}

static ft_status nf4_dequantize(const go_weight* w, const uint8_t* data, const uint8_t* absmax,
                                const float* nested_scales, uint8_t* values, ft_dtype dtype) {
  const ft_weight weight = weight_of(w, data, absmax, nested_scales);
  return ft_nf4_dequantize(&weight, values, dtype);
}

static ft_status lora_linear(const go_weight* w, const uint8_t* data, const uint8_t* absmax, const float* nested_scales,
                             float scale, int64_t tokens, int64_t rank, ft_dtype t, ft_dtype t_of_y, const uint8_t* x,
                             const float* bias, const uint8_t* a, const uint8_t* b, uint8_t* u, uint8_t* y) {
  const int64_t n = w->out_features, k = w->in_features;
  const ft_weight weight = weight_of(w, data, absmax, nested_scales);
  const ft_tensor tx = tensor_of(x, t, tokens, k), tbias = tensor_of(bias, FT_F32, n, 0),
                  ta = tensor_of(a, t, rank, k), tb = tensor_of(b, t, n, rank), tu = tensor_of(u, t, tokens, rank),
                  ty = tensor_of(y, t_of_y, tokens, n);
  const ft_lora_linear_args args = {sizeof args, scale, &weight, &tx, bias ? &tbias : NULL, &ta, &tb, &tu, &ty};
  return ft_lora_linear(&args);
}

static ft_status lora_linear_backward(const go_weight* w, const uint8_t* data, const uint8_t* absmax,
                                      const float* nested_scales, float scale, int64_t tokens, int64_t rank, ft_dtype t,
                                      const uint8_t* dy, const uint8_t* x, const uint8_t* a, const uint8_t* b,
                                      const uint8_t* u, uint8_t* du, float* d_a, float* d_b, uint8_t* dx) {
  const int64_t n = w->out_features, k = w->in_features;
  const ft_weight weight = weight_of(w, data, absmax, nested_scales);
  const ft_tensor tdy = tensor_of(dy, t, tokens, n), tx = tensor_of(x, t, tokens, k), ta = tensor_of(a, t, rank, k),
                  tb = tensor_of(b, t, n, rank), tu = tensor_of(u, t, tokens, rank),
                  tdu = tensor_of(du, t, tokens, rank), tda = tensor_of(d_a, FT_F32, rank, k),
                  tdb = tensor_of(d_b, FT_F32, n, rank), tdx = tensor_of(dx, t, tokens, k);
  const ft_lora_linear_backward_args args = {sizeof args, scale, &weight, &tdy, &tx, &ta, &tb, &tu, &tdu, &tda, &tdb,
                                             dx ? &tdx : NULL};
  return ft_lora_linear_backward(&args);
}
*/
import "C"

import "unsafe"

// BF16 is a brain float, as its bits.
type BF16 uint16

// F16 is a number of half precision, as its bits.
type F16 uint16

// Element is a type of numbers that the library takes.
type Element interface{ float32 | BF16 | F16 }

func dtype[T Element]() C.ft_dtype {
	switch any(T(0)).(type) {
	case BF16:
		return C.FT_BF16
	case F16:
		return C.FT_F16
	}
	return C.FT_F32
}

// Weight is a frozen weight [OutFeatures, InFeatures] of the caller's: Dense, DenseBF16 or DenseF16, or NF4 with Codes
// and the scales of its blocks, Absmax or, quantised again, AbsmaxCodes with NestedScales and NestedOffset.
type Weight struct {
	OutFeatures, InFeatures int
	Dense                   []float32
	DenseBF16               []BF16
	DenseF16                []F16
	Codes                   []byte
	BlockSize               int
	Absmax                  []float32
	AbsmaxCodes             []byte
	NestedScales            []float32
	NestedOffset            float32
}

func want(have, wanted int, name string) error {
	if have != wanted {
		return invalid("%s: want %d elements, got %d", name, wanted, have)
	}
	return nil
}

// wants is the first of several that is wrong: name, have, wanted.
func wants(sizes ...any) error {
	for i := 0; i < len(sizes); i += 3 {
		if err := want(sizes[i+1].(int), sizes[i+2].(int), sizes[i].(string)); err != nil {
			return err
		}
	}
	return nil
}

func blocks(count, size int) int {
	if size < 1 {
		return 0
	}
	return (count + size - 1) / size
}

func (w *Weight) native() (raw C.go_weight, data, absmax *C.uint8_t, nested *C.float, err error) {
	raw.out_features, raw.in_features = C.int64_t(w.OutFeatures), C.int64_t(w.InFeatures)
	count := w.OutFeatures * w.InFeatures
	switch {
	case w.Dense != nil:
		raw.format = C.FT_WEIGHT_F32
		return raw, bytes(w.Dense), nil, nil, want(len(w.Dense), count, "Dense")
	case w.DenseBF16 != nil:
		raw.format = C.FT_WEIGHT_BF16
		return raw, bytes(w.DenseBF16), nil, nil, want(len(w.DenseBF16), count, "DenseBF16")
	case w.DenseF16 != nil:
		raw.format = C.FT_WEIGHT_F16
		return raw, bytes(w.DenseF16), nil, nil, want(len(w.DenseF16), count, "DenseF16")
	}
	raw.format, raw.block_size, raw.nested_offset = C.FT_WEIGHT_NF4, narrow(w.BlockSize), C.float(w.NestedOffset)
	n := blocks(count, w.BlockSize)
	if w.AbsmaxCodes == nil {
		return raw, bytes(w.Codes), bytes(w.Absmax), nil,
			wants("Codes", len(w.Codes), (count+1)/2, "Absmax", len(w.Absmax), n)
	}
	return raw, bytes(w.Codes), bytes(w.AbsmaxCodes), (*C.float)(first(w.NestedScales)),
		wants("Codes", len(w.Codes), (count+1)/2, "AbsmaxCodes", len(w.AbsmaxCodes), n, "NestedScales",
			len(w.NestedScales), blocks(n, 256))
}

// Nf4Quantize quantises values in the bits of bitsandbytes: codes two a byte, absmax one for each blockSize values.
func Nf4Quantize[T Element](values []T, blockSize int, codes []byte, absmax []float32) error {
	if err := wants("codes", len(codes), (len(values)+1)/2, "absmax", len(absmax), blocks(len(values), blockSize)); err != nil {
		return err
	}
	return call(func() C.ft_status {
		return C.nf4_quantize(bytes(values), dtype[T](), C.int64_t(len(values)), narrow(blockSize), bytes(codes),
			(*C.float)(first(absmax)))
	})
}

// DoubleQuantize quantises absmax to 8 bits in blocks of 256; it returns the offset.
func DoubleQuantize(absmax []float32, codes []byte, nestedScales []float32) (float32, error) {
	n := len(absmax)
	if err := wants("codes", len(codes), n, "nestedScales", len(nestedScales), blocks(n, 256)); err != nil {
		return 0, err
	}
	var offset C.float
	err := call(func() C.ft_status {
		return C.ft_nf4_double_quantize((*C.float)(first(absmax)), C.int64_t(n), (*C.uint8_t)(first(codes)),
			(*C.float)(first(nestedScales)), &offset)
	})
	return float32(offset), err
}

// Nf4Dequantize writes what the weight stands for.
func Nf4Dequantize[T Element](weight *Weight, values []T) error {
	raw, data, absmax, nested, err := weight.native()
	if err == nil {
		err = want(len(values), weight.OutFeatures*weight.InFeatures, "values")
	}
	if err != nil {
		return err
	}
	return call(func() C.ft_status {
		return C.nf4_dequantize(&raw, data, absmax, nested, bytes(values), dtype[T]())
	})
}

// LoraLinear computes y = x W^T + bias + scale (x A^T) B^T, and u = x A^T for the backward pass. x [tokens, in], bias [out] or
// nil, a [rank, in], b [out, rank], u [tokens, rank], y [tokens, out]: T is float32 or BF16, y may be float32.
func LoraLinear[T, Y Element](weight *Weight, x []T, bias []float32, a, b []T, scale float32, tokens, rank int, u []T,
	y []Y) error {
	raw, data, absmax, nested, err := weight.native()
	n, k := weight.OutFeatures, weight.InFeatures
	if err == nil {
		err = wants("x", len(x), tokens*k, "a", len(a), rank*k, "b", len(b), n*rank, "u", len(u), tokens*rank, "y", len(y), tokens*n)
	}
	if err == nil && bias != nil {
		err = want(len(bias), n, "bias")
	}
	if err != nil {
		return err
	}
	return call(func() C.ft_status {
		return C.lora_linear(&raw, data, absmax, nested, C.float(scale), C.int64_t(tokens), C.int64_t(rank), dtype[T](),
			dtype[Y](), bytes(x), (*C.float)(first(bias)), bytes(a), bytes(b), bytes(u), bytes(y))
	})
}

// LoraLinearBackward adds to dA [rank, in] and dB [out, rank], and writes dx [tokens, in] unless it is nil. dy [tokens, out];
// u as LoraLinear left it; du [tokens, rank] is workspace.
func LoraLinearBackward[T Element](weight *Weight, dy, x, a, b, u []T, scale float32, tokens, rank int, du []T,
	dA, dB []float32, dx []T) error {
	raw, data, absmax, nested, err := weight.native()
	n, k := weight.OutFeatures, weight.InFeatures
	if err == nil {
		err = wants("dy", len(dy), tokens*n, "x", len(x), tokens*k, "a", len(a), rank*k, "b", len(b), n*rank, "u", len(u),
			tokens*rank, "du", len(du), tokens*rank, "dA", len(dA), rank*k, "dB", len(dB), n*rank)
	}
	if err == nil && dx != nil {
		err = want(len(dx), tokens*k, "dx")
	}
	if err != nil {
		return err
	}
	return call(func() C.ft_status {
		return C.lora_linear_backward(&raw, data, absmax, nested, C.float(scale), C.int64_t(tokens), C.int64_t(rank),
			dtype[T](), bytes(dy), bytes(x), bytes(a), bytes(b), bytes(u), bytes(du), (*C.float)(first(dA)),
			(*C.float)(first(dB)), bytes(dx))
	})
}

// AdamWOptions are those of AdamW.
type AdamWOptions struct{ LR, Beta1, Beta2, Eps, WeightDecay float64 }

// DefaultAdamW has the library's: 2e-4, 0.9, 0.999, 1e-8, 0.
func DefaultAdamW() AdamWOptions { return AdamWOptions{2e-4, 0.9, 0.999, 1e-8, 0} }

func (o AdamWOptions) native() (raw C.ft_adamw_options, err error) {
	err = call(func() C.ft_status { return C.ft_adamw_options_init(&raw, C.size_t(unsafe.Sizeof(raw))) })
	raw.lr, raw.beta1, raw.beta2 = C.double(o.LR), C.double(o.Beta1), C.double(o.Beta2)
	raw.eps, raw.weight_decay = C.double(o.Eps), C.double(o.WeightDecay)
	return raw, err
}

// AdamWStep makes one step, from 1, in place, in torch's order of operations.
func AdamWStep(options AdamWOptions, step int64, parameter, gradient []float32, gradientScale float32, expAvg, expAvgSq []float32) error {
	n := len(parameter)
	if err := wants("gradient", len(gradient), n, "expAvg", len(expAvg), n, "expAvgSq", len(expAvgSq), n); err != nil {
		return err
	}
	raw, err := options.native()
	if err != nil {
		return err
	}
	return call(func() C.ft_status {
		return C.ft_adamw_step((*C.float)(first(parameter)), (*C.float)(first(gradient)), (*C.float)(first(expAvg)),
			(*C.float)(first(expAvgSq)), C.int64_t(n), &raw, C.int64_t(step), C.float(gradientScale))
	})
}

// State8bit is a moment at 8 bits: codes, and an absmax for each 256 of them. Begin with zeros.
type State8bit struct {
	Codes  []byte
	Absmax []float32
}

// AdamW8bitStep is AdamWStep with states of 8 bits.
func AdamW8bitStep(options AdamWOptions, step int64, parameter, gradient []float32, gradientScale float32, expAvg, expAvgSq State8bit) error {
	n := len(parameter)
	if err := wants("gradient", len(gradient), n, "expAvg", len(expAvg.Codes), n, "expAvgSq", len(expAvgSq.Codes), n,
		"expAvg.Absmax", len(expAvg.Absmax), blocks(n, 256), "expAvgSq.Absmax", len(expAvgSq.Absmax), blocks(n, 256)); err != nil {
		return err
	}
	raw, err := options.native()
	if err != nil {
		return err
	}
	return call(func() C.ft_status {
		return C.ft_adamw_8bit_step((*C.float)(first(parameter)), (*C.float)(first(gradient)), (*C.uint8_t)(first(expAvg.Codes)),
			(*C.uint8_t)(first(expAvgSq.Codes)), (*C.float)(first(expAvg.Absmax)), (*C.float)(first(expAvgSq.Absmax)),
			C.int64_t(n), &raw, C.int64_t(step), C.float(gradientScale))
	})
}

// ClipGradNorm multiplies all gradients by min(1, maxNorm / (norm + 1e-6)), as torch does; it returns the norm before. 0: only
// measures.
func ClipGradNorm(gradients [][]float32, maxNorm float64) (float64, error) {
	var t texts
	defer t.free()
	// An array of pointers may not be Go memory: the numbers go to C and back.
	pointers := (**C.float)(t.memory(uintptr(len(gradients)+1) * unsafe.Sizeof((*C.float)(nil))))
	counts := make([]C.int64_t, len(gradients))
	views := make([][]float32, len(gradients))
	for i, gradient := range gradients {
		memory := (*C.float)(t.memory(uintptr(len(gradient)+1) * 4))
		views[i] = unsafe.Slice((*float32)(unsafe.Pointer(memory)), len(gradient)+1)[:len(gradient)]
		copy(views[i], gradient)
		unsafe.Slice(pointers, len(gradients))[i], counts[i] = memory, C.int64_t(len(gradient))
	}
	var norm C.double
	err := call(func() C.ft_status {
		return C.ft_clip_grad_norm(pointers, first(counts), C.size_t(len(gradients)), C.double(maxNorm), &norm)
	})
	for i, gradient := range gradients {
		copy(gradient, views[i])
	}
	return float64(norm), err
}

// CrossEntropy gives the loss of each row of logits [rows, vocabulary], nats, and with dLogits, which may be logits itself or
// nil, the gradient of gradientScale * sum(weights * nll). weights nil: 1 each.
func CrossEntropy(logits []float32, vocabulary int, targets []int32, weights []float32, gradientScale float32, nll, dLogits []float32) error {
	rows := len(targets)
	if err := wants("logits", len(logits), rows*vocabulary, "nll", len(nll), rows); err != nil {
		return err
	}
	if weights != nil {
		if err := want(len(weights), rows, "weights"); err != nil {
			return err
		}
	}
	if dLogits != nil {
		if err := want(len(dLogits), len(logits), "dLogits"); err != nil {
			return err
		}
	}
	return call(func() C.ft_status {
		return C.ft_cross_entropy((*C.float)(first(logits)), (*C.int32_t)(first(targets)), (*C.float)(first(weights)),
			C.int64_t(rows), C.int64_t(vocabulary), C.float(gradientScale), (*C.float)(first(nll)), (*C.float)(first(dLogits)))
	})
}
