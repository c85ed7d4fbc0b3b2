// SPDX-License-Identifier: Apache-2.0

package ftlib

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"
)

// named wants InvalidArgument, with the name of what was wrong.
func named(t *testing.T, err error, name string) {
	t.Helper()
	refused(t, err, InvalidArgument)
	var e *Error
	check(t, errors.As(err, &e) && strings.Contains(e.Message, name), "want "+name+" in: "+err.Error())
}

func failure[T any](_ T, err error) error { return err }

const cut = "a\x00b" // C would read "a"

func TestATextThatCWouldCutIsRefusedByName(t *testing.T) {
	m, tokens, data, ctx := model(t), tokenizer(t), dataset(t), context.Background()
	trained := trainer(t, 1)
	adapter, err := trained.Adapter()
	must(t, err)
	base, err := m.Evaluate(ctx, nil, data, EvaluateOptions{})
	must(t, err)
	turn := func(role, content string) []Message { return []Message{{"user", "Hi"}, {role, content}} }
	train := func(lora LoraOptions) error { return failure(NewTrainer(m, data, nil, lora, TrainOptions{})) }
	before, err := data.Info()
	must(t, err)
	for name, err := range map[string]error{
		"name":                 ForceBackend(cut),
		"op":                   failure(BackendUsed(cut)),
		"model":                failure(OpenTokenizer(cut, TokenizerOptions{})),
		"ChatTemplate":         failure(OpenTokenizer("", TokenizerOptions{ChatTemplate: cut})),
		"Date":                 failure(OpenModelMemory(nil, ModelOptions{Date: cut})),
		"path":                 failure(OpenModel(cut, ModelOptions{})),
		"path ":                failure(OpenDataset(tokens, cut, DatasetOptions{})),
		"path  ":               failure(m.OpenAdapter(cut)),
		"path   ":              adapter.SaveGGUF(cut),
		"folder":               adapter.SavePEFT(cut),
		"folder ":              trained.Save(cut),
		"folder  ":             trained.Resume(cut),
		"messages[1].Role":     failure(tokens.Render(turn(cut, ""), false)),
		"messages[1].Content":  failure(tokens.EncodeMessages(turn("assistant", cut), false)),
		"messages[1].Content ": data.AppendMessages(turn("assistant", cut), RecordOptions{}),
		"prompt":               data.AppendCompletion(cut, "Hello!", RecordOptions{}),
		"completion":           data.AppendCompletion("Hi", cut, RecordOptions{}),
		"text":                 data.AppendText(cut, RecordOptions{}),
		"ID":                   data.AppendText("Hi", RecordOptions{ID: cut}),
		"Group":                data.AppendTokens([]int32{1, 2}, []int32{1, 2}, RecordOptions{Group: cut}),
		"TargetModules[0]":     train(LoraOptions{TargetModules: []string{cut}}),
		"TargetRegex":          train(LoraOptions{TargetRegex: cut}),
		"RankPattern, key 0":   train(LoraOptions{RankPattern: map[string]int64{cut: 1}}),
		"AlphaPattern, key 0":  train(LoraOptions{AlphaPattern: map[string]float64{cut: 1}}),
		"Metrics":              failure(m.Evaluate(ctx, nil, data, EvaluateOptions{Metrics: []string{cut}})),
		"metric":               failure(base.Compare(base, cut)),
		"out":                  m.Merge(ctx, adapter, cut, "f32", nil),
		"format":               m.Merge(ctx, adapter, work("go-none.gguf"), cut, nil),
	} {
		named(t, err, strings.TrimSpace(name)+" holds a NUL")
	}
	_, _, err = tokens.Supervision(turn("assistant", cut), false)
	named(t, err, "messages[1].Content holds a NUL")
	after, err := data.Info()
	check(t, err == nil && before == after, "nothing was appended")
	_, err = tokens.Encode(cut, false)
	must(t, err) // a size goes with it
	refused(t, data.AppendJSON(cut), InvalidFile)
}

