// SPDX-License-Identifier: Apache-2.0

package ftlib

// #include <ftlib_c.h>
// extern int32_t ftlibOnStep(ft_progress* progress, void* user);
// static ft_status run(ft_trainer* trainer, void* user) {
//   return ft_trainer_run(trainer, (ft_progress_callback)ftlibOnStep, user);
// }
import "C"

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sort"
	"sync"
	"unsafe"
)

// LoraOptions are PEFT's LoraConfig, the fields that are supported.
type LoraOptions struct {
	R             int64   // 0: 16
	LoraAlpha     float64 // 0: 32
	LoraDropout   float64
	UseRslora     bool
	TargetModules []string // names, exact or the end after a dot; none: all linears but the head
	TargetRegex   string   // else a regular expression that matches the whole path
	RankPattern   map[string]int64
	AlphaPattern  map[string]float64
}

// Optimizer is one.
type Optimizer int

// The optimisers.
const (
	AdamW     Optimizer = C.FT_ADAMW
	AdamW8bit Optimizer = C.FT_ADAMW_8BIT
)

// Schedule is the learning rate's way, as transformers has it.
type Schedule int

// The schedules.
const (
	Cosine   Schedule = C.FT_SCHEDULE_COSINE
	Linear   Schedule = C.FT_SCHEDULE_LINEAR
	Constant Schedule = C.FT_SCHEDULE_CONSTANT
)

// TrainOptions are those of `ftlib tune`. Where a zero means something else than the default, a pointer says it: Number(0).
type TrainOptions struct {
	Epochs, Steps, BatchTokens, BatchExamples, Accumulate int64
	Order                                                 Order
	Seed                                                  uint64
	LR                                                    *float64 // nil: 2e-4
	Schedule                                              Schedule
	Warmup                                                *float64 // nil: 0.05; below 1 a share of all steps, else steps
	WeightDecay                                           float64
	Clip                                                  *float64 // nil: 1; 0: no clipping
	Beta1, Beta2                                          *float64 // nil: 0.9, 0.999
	Eps                                                   float64  // 0: 1e-8
	Optimizer                                             Optimizer
	SkipNonFinite                                         bool     // a NaN changes nothing, and training goes on
	MemoryBytes                                           int64    // a bound on the process's peak; 0: 80 % of what there is
	ValidEvery                                            int64    // steps between validations; 0: at the end of each epoch
	Patience                                              int64    // stop after so many without improvement; 0: never
	InitAdapter                                           *Adapter // begin from it; LoraOptions must be zero then
}

// Number is for the fields of TrainOptions that are pointers.
func Number(value float64) *float64 { return &value }

func (o TrainOptions) native(raw *C.ft_train_options) {
	set(&raw.epochs, o.Epochs)
	set(&raw.steps, o.Steps)
	set(&raw.batch_tokens, o.BatchTokens)
	set(&raw.batch_examples, o.BatchExamples)
	set(&raw.accumulate, o.Accumulate)
	set(&raw.memory_bytes, o.MemoryBytes)
	set(&raw.valid_every, o.ValidEvery)
	set(&raw.patience, o.Patience)
	setNumber(&raw.weight_decay, o.WeightDecay)
	setNumber(&raw.eps, o.Eps)
	for field, value := range map[*C.double]*float64{&raw.lr: o.LR, &raw.warmup: o.Warmup, &raw.clip: o.Clip,
		&raw.beta1: o.Beta1, &raw.beta2: o.Beta2} {
		if value != nil {
			*field = C.double(*value)
		}
	}
	raw.order, raw.seed = C.ft_order(o.Order), C.uint64_t(o.Seed)
	raw.schedule, raw.optimizer = C.ft_schedule(o.Schedule), C.ft_optimizer(o.Optimizer)
	raw.on_nonfinite = C.ft_on_nonfinite(flag(o.SkipNonFinite))
	raw.init_adapter = o.InitAdapter.orNil()
}

// Progress is what a step was, and where the run is. Losses that there are not yet are NaN.
type Progress struct {
	Step, TotalSteps, Epoch      int64
	Loss, GradNorm, LR           float64
	Tokens, SupervisedTokens     int64
	Seconds                      float64
	Skipped, Validated, Finished bool
	ValidLoss, BestValidLoss     float64
	BestStep                     int64
	TrainLoss                    float64
}

