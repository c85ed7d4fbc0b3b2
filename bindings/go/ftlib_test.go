// SPDX-License-Identifier: Apache-2.0

// FTLIB_TINY, FTLIB_RECORDS and FTLIB_WORK name the tiny model, a file of records and a folder for output.
package ftlib

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, err error, status Status) {
	t.Helper()
	if !errors.Is(err, status) {
		t.Fatalf("want %v, got %v", status, err)
	}
}

func check(t *testing.T, condition bool, what string) {
	t.Helper()
	if !condition {
		t.Fatal(what)
	}
}

func work(name string) string { return filepath.Join(os.Getenv("FTLIB_WORK"), name) }

func model(t *testing.T) *Model {
	m, err := OpenModel(os.Getenv("FTLIB_TINY"), ModelOptions{Compute: F32Compute})
	must(t, err)
	return m
}

func tokenizer(t *testing.T) *Tokenizer {
	tokens, err := model(t).Tokenizer()
	must(t, err)
	return tokens
}

func dataset(t *testing.T) *Dataset {
	d, err := OpenDataset(tokenizer(t), os.Getenv("FTLIB_RECORDS"), DatasetOptions{})
	must(t, err)
	return d
}

func trainer(t *testing.T, steps int64) *Trainer {
	made, err := NewTrainer(model(t), dataset(t), nil, LoraOptions{}, TrainOptions{Steps: steps, BatchExamples: 2, LR: Number(0.01)})
	must(t, err)
	return made
}

func digest(t *testing.T, trainer *Trainer) string {
	adapter, err := trainer.Adapter()
	must(t, err)
	info, err := adapter.Info()
	must(t, err)
	return info.Digest
}

var hello = []Message{{"user", "Hi"}, {"assistant", "Hello!"}}

func TestErrorsWrapTheirStatus(t *testing.T) {
	_, err := OpenModel("/nowhere/%n%s.gguf", ModelOptions{})
	refused(t, err, NotFound)
	check(t, strings.Contains(err.Error(), "/nowhere/%n%s.gguf"), err.Error())
	_, err = OpenModelMemory([]byte("GGUF"), ModelOptions{})
	refused(t, err, InvalidFile)
	var e *Error
	check(t, errors.As(err, &e) && e.Reason == "TRUNC", err.Error())
	check(t, NotFound.Error() == "FT_ERROR_NOT_FOUND", NotFound.Error())
	m := model(t)
	must(t, m.Close())
	refused(t, m.Close(), InvalidArgument)
	_, err = m.Info()
	refused(t, err, InvalidArgument)
}

func TestErrorsBelongToTheirGoroutine(t *testing.T) {
	var group sync.WaitGroup
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func(path string) {
			defer group.Done()
			for j := 0; j < 50; j++ {
				if _, err := OpenTokenizer(path, TokenizerOptions{}); err == nil || !strings.Contains(err.Error(), path) {
					t.Errorf("%s: %v", path, err)
				}
				runtime.Gosched()
			}
		}("/nowhere/" + string(rune('a'+i)))
	}
	group.Wait()
}

func TestTheProcessIsToldAndSet(t *testing.T) {
	all, err := Backends()
	must(t, err)
	check(t, all[len(all)-1] == Backend{"ref", true}, "the reference is last and there")
	refused(t, ForceBackend("tpu"), Unsupported)
	must(t, ForceBackend(""))
	used, err := BackendUsed("no such op")
	check(t, err == nil && used == "", used)
	n, err := Threads()
	must(t, err)
	must(t, SetThreads(n))
	refused(t, SetThreads(0), InvalidArgument)
	must(t, Shutdown())
	check(t, Version() == "0.1.0", Version())
}

func TestWarningsGoToTheLog(t *testing.T) {
	var heard []string
	warn := func() {
		_, err := OpenDataset(tokenizer(t), os.Getenv("FTLIB_RECORDS"), DatasetOptions{MaxLength: 64})
		must(t, err)
	}
	must(t, SetLog(func(message string) { heard = append(heard, message) }))
	warn()
	must(t, SetLog(nil))
	warn()
	check(t, len(heard) == 1 && strings.Contains(heard[0], "left out"), strings.Join(heard, "; "))
	var inside error
	must(t, SetLog(func(message string) {
		heard = append(heard, message)
		inside = SetLog(nil)
	}))
	warn()
	refused(t, inside, Busy)
	warn()
	check(t, len(heard) == 3, "the function before is still told")
	must(t, SetLog(func(string) { panic("mine") }))
	warn()
	must(t, SetLog(nil))
}