func TestWhatIsClosedIsRefused(t *testing.T) {
	m, tokens, data, ctx := model(t), tokenizer(t), dataset(t), context.Background()
	trained := trainer(t, 1)
	adapter, err := trained.Adapter()
	must(t, err)
	scored, err := m.Evaluate(ctx, nil, data, EvaluateOptions{})
	must(t, err)
	walk, err := data.Batches(BatchOptions{})
	must(t, err)
	for _, one := range []interface{ Close() error }{m, tokens, data, trained, adapter, scored, walk} {
		must(t, one.Close())
		refused(t, one.Close(), InvalidArgument)
	}
	for _, err := range []error{
		failure(m.Info()), failure(m.Tokenizer()), failure(m.OpenAdapter(work("go-peft"))),
		failure(m.Generate(ctx, nil, [][]int32{{1}}, GenerateOptions{})),
		failure(m.Evaluate(ctx, nil, dataset(t), EvaluateOptions{})),
		m.Merge(ctx, adapter, work("go-none.gguf"), "f32", nil),
		failure(tokens.Info()), failure(tokens.Encode("Hi", false)), failure(tokens.Decode([]int32{1}, false)),
		failure(tokens.Render(hello, false)), failure(OpenDataset(tokens, "", DatasetOptions{})),
		failure(data.Info()), failure(data.Example(0)), failure(data.Batches(BatchOptions{})),
		data.AppendText("Hi", RecordOptions{}), failure(NewTrainer(model(t), data, nil, LoraOptions{}, TrainOptions{})),
		failure(walk.Next()), failure(walk.Position()), walk.SetPosition(Position{}),
		failure(adapter.Info()), failure(adapter.Tensors()), adapter.SaveGGUF(work("go-none.gguf")),
		failure(trained.Step()), trained.Run(ctx, nil), trained.Cancel(), failure(trained.Progress()),
		failure(trained.Plan()), failure(trained.Adapter()), trained.Save(work("go-none")),
		trained.Resume(work("go-none")), failure(scored.Info()), failure(scored.Metrics()), failure(scored.Examples()),
		failure(scored.Compare(scored, "")),
	} {
		refused(t, err, InvalidArgument)
	}
}

func TestNilIsRefused(t *testing.T) {
	m, data, ctx := model(t), dataset(t), context.Background()
	scored, err := m.Evaluate(ctx, nil, data, EvaluateOptions{})
	must(t, err)
	for _, err := range []error{
		(*Model)(nil).Close(), (*Tokenizer)(nil).Close(), (*Dataset)(nil).Close(), (*Batches)(nil).Close(),
		(*Adapter)(nil).Close(), (*Trainer)(nil).Close(), (*Evaluation)(nil).Close(),
		failure(OpenDataset(nil, "", DatasetOptions{})), failure(m.Evaluate(ctx, nil, nil, EvaluateOptions{})),
		m.Merge(ctx, nil, work("go-none.gguf"), "f32", nil), failure(scored.Compare(nil, "")),
		failure(NewTrainer(nil, data, nil, LoraOptions{}, TrainOptions{})),
		failure(NewTrainer(m, nil, nil, LoraOptions{}, TrainOptions{})),
	} {
		refused(t, err, InvalidArgument)
	}
}

func TestNothingAtAllIsNoCrash(t *testing.T) {
	m, tokens, data, ctx := model(t), tokenizer(t), dataset(t), context.Background()
	text, err := tokens.Decode(nil, false)
	check(t, err == nil && len(text) == 0, "no tokens, no text")
	refused(t, failure(tokens.Render(nil, false)), InvalidArgument)
	refused(t, data.AppendMessages(nil, RecordOptions{}), InvalidArgument)
	refused(t, data.AppendTokens(nil, nil, RecordOptions{}), InvalidFile)
	refused(t, failure(m.Generate(ctx, nil, nil, GenerateOptions{})), InvalidArgument)
	refused(t, failure(OpenModelMemory(nil, ModelOptions{})), InvalidFile)
	refused(t, failure(m.Evaluate(ctx, nil, data, EvaluateOptions{Metrics: []string{""}})), InvalidArgument)
	empty, err := OpenDataset(tokens, "", DatasetOptions{})
	must(t, err)
	refused(t, failure(NewTrainer(m, empty, nil, LoraOptions{}, TrainOptions{})), InvalidArgument)
	must(t, Nf4Quantize([]float32{}, 64, nil, nil))
	must(t, AdamWStep(DefaultAdamW(), 1, nil, nil, 1, nil, nil))
	must(t, CrossEntropy(nil, 3, nil, nil, 1, nil, nil))
	norm, err := ClipGradNorm([][]float32{nil, {}}, 1)
	check(t, err == nil && norm == 0, "no gradients")
}

// C's int32_t would make 64 and 1 of them, and write behind the buffers.
func TestNumbersThatCCannotHoldAreRefused(t *testing.T) {
	const large = 1<<32 + 64
	values, codes := make([]float32, 200), make([]byte, 100)
	refused(t, Nf4Quantize(values, large, codes, make([]float32, 1)), InvalidArgument)
	weight := Weight{OutFeatures: 10, InFeatures: 20, Codes: codes, BlockSize: large, Absmax: make([]float32, 1)}
	refused(t, Nf4Dequantize(&weight, values), InvalidArgument)
	weight = Weight{OutFeatures: math.MaxInt, InFeatures: 2, Codes: codes, BlockSize: 64}
	refused(t, Nf4Dequantize(&weight, values), InvalidArgument)
	refused(t, SetThreads(1<<32+1), InvalidArgument)
}