func progressOf(r *C.ft_progress) Progress {
	return Progress{int64(r.step), int64(r.total_steps), int64(r.epoch), float64(r.loss), float64(r.grad_norm),
		float64(r.lr), int64(r.tokens), int64(r.supervised_tokens), float64(r.seconds), r.skipped == 1, r.validated == 1,
		r.finished == 1, float64(r.valid_loss), float64(r.best_valid_loss), int64(r.best_step), float64(r.train_loss)}
}

// HasValidation says whether there was one yet.
func (p Progress) HasValidation() bool { return !math.IsNaN(p.BestValidLoss) }

// MemoryPlan is what the run takes, as planned before its first step.
type MemoryPlan struct {
	PeakBytes, TrainerBytes, BudgetBytes               int64
	LayersKeptWhole, LayersWithoutMLP, LayersInputOnly int64
}

// Trainer is one training run. One goroutine at a time; Cancel and Progress from any.
type Trainer struct{ raw *C.ft_trainer }

// NewTrainer prepares a run and takes all memory that it needs. valid, which may be nil: held-out records that choose the
// best adapter.
func NewTrainer(model *Model, train, valid *Dataset, lora LoraOptions, options TrainOptions) (*Trainer, error) {
	defer runtime.KeepAlive(model)
	defer runtime.KeepAlive(train)
	defer runtime.KeepAlive(valid)
	defer runtime.KeepAlive(options.InitAdapter)
	var t texts
	defer t.free()
	var raw C.ft_train_options
	if err := call(func() C.ft_status { return C.ft_train_options_init(&raw, C.size_t(unsafe.Sizeof(raw))) }); err != nil {
		return nil, err
	}
	options.native(&raw)
	native, err := t.lora(lora)
	if err != nil {
		return nil, err
	}
	if options.InitAdapter != nil && lora.isZero() {
		native = nil
	}
	var out *C.ft_trainer
	if err := t.call(func() C.ft_status {
		return C.ft_trainer_create(model.orNil(), train.orNil(), valid.orNil(), native, &raw, &out)
	}); err != nil {
		return nil, err
	}
	made := &Trainer{out}
	runtime.SetFinalizer(made, (*Trainer).Close)
	return made, nil
}

func (o LoraOptions) isZero() bool {
	return o.R == 0 && o.LoraAlpha == 0 && o.LoraDropout == 0 && !o.UseRslora && len(o.TargetModules) == 0 &&
		o.TargetRegex == "" && len(o.RankPattern) == 0 && len(o.AlphaPattern) == 0
}

func (t *texts) lora(o LoraOptions) (*C.ft_lora_options, error) {
	raw := (*C.ft_lora_options)(t.memory(unsafe.Sizeof(C.ft_lora_options{})))
	err := call(func() C.ft_status { return C.ft_lora_options_init(raw, C.size_t(unsafe.Sizeof(*raw))) })
	set(&raw.r, o.R)
	setNumber(&raw.lora_alpha, o.LoraAlpha)
	raw.lora_dropout, raw.use_rslora = C.double(o.LoraDropout), flag(o.UseRslora)
	raw.target_modules = t.many("TargetModules[%d]", o.TargetModules)
	raw.target_module_count = C.size_t(len(o.TargetModules))
	raw.target_regex = t.optional("TargetRegex", o.TargetRegex)
	ranks, alphas := keys(o.RankPattern), keys(o.AlphaPattern)
	raw.rank_pattern, raw.rank_pattern_count = t.many("RankPattern, key %d", ranks), C.size_t(len(ranks))
	raw.alpha_pattern, raw.alpha_pattern_count = t.many("AlphaPattern, key %d", alphas), C.size_t(len(alphas))
	raw.rank_pattern_r = (*C.int64_t)(t.memory(uintptr(len(ranks)+1) * 8))
	raw.alpha_pattern_alpha = (*C.double)(t.memory(uintptr(len(alphas)+1) * 8))
	for i, key := range ranks {
		unsafe.Slice(raw.rank_pattern_r, len(ranks))[i] = C.int64_t(o.RankPattern[key])
	}
	for i, key := range alphas {
		unsafe.Slice(raw.alpha_pattern_alpha, len(alphas))[i] = C.double(o.AlphaPattern[key])
	}
	return raw, err
}

