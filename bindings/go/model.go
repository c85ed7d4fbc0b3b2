// SPDX-License-Identifier: Apache-2.0

package ftlib

// #include <ftlib_c.h>
// extern int32_t ftlibOnWork(int64_t done, int64_t total, void* user);
// extern int32_t ftlibOnToken(size_t prompt, int32_t token, char* text, size_t text_bytes, void* user);
// static ft_status generate(const ft_model* model, const ft_adapter* adapter, const int32_t* const* prompts,
//                           const size_t* lengths, size_t count, const ft_generate_options* options, void* user,
//                           ft_generation** out) {
//   return ft_generate(model, adapter, prompts, lengths, count, options, (ft_token_callback)ftlibOnToken, user, out);
// }
// static ft_status evaluate(const ft_model* model, const ft_adapter* adapter, const ft_dataset* dataset,
//                           const ft_evaluate_options* options, void* user, ft_evaluation** out) {
//   return ft_evaluate(model, adapter, dataset, options, ftlibOnWork, user, out);
// }
// static ft_status open_memory(const uint8_t* data, size_t bytes, const ft_model_options* options, ft_model** out) {
//   return ft_model_open_memory(data, bytes, options, out);
// }
// static ft_status merge(const ft_model* model, const ft_adapter* adapter, const char* out, const char* format, void* user) {
//   return ft_merge(model, adapter, out, format, ftlibOnWork, user);
// }
import "C"

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// BaseFormat is what the linears of the decoder are in memory.
type BaseFormat int

// The formats.
const (
	NativeBase BaseFormat = C.FT_BASE_NATIVE // as the file has them, GGUF's quantised blocks included
	F32Base    BaseFormat = C.FT_BASE_F32
	Bf16Base   BaseFormat = C.FT_BASE_BF16
	Nf4Base    BaseFormat = C.FT_BASE_NF4 // QLoRA: quantised as bitsandbytes does
)

// Compute is the arithmetic.
type Compute int

// The arithmetics.
const (
	AutoCompute Compute = C.FT_COMPUTE_AUTO // bf16 where the processor multiplies it natively, else f32
	F32Compute  Compute = C.FT_COMPUTE_F32
	Bf16Compute Compute = C.FT_COMPUTE_BF16
)

// ModelOptions say how a model is opened.
type ModelOptions struct {
	Base         BaseFormat
	Compute      Compute
	BlockSize    int32 // elements a block of Nf4Base; 0: 64
	DoubleQuant  bool  // Nf4Base quantises the block scales too
	ChatTemplate string
	Date         string
}

// ModelInfo has facts of a model, with the names of Hugging Face's config.json.
type ModelInfo struct {
	ModelType, Digest                                                   string
	Compute                                                             Compute
	Base                                                                BaseFormat
	TieWordEmbeddings                                                   bool
	VocabSize, HiddenSize, IntermediateSize, NumHiddenLayers            int64
	NumAttentionHeads, NumKeyValueHeads, HeadDim, MaxPositionEmbeddings int64
	WeightBytes                                                         int64
}

// Model is frozen weights with their tokenizer. Immutable: any number of goroutines and trainers.
type Model struct {
	raw  *C.ft_model
	lent sync.RWMutex // read while what the library lent is copied, written to free it
}

func (m *Model) orNil() *C.ft_model {
	if m == nil {
		return nil
	}
	return m.raw
}

func (t *texts) model(options ModelOptions, open func(*C.ft_model_options, **C.ft_model) C.ft_status) (*Model, error) {
	var raw C.ft_model_options
	if err := call(func() C.ft_status { return C.ft_model_options_init(&raw, C.size_t(unsafe.Sizeof(raw))) }); err != nil {
		return nil, err
	}
	raw.base, raw.compute = C.ft_base_format(options.Base), C.ft_compute(options.Compute)
	raw.double_quant = flag(options.DoubleQuant)
	if options.BlockSize != 0 {
		raw.block_size = C.int32_t(options.BlockSize)
	}
	raw.chat_template, raw.date = t.optional("ChatTemplate", options.ChatTemplate), t.optional("Date", options.Date)
	var out *C.ft_model
	if err := t.call(func() C.ft_status { return open(&raw, &out) }); err != nil {
		return nil, err
	}
	made := &Model{raw: out}
	runtime.SetFinalizer(made, (*Model).Close)
	return made, nil
}