func TestSlicesMayLieBesidePointers(t *testing.T) {
	type mixed struct {
		next   *mixed
		values [64]float32
		file   [24]byte
	}
	one := &mixed{next: &mixed{}}
	must(t, Nf4Quantize(one.values[:], 64, make([]byte, 32), make([]float32, 1)))
	refused(t, failure(OpenModelMemory(one.file[:], ModelOptions{})), InvalidFile)
}

func TestAPanicComesOutOfEachCallThatCallsBack(t *testing.T) {
	m, data, ctx := model(t), dataset(t), context.Background()
	trained := trainer(t, 4)
	adapter, err := trained.Adapter()
	must(t, err)
	onWork := func(int64, int64) error { panic("mine") }
	options := GenerateOptions{OnToken: func(int, int32, []byte) error { panic("mine") }}
	for name, run := range map[string]func() error{
		"run":      func() error { return trained.Run(ctx, func(Progress) error { panic("mine") }) },
		"evaluate": func() error { return failure(m.Evaluate(ctx, nil, data, EvaluateOptions{OnProgress: onWork})) },
		"merge":    func() error { return m.Merge(ctx, adapter, work("go-none.gguf"), "f32", onWork) },
		"generate": func() error { return failure(m.Generate(ctx, nil, [][]int32{{1}}, options)) },
	} {
		func() {
			defer func() { check(t, recover() == "mine", name+": the panic comes out") }()
			_ = run()
		}()
	}
	steps := 0
	func() {
		defer func() { _ = recover() }()
		_ = trained.Run(ctx, func(Progress) error { steps++; panic(nil) })
	}()
	check(t, steps == 1, "a panic of nil ends the run too")
	must(t, trained.Run(ctx, nil))
}

func TestACallbackMayCloseWhatCalledIt(t *testing.T) {
	m, data, ctx := model(t), dataset(t), context.Background()
	trained := trainer(t, 1000000)
	refused(t, trained.Run(ctx, func(Progress) error { return trained.Close() }), Cancelled)
	once := map[bool]error{} // by whether it was closed before
	closing := func(one interface{ Close() error }) error {
		err := one.Close()
		once[err != nil] = err
		return nil
	}
	onWork := func(int64, int64) error { return closing(data) }
	must(t, failure(m.Evaluate(ctx, nil, data, EvaluateOptions{OnProgress: onWork})))
	onToken := func(int, int32, []byte) error { return closing(m) }
	must(t, failure(m.Generate(ctx, nil, [][]int32{{1}}, GenerateOptions{MaxTokens: 4, OnToken: onToken})))
	refused(t, once[true], InvalidArgument)
}

// What the library lends goes with its handle, so who copies it holds the handle's lock.
func TestCloseWaitsForThoseWhoReadWhatWasLent(t *testing.T) {
	m, tokens, ctx := model(t), tokenizer(t), context.Background()
	adapter, err := trainer(t, 1).Adapter()
	must(t, err)
	scored, err := m.Evaluate(ctx, nil, dataset(t), EvaluateOptions{})
	must(t, err)
	walk, err := dataset(t).Batches(BatchOptions{})
	must(t, err)
	type calls []func() error
	for name, one := range map[string]struct {
		lock sync.Locker
		calls
	}{
		"model":     {&m.lent, calls{func() error { return failure(m.Info()) }, m.Close}},
		"tokenizer": {&tokens.lent, calls{func() error { return failure(tokens.Info()) }, tokens.Close}},
		"adapter": {&adapter.lent, calls{func() error { return failure(adapter.Info()) },
			func() error { return failure(adapter.Tensors()) }, adapter.Close}},
		"evaluation": {&scored.lent, calls{func() error { return failure(scored.Metrics()) },
			func() error { return failure(scored.Examples()) }, scored.Close}},
		"batches": {&walk.lent, calls{func() error { return failure(walk.Next()) },
			func() error { return failure(walk.Position()) }, func() error { return walk.SetPosition(Position{}) },
			walk.Close}},
	} {
		for _, call := range one.calls {
			ended := make(chan error, 1)
			one.lock.Lock()
			go func(call func() error) { ended <- call() }(call)
			time.Sleep(5 * time.Millisecond)
			check(t, len(ended) == 0, name+": the call waits")
			one.lock.Unlock()
			must(t, <-ended)
		}
	}
}