func TestTextAndConversations(t *testing.T) {
	tokens := tokenizer(t)
	info, err := tokens.Info()
	must(t, err)
	check(t, info.VocabSize == 97 && info.BosID == 94 && info.EosID == 96 && info.PadID == -1, "ids")
	ids, err := tokens.Encode("abc def!", false)
	must(t, err)
	text, err := tokens.Decode(ids, false)
	check(t, err == nil && string(text) == "abc def!", string(text))
	special, err := tokens.Encode("a<|im_end|>", true)
	check(t, err == nil && special[len(special)-1] == 96, "a control token")
	_, err = tokens.Decode([]int32{97}, false)
	refused(t, err, InvalidArgument)
	none, err := tokens.Encode("", false)
	check(t, err == nil && len(none) == 0, "no text, no tokens")
	rendered, err := tokens.Render(hello, false)
	check(t, err == nil && rendered == "<|im_start|>user Hi<|im_end|><|im_start|>assistant Hello!<|im_end|>", rendered)
	all, taught, err := tokens.Supervision(hello, false)
	must(t, err)
	var targets []int32
	for i, token := range all {
		if taught[i] {
			targets = append(targets, token)
		}
	}
	text, err = tokens.Decode(targets, false)
	check(t, err == nil && string(text) == "Hello!<|im_end|>", string(text))
	other, err := OpenTokenizer(os.Getenv("FTLIB_TINY"), TokenizerOptions{"{{ strftime_now('%Y') }}", "2026-01-02"})
	must(t, err)
	year, err := other.Render(hello, true)
	check(t, err == nil && year == "2026", year)
}

func TestRecordsComeFromAFileAndFromCalls(t *testing.T) {
	data, err := OpenDataset(tokenizer(t), "", DatasetOptions{})
	must(t, err)
	must(t, data.AppendJSON(`{"prompt": "Hi", "completion": "Hello!"}`))
	must(t, data.AppendCompletion("Hi", "Hello!", RecordOptions{}))
	must(t, data.AppendMessages(hello, RecordOptions{ID: "mine", Weight: 2}))
	must(t, data.AppendText("Hello!", RecordOptions{WeightIsZero: true}))
	must(t, data.AppendTokens([]int32{1, 2, 3}, []int32{-100, -100, 3}, RecordOptions{}))
	refused(t, data.AppendTokens([]int32{1}, nil, RecordOptions{}), InvalidArgument)
	refused(t, data.AppendJSON("{}"), InvalidFile)
	one, err := data.Example(0)
	must(t, err)
	two, err := data.Example(1)
	must(t, err)
	check(t, reflect.DeepEqual(one, two), "two ways, one example")
	last, err := data.Example(4)
	check(t, err == nil && reflect.DeepEqual(last.Labels, []int32{-100, -100, 3}), "labels")
	info, err := data.Info()
	check(t, err == nil && info.Examples == 5, "five examples")
}

func TestBatchesGoOnFromAPosition(t *testing.T) {
	walk, err := dataset(t).Batches(BatchOptions{BatchExamples: 1, Accumulate: 2, Epochs: 3, Seed: 5})
	must(t, err)
	var positions []Position
	var tokens [][]int32
	for {
		at, err := walk.Position()
		must(t, err)
		positions = append(positions, at)
		batch, err := walk.Next()
		must(t, err)
		if batch == nil {
			break
		}
		check(t, batch.Position == at && int(batch.SegmentOffsets[1]) == len(batch.Tokens), "its place")
		tokens = append(tokens, batch.Tokens)
	}
	check(t, len(tokens) == 12, "three epochs of four")
	for start := range tokens {
		must(t, walk.SetPosition(positions[start]))
		for _, want := range tokens[start:] {
			batch, err := walk.Next()
			check(t, err == nil && reflect.DeepEqual(batch.Tokens, want), "the same again")
		}
	}
	refused(t, walk.SetPosition(Position{3, 0, 1}), Mismatch)
}

func TestModelsOpenInEachForm(t *testing.T) {
	data, err := os.ReadFile(os.Getenv("FTLIB_TINY"))
	must(t, err)
	memory, err := OpenModelMemory(data, ModelOptions{})
	must(t, err)
	a, err := memory.Info()
	must(t, err)
	b, err := model(t).Info()
	check(t, err == nil && a.Digest == b.Digest && b.Compute == F32Compute, "one model")
	for _, base := range []BaseFormat{NativeBase, F32Base, Bf16Base, Nf4Base} {
		_, err := OpenModel(os.Getenv("FTLIB_TINY"), ModelOptions{Base: base, DoubleQuant: true})
		must(t, err)
	}
}