func keys[V any](of map[string]V) []string {
	var all []string
	for key := range of {
		all = append(all, key)
	}
	sort.Strings(all)
	return all
}

// Close frees it; a call that runs in another goroutine is cancelled.
func (t *Trainer) Close() error {
	return release(t, func() C.ft_status { return C.ft_trainer_free(t.raw) })
}

// Step makes one optimiser step, and the validation that is due after it.
func (t *Trainer) Step() (Progress, error) {
	defer runtime.KeepAlive(t)
	var r C.ft_progress
	r.struct_size = C.uint32_t(unsafe.Sizeof(r))
	err := call(func() C.ft_status { return C.ft_trainer_step(t.raw, &r) })
	return progressOf(&r), err
}

// Run steps until the run is finished, the context is done, or onStep (which may be nil) gives an error, which is then Run's.
// Everything is kept: call it again to go on.
func (t *Trainer) Run(ctx context.Context, onStep func(Progress) error) error {
	defer runtime.KeepAlive(t)
	if err := ctx.Err(); err != nil {
		return err
	}
	defer t.watch(ctx)()
	c := callback{step: func(now Progress) error {
		if onStep != nil {
			if err := onStep(now); err != nil {
				return err
			}
		}
		return ctx.Err() // the library does not hear a cancel that comes before its run has begun
	}}
	err := c.with(call, func(user unsafe.Pointer) C.ft_status { return C.run(t.raw, user) })
	if errors.Is(err, Cancelled) && c.err == nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// watch ends a run when the context is done. What it returns ends the watch: no cancel comes after it.
func (t *Trainer) watch(ctx context.Context) (end func()) {
	ended := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Add(1)
	go func() {
		defer watcher.Done()
		select {
		case <-ctx.Done():
			_ = t.Cancel()
		case <-ended:
		}
	}()
	return func() {
		close(ended)
		watcher.Wait()
	}
}

// Cancel ends the step or run in progress, after its micro-batch; where there is none it does nothing. Any goroutine.
func (t *Trainer) Cancel() error {
	defer runtime.KeepAlive(t)
	return call(func() C.ft_status { return C.ft_trainer_cancel(t.raw) })
}

// Progress is where the run is, without waiting for its step. Any goroutine.
func (t *Trainer) Progress() (Progress, error) {
	defer runtime.KeepAlive(t)
	var r C.ft_progress
	r.struct_size = C.uint32_t(unsafe.Sizeof(r))
	err := call(func() C.ft_status { return C.ft_trainer_progress(t.raw, &r) })
	return progressOf(&r), err
}

// Plan is the memory plan.
func (t *Trainer) Plan() (MemoryPlan, error) {
	defer runtime.KeepAlive(t)
	var r C.ft_memory_plan
	r.struct_size = C.uint32_t(unsafe.Sizeof(r))
	err := call(func() C.ft_status { return C.ft_trainer_get_plan(t.raw, &r) })
	return MemoryPlan{int64(r.peak_bytes), int64(r.trainer_bytes), int64(r.budget_bytes), int64(r.layers_kept_whole),
		int64(r.layers_without_mlp), int64(r.layers_input_only)}, err
}

// Save writes the whole state, as folder/step-N. A crash leaves the one before.
func (t *Trainer) Save(folder string) error {
	defer runtime.KeepAlive(t)
	var memory texts
	defer memory.free()
	to := memory.one("folder", folder)
	return memory.call(func() C.ft_status { return C.ft_trainer_save(t.raw, to) })
}

// Resume goes on from the newest valid state there, with the bits of a run that never stopped.
func (t *Trainer) Resume(folder string) error {
	defer runtime.KeepAlive(t)
	var memory texts
	defer memory.free()
	from := memory.one("folder", folder)
	return memory.call(func() C.ft_status { return C.ft_trainer_resume(t.raw, from) })
}

// Adapter is a copy of the adapter as it is now; of a finished run with held-out records, the best one.
func (t *Trainer) Adapter() (*Adapter, error) {
	defer runtime.KeepAlive(t)
	var out *C.ft_adapter
	if err := call(func() C.ft_status { return C.ft_trainer_adapter(t.raw, &out) }); err != nil {
		return nil, err
	}
	return newAdapter(out), nil
}
