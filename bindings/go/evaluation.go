// SPDX-License-Identifier: Apache-2.0

package ftlib

// #include <ftlib_c.h>
import "C"

import (
	"runtime"
	"sync"
	"unsafe"
)

// EvaluationInfo is the whole in numbers.
type EvaluationInfo struct {
	Loss, Perplexity           float64
	Tokens, SupervisedTokens   int64
	Examples, Answers, Metrics int
}

// ExampleResult is one example of an evaluation.
type ExampleResult struct {
	ID               string
	NLL              float64 // sum over its supervised tokens, nats
	SupervisedTokens int64
	Answered         bool
	Output           string
	Scores           []float64 // one a metric, where it is answered
}

// Metric is the mean of one.
type Metric struct {
	Name string
	Mean float64
}

// Interval is a difference with its 95 % interval.
type Interval struct{ Estimate, Low, High float64 }

// Evaluation is what a model scored on records. Immutable: any number of goroutines.
type Evaluation struct {
	raw  *C.ft_evaluation
	lent sync.RWMutex // read while what the library lent is copied, written to free it
}

func (e *Evaluation) orNil() *C.ft_evaluation {
	if e == nil {
		return nil
	}
	return e.raw
}

// Close frees it.
func (e *Evaluation) Close() error {
	return release(e, func() C.ft_status {
		e.lent.Lock()
		defer e.lent.Unlock()
		return C.ft_evaluation_free(e.raw)
	})
}

// Info has the whole in numbers.
func (e *Evaluation) Info() (EvaluationInfo, error) {
	defer runtime.KeepAlive(e)
	var r C.ft_evaluation_info
	r.struct_size = C.uint32_t(unsafe.Sizeof(r))
	err := call(func() C.ft_status { return C.ft_evaluation_get_info(e.raw, &r) })
	return EvaluationInfo{float64(r.loss), float64(r.perplexity), int64(r.tokens), int64(r.supervised_tokens),
		int(r.example_count), int(r.answer_count), int(r.metric_count)}, err
}

// Metrics gives the mean of each.
func (e *Evaluation) Metrics() ([]Metric, error) {
	defer runtime.KeepAlive(e)
	e.lent.RLock()
	defer e.lent.RUnlock()
	info, err := e.Info()
	var all []Metric
	for i := 0; i < info.Metrics && err == nil; i++ {
		var name *C.char
		var mean C.double
		err = call(func() C.ft_status { return C.ft_evaluation_metric(e.raw, C.size_t(i), &name, &mean) })
		all = append(all, Metric{C.GoString(name), float64(mean)})
	}
	return all, err
}

// Examples gives each.
func (e *Evaluation) Examples() ([]ExampleResult, error) {
	defer runtime.KeepAlive(e)
	e.lent.RLock()
	defer e.lent.RUnlock()
	info, err := e.Info()
	var all []ExampleResult
	for i := 0; i < info.Examples && err == nil; i++ {
		var r C.ft_example_result
		r.struct_size = C.uint32_t(unsafe.Sizeof(r))
		err = call(func() C.ft_status { return C.ft_evaluation_example(e.raw, C.size_t(i), &r) })
		one := ExampleResult{C.GoString(r.id), float64(r.nll), int64(r.supervised_tokens), r.output != nil,
			C.GoStringN(r.output, C.int(r.output_bytes)), nil}
		if r.scores != nil {
			one.Scores = copied[C.double, float64](r.scores, int64(info.Metrics))
		}
		all = append(all, one)
	}
	return all, err
}

// Compare tells how much after differs from this one on the same records; metric "": in the loss.
func (e *Evaluation) Compare(after *Evaluation, metric string) (Interval, error) {
	defer runtime.KeepAlive(e)
	defer runtime.KeepAlive(after)
	var t texts
	defer t.free()
	var r C.ft_interval
	r.struct_size = C.uint32_t(unsafe.Sizeof(r))
	name := t.optional("metric", metric)
	err := t.call(func() C.ft_status { return C.ft_evaluation_compare(e.raw, after.orNil(), name, &r) })
	return Interval{float64(r.estimate), float64(r.low), float64(r.high)}, err
}