func TestGenerationStreamsWhatItReturns(t *testing.T) {
	m, ctx := model(t), context.Background()
	prompt, err := tokenizer(t).EncodeMessages(hello[:1], true)
	must(t, err)
	var streamed []byte
	answers, err := m.Generate(ctx, nil, [][]int32{prompt, {1, 2, 3}}, GenerateOptions{MaxTokens: 8,
		OnToken: func(prompt int, _ int32, text []byte) error {
			if prompt == 1 {
				streamed = append(streamed, text...)
			}
			return nil
		}})
	must(t, err)
	check(t, string(streamed) == answers[1].Text && answers[0].PromptTokens == int64(len(prompt)), "streamed")
	mine := errors.New("mine")
	_, err = m.Generate(ctx, nil, [][]int32{prompt}, GenerateOptions{OnToken: func(int, int32, []byte) error { return mine }})
	check(t, errors.Is(err, mine), "the callback's own error")
	over, cancel := context.WithCancel(ctx)
	cancel()
	_, err = m.Generate(over, nil, [][]int32{prompt}, GenerateOptions{MaxTokens: 8})
	check(t, errors.Is(err, context.Canceled), "the context's error")
	_, err = m.Generate(ctx, nil, [][]int32{{}}, GenerateOptions{})
	refused(t, err, InvalidArgument)
}

func TestAPanicGoesThroughTheCall(t *testing.T) {
	trained := trainer(t, 4)
	func() {
		defer func() { check(t, recover() == "mine", "the panic comes out") }()
		_ = trained.Run(context.Background(), func(Progress) error { panic("mine") })
	}()
	now, err := trained.Progress()
	check(t, err == nil && now.Step == 1, "after its step")
	must(t, trained.Run(context.Background(), nil))
}

func TestEvaluationAndComparison(t *testing.T) {
	m, data, ctx := model(t), dataset(t), context.Background()
	trained := trainer(t, 8)
	must(t, trained.Run(ctx, nil))
	adapter, err := trained.Adapter()
	must(t, err)
	base, err := m.Evaluate(ctx, nil, data, EvaluateOptions{Metrics: []string{"exact", "rouge-l"}, MaxTokens: 4})
	must(t, err)
	tuned, err := m.Evaluate(ctx, adapter, data, EvaluateOptions{})
	must(t, err)
	info, err := base.Info()
	check(t, err == nil && info.Examples == 4 && info.Answers == 4, "four")
	check(t, math.Abs(info.Perplexity-math.Exp(info.Loss)) < 1e-9*info.Perplexity, "perplexity")
	metrics, err := base.Metrics()
	check(t, err == nil && metrics[1].Name == "rouge-l", "metrics")
	examples, err := base.Examples()
	check(t, err == nil && examples[0].ID == "1" && examples[0].Answered && len(examples[0].Scores) == 2, "examples")
	interval, err := base.Compare(tuned, "")
	check(t, err == nil && interval.High < 0, "better")
	mine := errors.New("mine")
	_, err = m.Evaluate(ctx, nil, data, EvaluateOptions{OnProgress: func(int64, int64) error { return mine }})
	check(t, errors.Is(err, mine), "the callback's own error")
}

func TestStepsRunsAndResumedRunsAreOneTraining(t *testing.T) {
	ctx := context.Background()
	byStep, byRun, begun, resumed := trainer(t, 6), trainer(t, 6), trainer(t, 6), trainer(t, 6)
	for i := int64(1); i <= 6; i++ {
		now, err := byStep.Step()
		check(t, err == nil && now.Step == i && now.Finished == (i == 6) && !now.HasValidation(), "a step")
	}
	must(t, byRun.Run(ctx, nil))
	enough := errors.New("enough")
	err := begun.Run(ctx, func(now Progress) error {
		if now.Step == 3 {
			return enough
		}
		return nil
	})
	check(t, errors.Is(err, enough), "stopped by its callback")
	must(t, begun.Save(work("go-state")))
	must(t, resumed.Resume(work("go-state")))
	must(t, resumed.Run(ctx, nil))
	check(t, digest(t, byStep) == digest(t, byRun) && digest(t, byStep) == digest(t, resumed), "the same bits")
	_, err = byStep.Step()
	refused(t, err, InvalidArgument)
	err = trainer(t, 7).Resume(work("go-state"))
	refused(t, err, Mismatch)
	check(t, strings.Contains(err.Error(), "steps: 6 then, 7 now"), err.Error())
	plan, err := byStep.Plan()
	check(t, err == nil && plan.PeakBytes > plan.TrainerBytes, "a plan")
}