// OpenModel reads a .gguf file or a Hugging Face folder.
func OpenModel(path string, options ModelOptions) (*Model, error) {
	var t texts
	defer t.free()
	name := t.one("path", path)
	return t.model(options, func(raw *C.ft_model_options, out **C.ft_model) C.ft_status {
		return C.ft_model_open(name, raw, out)
	})
}

// OpenModelMemory reads a GGUF file that lies in memory.
func OpenModelMemory(gguf []byte, options ModelOptions) (*Model, error) {
	var t texts
	defer t.free()
	return t.model(options, func(raw *C.ft_model_options, out **C.ft_model) C.ft_status {
		return C.open_memory(bytes(gguf), C.size_t(len(gguf)), raw, out)
	})
}

// Close frees it; what was made of it lives on.
func (m *Model) Close() error {
	return release(m, func() C.ft_status {
		m.lent.Lock()
		defer m.lent.Unlock()
		return C.ft_model_free(m.raw)
	})
}

// Info has its facts.
func (m *Model) Info() (ModelInfo, error) {
	defer runtime.KeepAlive(m)
	m.lent.RLock()
	defer m.lent.RUnlock()
	var r C.ft_model_info
	r.struct_size = C.uint32_t(unsafe.Sizeof(r))
	err := call(func() C.ft_status { return C.ft_model_get_info(m.raw, &r) })
	return ModelInfo{C.GoString(r.model_type), C.GoString(r.digest), Compute(r.compute), BaseFormat(r.base),
		r.tie_word_embeddings == 1, int64(r.vocab_size), int64(r.hidden_size), int64(r.intermediate_size),
		int64(r.num_hidden_layers), int64(r.num_attention_heads), int64(r.num_key_value_heads), int64(r.head_dim),
		int64(r.max_position_embeddings), int64(r.weight_bytes)}, err
}

// Tokenizer gives its own, which outlives it.
func (m *Model) Tokenizer() (*Tokenizer, error) {
	defer runtime.KeepAlive(m)
	var out *C.ft_tokenizer
	if err := call(func() C.ft_status { return C.ft_model_tokenizer(m.raw, &out) }); err != nil {
		return nil, err
	}
	return newTokenizer(out), nil
}

// OpenAdapter reads a PEFT folder or a GGUF adapter.
func (m *Model) OpenAdapter(path string) (*Adapter, error) {
	defer runtime.KeepAlive(m)
	var t texts
	defer t.free()
	var out *C.ft_adapter
	from := t.one("path", path)
	if err := t.call(func() C.ft_status { return C.ft_adapter_open(m.raw, from, &out) }); err != nil {
		return nil, err
	}
	return newAdapter(out), nil
}

// GenerateOptions say how answers are made.
type GenerateOptions struct {
	MaxTokens   int64   // new tokens a prompt; 0: 128
	Temperature float64 // 0: the likeliest token
	TopK        int64   // the k likeliest; 0: all
	TopP        float64 // the smallest set whose probability reaches it; 0: all
	Seed        uint64
	StopTokens  []int32 // nil: the tokenizer's end token and end-of-turn tokens
	// OnToken is told of each token as it comes; an error ends all answers and is Generate's.
	OnToken func(prompt int, token int32, text []byte) error
}

// Answer is one.
type Answer struct {
	Text         string
	Tokens       []int32 // without the stop token
	Stopped      bool    // by a stop token, not by MaxTokens
	PromptTokens int64
}