func TestAContextEndsARun(t *testing.T) {
	trained := trainer(t, 1000000)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err := trained.Run(ctx, nil)
	check(t, errors.Is(err, context.DeadlineExceeded), "the context's error")
	now, err := trained.Progress()
	check(t, err == nil && !now.Finished, "not finished")
	must(t, trained.Close())
}

// run makes one run, and gives a panic of its callback as an error.
func run(ctx context.Context, trained *Trainer, onStep func(Progress) error) (err error) {
	defer func() {
		if raised := recover(); raised != nil {
			err = raised.(error)
		}
	}()
	return trained.Run(ctx, onStep)
}

func TestAContextThatEndsWithItsRunDoesNotEndTheNextOne(t *testing.T) {
	trained, live, enough := trainer(t, 1000000), context.Background(), errors.New("enough")
	for i := 0; i < 300; i++ {
		ctx, cancel := context.WithCancel(live)
		err := run(ctx, trained, func(Progress) error {
			cancel()
			for j := 0; j < i%4; j++ {
				runtime.Gosched()
			}
			return enough
		})
		check(t, errors.Is(err, enough), "the callback's own error")
		must(t, failure(trained.Step()))
		err = run(live, trained, func(Progress) error { return enough })
		check(t, errors.Is(err, enough), "the next run is not cancelled")
	}
}

func TestAContextThatEndsAfterItsRunDoesNotEndTheNextOne(t *testing.T) {
	trained, live, enough := trainer(t, 1000000), context.Background(), errors.New("enough")
	for i := 0; i < 100; i++ {
		ctx, cancel := context.WithCancel(live)
		err := run(ctx, trained, func(Progress) error { panic(enough) })
		check(t, errors.Is(err, enough), "the callback's panic")
		steps := 0
		err = run(live, trained, func(Progress) error {
			cancel()
			runtime.Gosched()
			if steps++; steps == 3 {
				return enough
			}
			return nil
		})
		check(t, errors.Is(err, enough), "the next run is not cancelled")
	}
}

func TestAContextEndsTheRunWhoseCallbackEndsIt(t *testing.T) {
	trained := trainer(t, 1000000)
	for i := int64(1); i <= 20; i++ {
		ctx, cancel := context.WithCancel(context.Background())
		err := trained.Run(ctx, func(Progress) error { cancel(); return nil })
		check(t, errors.Is(err, context.Canceled), "the context's error")
		now, err := trained.Progress()
		check(t, err == nil && now.Step == i, "after that very step")
	}
	ctx, cancel := context.WithCancel(context.Background())
	refused(t, trained.Run(ctx, func(Progress) error { cancel(); return Cancelled }), Cancelled)
}

func TestCancelIsOfTheRunInProgress(t *testing.T) {
	trained := trainer(t, 6)
	must(t, trained.Cancel())
	refused(t, trained.Run(context.Background(), func(Progress) error { return trained.Cancel() }), Cancelled)
	must(t, trained.Cancel())
	must(t, failure(trained.Step()))
	must(t, trained.Run(context.Background(), nil))
	must(t, trained.Cancel())
}

func TestOptionsReachTheAdapterAndFilesHoldIt(t *testing.T) {
	m, data, ctx := model(t), dataset(t), context.Background()
	made, err := NewTrainer(m, data, nil, LoraOptions{R: 4, LoraAlpha: 8, TargetModules: []string{"q_proj", "v_proj"},
		RankPattern: map[string]int64{"v_proj": 2}, AlphaPattern: map[string]float64{"v_proj": 3}}, TrainOptions{Steps: 1})
	must(t, err)
	adapter, err := made.Adapter()
	must(t, err)
	tensors, err := adapter.Tensors()
	must(t, err)
	for _, tensor := range tensors {
		scale, rank := float32(2), 4
		if strings.Contains(tensor.Name, "v_proj") {
			scale, rank = 1.5, 2
		}
		check(t, tensor.Scale == scale && (tensor.Rows == rank || tensor.Columns == rank), tensor.Name)
		check(t, len(tensor.Values) == tensor.Rows*tensor.Columns, tensor.Name)
	}
	must(t, adapter.SavePEFT(work("go-peft")))
	must(t, adapter.SaveGGUF(work("go.gguf")))
	read, err := m.OpenAdapter(work("go-peft"))
	must(t, err)
	a, err := adapter.Info()
	must(t, err)
	b, err := read.Info()
	check(t, err == nil && a.Digest == b.Digest && a.R == 4, "read as written")
	begun, err := NewTrainer(m, data, data, LoraOptions{}, TrainOptions{Steps: 1, InitAdapter: adapter})
	must(t, err)
	check(t, digest(t, begun) == a.Digest, "begun from it")
	must(t, m.Merge(ctx, adapter, work("go-merged.gguf"), "f32", nil))
	mine := errors.New("mine")
	err = m.Merge(ctx, adapter, work("go-none.gguf"), "f32", func(int64, int64) error { return mine })
	check(t, errors.Is(err, mine), "the callback's own error")
}

func TestTwoTrainersInTwoGoroutinesGiveTheResultsOfOne(t *testing.T) {
	train := func() string {
		trained := trainer(t, 20)
		must(t, trained.Run(context.Background(), nil))
		return digest(t, trained)
	}
	alone, both := train(), make(chan string, 2)
	for i := 0; i < 2; i++ {
		go func() { both <- train() }()
	}
	check(t, alone == <-both && alone == <-both, "the same bits")
}

func TestNf4GoesThereAndBack(t *testing.T) {
	values, back := make([]float32, 200), make([]float32, 200)
	for i := range values {
		values[i] = float32(math.Sin(float64(i)))
	}
	codes, absmax := make([]byte, 100), make([]float32, 4)
	must(t, Nf4Quantize(values, 64, codes, absmax))
	weight := Weight{OutFeatures: 10, InFeatures: 20, Codes: codes, BlockSize: 64, Absmax: absmax}
	must(t, Nf4Dequantize(&weight, back))
	worst := 0.0
	for i := range values {
		worst = math.Max(worst, math.Abs(float64(values[i]-back[i])))
	}
	check(t, worst > 0 && worst < 0.16, "near")
	weight.AbsmaxCodes, weight.NestedScales = make([]byte, 4), make([]float32, 1)
	offset, err := DoubleQuantize(absmax, weight.AbsmaxCodes, weight.NestedScales)
	must(t, err)
	weight.NestedOffset = offset
	must(t, Nf4Dequantize(&weight, back))
	named(t, Nf4Quantize(values, 64, codes[:99], absmax), "codes: want 100")
	refused(t, Nf4Quantize([]float32{float32(math.NaN())}, 64, codes[:1], absmax[:1]), NonFinite)
}

func TestALoraLinearAndItsGradients(t *testing.T) {
	weight := Weight{OutFeatures: 2, InFeatures: 2, Dense: []float32{1, 0, 0, 1}}
	x, a, b := []float32{1, 2}, []float32{1, 1}, []float32{2, 3}
	u, y := make([]float32, 1), make([]float32, 2)
	must(t, LoraLinear(&weight, x, []float32{1, 1}, a, b, 0.5, 1, 1, u, y))
	check(t, reflect.DeepEqual(y, []float32{5, 7.5}), "y")
	du, dA, dB, dx := make([]float32, 1), make([]float32, 2), make([]float32, 2), make([]float32, 2)
	must(t, LoraLinearBackward(&weight, []float32{1, 1}, x, a, b, u, 0.5, 1, 1, du, dA, dB, dx))
	check(t, reflect.DeepEqual(dA, []float32{2.5, 5}) && reflect.DeepEqual(dB, []float32{1.5, 1.5}), "dA, dB")
	check(t, reflect.DeepEqual(dx, []float32{3.5, 3.5}), "dx")
	refused(t, LoraLinear(&weight, x[:1], nil, a, b, 1, 1, 1, u, y), InvalidArgument)
}