// Generate answers each prompt; none depends on the others. A context that is done ends it at the next token.
func (m *Model) Generate(ctx context.Context, adapter *Adapter, prompts [][]int32, options GenerateOptions) ([]Answer, error) {
	defer runtime.KeepAlive(m)
	defer runtime.KeepAlive(adapter)
	var t texts
	defer t.free()
	var raw C.ft_generate_options
	if err := call(func() C.ft_status { return C.ft_generate_options_init(&raw, C.size_t(unsafe.Sizeof(raw))) }); err != nil {
		return nil, err
	}
	set(&raw.max_tokens, options.MaxTokens)
	set(&raw.top_k, options.TopK)
	setNumber(&raw.top_p, options.TopP)
	raw.temperature, raw.seed = C.double(options.Temperature), C.uint64_t(options.Seed)
	if options.StopTokens != nil {
		raw.stop_tokens, raw.stop_token_count = t.tokens(options.StopTokens), C.size_t(len(options.StopTokens))
	}
	arrays := (**C.int32_t)(t.memory(uintptr(len(prompts)+1) * unsafe.Sizeof((*C.int32_t)(nil))))
	lengths := make([]C.size_t, len(prompts))
	for i, prompt := range prompts {
		unsafe.Slice(arrays, len(prompts))[i], lengths[i] = t.tokens(prompt), C.size_t(len(prompt))
	}
	c := callback{token: func(prompt int, token int32, text []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if options.OnToken != nil {
			return options.OnToken(prompt, token, text)
		}
		return nil
	}}
	var out *C.ft_generation
	if err := c.with(t.call, func(user unsafe.Pointer) C.ft_status {
		return C.generate(m.raw, adapter.orNil(), arrays, first(lengths), C.size_t(len(prompts)), &raw, user, &out)
	}); err != nil {
		return nil, err
	}
	defer C.ft_generation_free(out)
	answers := make([]Answer, len(prompts))
	for i := range prompts {
		var a C.ft_answer
		a.struct_size = C.uint32_t(unsafe.Sizeof(a))
		if err := call(func() C.ft_status { return C.ft_generation_answer(out, C.size_t(i), &a) }); err != nil {
			return nil, err
		}
		answers[i] = Answer{C.GoStringN(a.text, C.int(a.text_bytes)), copied[C.int32_t, int32](a.tokens, int64(a.token_count)),
			a.stopped == 1, int64(a.prompt_tokens)}
	}
	return answers, nil
}

// tokens is a copy in memory of C, which may stand in an array of C.
func (t *texts) tokens(from []int32) *C.int32_t {
	memory := (*C.int32_t)(t.memory(uintptr(len(from)+1) * 4))
	copy(unsafe.Slice((*int32)(unsafe.Pointer(memory)), len(from)+1), from)
	return memory
}

// EvaluateOptions say what is evaluated besides the loss.
type EvaluateOptions struct {
	Metrics     []string // "exact", "f1", "rouge-l", "regex=PATTERN" (last) of greedy answers
	MaxTokens   int64    // new tokens of an answer; 0: 128
	BatchTokens int64    // packed tokens of a batch of the loss; 0: 2048
	// OnProgress is told of tokens or answers; an error ends the evaluation and is Evaluate's.
	OnProgress func(done, total int64) error
}

// Evaluate gives the loss, and with metrics scores of answers. A context that is done ends it at the next batch or answer.
func (m *Model) Evaluate(ctx context.Context, adapter *Adapter, dataset *Dataset, options EvaluateOptions) (*Evaluation, error) {
	defer runtime.KeepAlive(m)
	defer runtime.KeepAlive(adapter)
	defer runtime.KeepAlive(dataset)
	var t texts
	defer t.free()
	var raw C.ft_evaluate_options
	if err := call(func() C.ft_status { return C.ft_evaluate_options_init(&raw, C.size_t(unsafe.Sizeof(raw))) }); err != nil {
		return nil, err
	}
	if len(options.Metrics) > 0 {
		raw.metrics = t.one("Metrics", strings.Join(options.Metrics, ","))
	}
	set(&raw.max_tokens, options.MaxTokens)
	set(&raw.batch_tokens, options.BatchTokens)
	var out *C.ft_evaluation
	c := callback{work: watched(ctx, options.OnProgress)}
	if err := c.with(t.call, func(user unsafe.Pointer) C.ft_status {
		return C.evaluate(m.raw, adapter.orNil(), dataset.orNil(), &raw, user, &out)
	}); err != nil {
		return nil, err
	}
	made := &Evaluation{raw: out}
	runtime.SetFinalizer(made, (*Evaluation).Close)
	return made, nil
}

func watched(ctx context.Context, tell func(done, total int64) error) func(done, total int64) error {
	return func(done, total int64) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if tell != nil {
			return tell(done, total)
		}
		return nil
	}
}

// Merge writes base + adapter as a model of its own: a GGUF file where out ends in ".gguf", else a Hugging Face folder.
// format: "f32", "bf16", "f16" or, for GGUF, "q8_0". A context that is done ends it, and nothing is left at out.
func (m *Model) Merge(ctx context.Context, adapter *Adapter, out, format string, onProgress func(done, total int64) error) error {
	defer runtime.KeepAlive(m)
	defer runtime.KeepAlive(adapter)
	var t texts
	defer t.free()
	c := callback{work: watched(ctx, onProgress)}
	to, as := t.one("out", out), t.one("format", format)
	return c.with(t.call, func(user unsafe.Pointer) C.ft_status {
		return C.merge(m.raw, adapter.orNil(), to, as, user)
	})
}