// 1, 2, -1 and 0.5 are the same numbers in each type.
func TestPrimitivesTakeTheTypesOfTheLibrary(t *testing.T) {
	single := []float32{1, 2, -1, 0.5}
	brain, half := []BF16{0x3f80, 0x4000, 0xbf80, 0x3f00}, []F16{0x3c00, 0x4000, 0xbc00, 0x3800}
	codes, absmax := [3][]byte{}, [3][]float32{}
	for i := range codes {
		codes[i], absmax[i] = make([]byte, 2), make([]float32, 1)
	}
	must(t, Nf4Quantize(single, 64, codes[0], absmax[0]))
	must(t, Nf4Quantize(brain, 64, codes[1], absmax[1]))
	must(t, Nf4Quantize(half, 64, codes[2], absmax[2]))
	for i := range codes {
		check(t, absmax[i][0] == 2 && reflect.DeepEqual(codes[i], codes[0]), "the same codes")
	}
	nf4 := Weight{OutFeatures: 2, InFeatures: 2, Codes: codes[0], BlockSize: 64, Absmax: absmax[0]}
	bf16, f16 := make([]BF16, 4), make([]F16, 4)
	must(t, Nf4Dequantize(&nf4, bf16))
	must(t, Nf4Dequantize(&nf4, f16))
	check(t, bf16[1] == 0x4000 && f16[1] == 0x4000, "the largest is exact")

	x, a, b := []BF16{0x3f80, 0x4000}, []BF16{0x3f80, 0x3f80}, []BF16{0x4000, 0x4040}
	u, y, rounded := make([]BF16, 1), make([]float32, 2), make([]BF16, 2)
	for name, weight := range map[string]Weight{
		"f32":  {OutFeatures: 2, InFeatures: 2, Dense: []float32{1, 0, 0, 1}},
		"bf16": {OutFeatures: 2, InFeatures: 2, DenseBF16: []BF16{0x3f80, 0, 0, 0x3f80}},
		"f16":  {OutFeatures: 2, InFeatures: 2, DenseF16: []F16{0x3c00, 0, 0, 0x3c00}},
	} {
		weight := weight
		must(t, LoraLinear(&weight, x, []float32{1, 1}, a, b, 0.5, 1, 1, u, y))
		check(t, reflect.DeepEqual(y, []float32{5, 7.5}) && u[0] == 0x4040, name+": y")
		must(t, LoraLinear(&weight, x, []float32{1, 1}, a, b, 0.5, 1, 1, u, rounded))
		check(t, reflect.DeepEqual(rounded, []BF16{0x40a0, 0x40f0}), name+": y in bf16")
		du, dA, dB, dx := make([]BF16, 1), make([]float32, 2), make([]float32, 2), make([]BF16, 2)
		must(t, LoraLinearBackward(&weight, []BF16{0x3f80, 0x3f80}, x, a, b, u, 0.5, 1, 1, du, dA, dB, dx))
		check(t, reflect.DeepEqual(dA, []float32{2.5, 5}), name+": dA")
		check(t, reflect.DeepEqual(dB, []float32{1.5, 1.5}), name+": dB")
		check(t, reflect.DeepEqual(dx, []BF16{0x4060, 0x4060}), name+": dx")
		refused(t, LoraLinear(&weight, half[:2], nil, half[:2], half[:2], 1, 1, 1, f16[:1], f16[:2]), InvalidArgument)
	}
	named(t, Nf4Dequantize(&Weight{OutFeatures: 1, InFeatures: 2, DenseF16: half}, single), "DenseF16")
}

func TestOptimisersClippingAndLoss(t *testing.T) {
	p, g, m, v := []float32{1, 2}, []float32{3, 4}, make([]float32, 2), make([]float32, 2)
	norm, err := ClipGradNorm([][]float32{g}, 0)
	check(t, err == nil && norm == 5 && g[0] == 3, "the norm")
	clipped := []float32{3, 4}
	_, err = ClipGradNorm([][]float32{clipped}, 1)
	check(t, err == nil && math.Abs(float64(clipped[0])-0.6) < 1e-5, "clipped")
	options := DefaultAdamW()
	options.LR = 0.5
	must(t, AdamWStep(options, 1, p, g, 1, m, v))
	check(t, math.Abs(float64(p[0])-0.5) < 1e-5, "a step")
	p8, state := []float32{1, 2}, func() State8bit { return State8bit{make([]byte, 2), make([]float32, 1)} }
	must(t, AdamW8bitStep(options, 1, p8, g, 1, state(), state()))
	check(t, math.Abs(float64(p8[0])-0.5) < 1e-5, "a step at 8 bits")
	refused(t, AdamWStep(options, 0, p, g, 1, m, v), InvalidArgument)
	logits, nll := make([]float32, 4), make([]float32, 2)
	must(t, CrossEntropy(logits, 2, []int32{0, 1}, nil, 1, nll, logits))
	check(t, math.Abs(float64(nll[0])-math.Ln2) < 1e-6 && reflect.DeepEqual(logits, []float32{-0.5, 0.5, 0.5, -0.5}), "loss")
}
