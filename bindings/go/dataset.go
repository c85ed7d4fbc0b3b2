// SPDX-License-Identifier: Apache-2.0

package ftlib

// #include <ftlib_c.h>
import "C"

import (
	"runtime"
	"sync"
	"unsafe"
)

// DatasetOptions say how records are read.
type DatasetOptions struct {
	SuperviseLast bool  // train the last assistant turn of each record only
	MaxLength     int64 // tokens of a record; 0: 1024
	Truncate      bool  // cut longer records instead of leaving them out
	Limit         int64 // only the first so many records of the file; 0: all
}

// RecordOptions is what may stand beside a record's text.
type RecordOptions struct {
	ID             string  // "": the number of the record, from 1
	Group          string  // records of one group are drawn together in comparisons
	Weight         float64 // of each of its supervised tokens in the loss; 0: 1, unless WeightIsZero
	WeightIsZero   bool
	PromptMessages uint32 // so many messages at the begin are prompt and never trained
}

// DatasetInfo counts what a dataset has.
type DatasetInfo struct{ Examples, Records, LeftOut, Truncated, Tokens, SupervisedTokens int64 }

// Example is a record as it is trained: tokens, and Hugging Face's labels (the token where it is a target, else -100).
type Example struct{ Tokens, Labels []int32 }

// Dataset has records as tokens. Any number of goroutines; an append waits for other calls on it.
type Dataset struct{ raw *C.ft_dataset }

func (d *Dataset) orNil() *C.ft_dataset {
	if d == nil {
		return nil
	}
	return d.raw
}

// OpenDataset reads a JSONL file of records; "": begin without any, to be appended.
func OpenDataset(tokenizer *Tokenizer, path string, options DatasetOptions) (*Dataset, error) {
	defer runtime.KeepAlive(tokenizer)
	var t texts
	defer t.free()
	var raw C.ft_dataset_options
	if err := call(func() C.ft_status { return C.ft_dataset_options_init(&raw, C.size_t(unsafe.Sizeof(raw))) }); err != nil {
		return nil, err
	}
	raw.supervise_last, raw.truncate, raw.limit = flag(options.SuperviseLast), flag(options.Truncate), C.int64_t(options.Limit)
	if options.MaxLength != 0 {
		raw.max_length = C.int64_t(options.MaxLength)
	}
	var out *C.ft_dataset
	file := t.optional("path", path)
	if err := t.call(func() C.ft_status { return C.ft_dataset_open(tokenizer.orNil(), file, &raw, &out) }); err != nil {
		return nil, err
	}
	made := &Dataset{out}
	runtime.SetFinalizer(made, (*Dataset).Close)
	return made, nil
}

// Close frees it; what was made of it lives on.
func (d *Dataset) Close() error {
	return release(d, func() C.ft_status { return C.ft_dataset_free(d.raw) })
}

func (t *texts) record(options RecordOptions) *C.ft_record_options {
	raw := (*C.ft_record_options)(t.memory(unsafe.Sizeof(C.ft_record_options{})))
	size := C.size_t(unsafe.Sizeof(*raw))
	if err := call(func() C.ft_status { return C.ft_record_options_init(raw, size) }); err != nil {
		t.err = err
	}
	raw.id, raw.group = t.optional("ID", options.ID), t.optional("Group", options.Group)
	raw.prompt_messages = C.uint32_t(options.PromptMessages)
	if options.Weight != 0 || options.WeightIsZero {
		raw.weight = C.double(options.Weight)
	}
	return raw
}

// AppendMessages adds a conversation. Trainers and batches made before do not see it.
func (d *Dataset) AppendMessages(messages []Message, options RecordOptions) error {
	defer runtime.KeepAlive(d)
	var t texts
	defer t.free()
	roles, contents, n := t.messages(messages)
	record := t.record(options)
	return t.call(func() C.ft_status { return C.ft_dataset_append_messages(d.raw, roles, contents, n, record) })
}

// AppendCompletion adds a prompt and what should follow it.
func (d *Dataset) AppendCompletion(prompt, completion string, options RecordOptions) error {
	defer runtime.KeepAlive(d)
	var t texts
	defer t.free()
	before, after, record := t.one("prompt", prompt), t.one("completion", completion), t.record(options)
	return t.call(func() C.ft_status { return C.ft_dataset_append_completion(d.raw, before, after, record) })
}

// AppendText adds plain text, all of it trained.
func (d *Dataset) AppendText(text string, options RecordOptions) error {
	defer runtime.KeepAlive(d)
	var t texts
	defer t.free()
	content, record := t.one("text", text), t.record(options)
	return t.call(func() C.ft_status { return C.ft_dataset_append_text(d.raw, content, record) })
}

// AppendJSON adds a record as a line of a JSONL file has it.
func (d *Dataset) AppendJSON(line string) error {
	defer runtime.KeepAlive(d)
	json := (*C.char)(unsafe.Pointer(first([]byte(line))))
	return call(func() C.ft_status { return C.ft_dataset_append_json(d.raw, json, C.size_t(len(line))) })
}

// AppendTokens adds a record that the caller has tokenised, with Hugging Face's labels.
func (d *Dataset) AppendTokens(tokens, labels []int32, options RecordOptions) error {
	defer runtime.KeepAlive(d)
	if len(tokens) != len(labels) {
		return invalid("%d tokens, but %d labels", len(tokens), len(labels))
	}
	var t texts
	defer t.free()
	record := t.record(options)
	return t.call(func() C.ft_status {
		return C.ft_dataset_append_tokens(d.raw, (*C.int32_t)(first(tokens)), (*C.int32_t)(first(labels)),
			C.size_t(len(tokens)), record)
	})
}

// Info counts what it has.
func (d *Dataset) Info() (DatasetInfo, error) {
	defer runtime.KeepAlive(d)
	var raw C.ft_dataset_info
	raw.struct_size = C.uint32_t(unsafe.Sizeof(raw))
	err := call(func() C.ft_status { return C.ft_dataset_get_info(d.raw, &raw) })
	return DatasetInfo{int64(raw.examples), int64(raw.records), int64(raw.left_out), int64(raw.truncated), int64(raw.tokens),
		int64(raw.supervised_tokens)}, err
}

// Example gives one, from 0.
func (d *Dataset) Example(index int64) (Example, error) {
	defer runtime.KeepAlive(d)
	var labels []int32
	tokens, err := twice(call, func(to *int32, room C.size_t, count *C.size_t) C.ft_status {
		labels = make([]int32, int(room))
		return C.ft_dataset_example(d.raw, C.int64_t(index), (*C.int32_t)(to), (*C.int32_t)(first(labels)), room, count)
	})
	return Example{tokens, labels}, err
}

// Order is that of the records.
type Order int

// The orders.
const (
	Shuffle Order = C.FT_ORDER_SHUFFLE
	Given   Order = C.FT_ORDER_GIVEN
)

// BatchOptions say how records make batches.
type BatchOptions struct {
	Order         Order
	BatchTokens   int64 // packed tokens of a micro-batch at most; 0: 2048
	BatchExamples int64 // so many examples a micro-batch instead; 0: by tokens
	Accumulate    int64 // micro-batches of a step; 0: 1
	Seed          uint64
	Epochs        int64 // 0: 1
}

// Position is where a walk is.
type Position struct{ Epoch, Step, MicroStep int64 }

// Batch is a micro-batch: packed segments without padding. Labels are already shifted: the token that each row has to
// predict, or -100.
type Batch struct {
	Position                  Position
	SupervisedTokens          int64
	Tokens, Labels, Positions []int32
	Weights                   []float32
	SegmentOffsets            []int32
}

// Batches walks a dataset's micro-batches in the order of a trainer with the same options. One goroutine at a time;
// another one waits.
type Batches struct {
	raw  *C.ft_batches
	lent sync.Mutex // a batch is lent until the next call
}

// Batches begins to walk.
func (d *Dataset) Batches(options BatchOptions) (*Batches, error) {
	defer runtime.KeepAlive(d)
	var raw C.ft_batch_options
	if err := call(func() C.ft_status { return C.ft_batch_options_init(&raw, C.size_t(unsafe.Sizeof(raw))) }); err != nil {
		return nil, err
	}
	raw.order, raw.seed, raw.batch_examples = C.ft_order(options.Order), C.uint64_t(options.Seed), C.int64_t(options.BatchExamples)
	set(&raw.batch_tokens, options.BatchTokens)
	set(&raw.accumulate, options.Accumulate)
	set(&raw.epochs, options.Epochs)
	var out *C.ft_batches
	if err := call(func() C.ft_status { return C.ft_batches_create(d.raw, &raw, &out) }); err != nil {
		return nil, err
	}
	made := &Batches{raw: out}
	runtime.SetFinalizer(made, (*Batches).Close)
	return made, nil
}

// set leaves the library's default where a field is zero.
func set(field *C.int64_t, value int64) {
	if value != 0 {
		*field = C.int64_t(value)
	}
}

func setNumber(field *C.double, value float64) {
	if value != 0 {
		*field = C.double(value)
	}
}

// Close frees it.
func (b *Batches) Close() error {
	return release(b, func() C.ft_status {
		b.lent.Lock()
		defer b.lent.Unlock()
		return C.ft_batches_free(b.raw)
	})
}

// copied takes memory of the library's, which the next call may change.
func copied[From, To any](from *From, count int64) []To {
	if count <= 0 {
		return nil
	}
	return append([]To(nil), unsafe.Slice((*To)(unsafe.Pointer(from)), int(count))...)
}

// Next gives the next one; nil at the end.
func (b *Batches) Next() (*Batch, error) {
	defer runtime.KeepAlive(b)
	b.lent.Lock()
	defer b.lent.Unlock()
	var raw C.ft_batch
	raw.struct_size = C.uint32_t(unsafe.Sizeof(raw))
	if err := call(func() C.ft_status { return C.ft_batches_next(b.raw, &raw) }); err != nil || raw.token_count == 0 {
		return nil, err
	}
	n := int64(raw.token_count)
	return &Batch{Position{int64(raw.epoch), int64(raw.step), int64(raw.micro_step)}, int64(raw.supervised_tokens),
		copied[C.int32_t, int32](raw.tokens, n), copied[C.int32_t, int32](raw.labels, n),
		copied[C.int32_t, int32](raw.positions, n), copied[C.float, float32](raw.weights, n),
		copied[C.int32_t, int32](raw.segment_offsets, int64(raw.segment_count)+1)}, nil
}

// Position is what the next call of Next gives: three numbers to keep beside your own checkpoint.
func (b *Batches) Position() (Position, error) {
	defer runtime.KeepAlive(b)
	b.lent.Lock()
	defer b.lent.Unlock()
	var raw C.ft_batch_position
	raw.struct_size = C.uint32_t(unsafe.Sizeof(raw))
	err := call(func() C.ft_status { return C.ft_batches_get_position(b.raw, &raw) })
	return Position{int64(raw.epoch), int64(raw.step), int64(raw.micro_step)}, err
}

// SetPosition goes on from there.
func (b *Batches) SetPosition(position Position) error {
	defer runtime.KeepAlive(b)
	b.lent.Lock()
	defer b.lent.Unlock()
	raw := C.ft_batch_position{epoch: C.int64_t(position.Epoch), step: C.int64_t(position.Step),
		micro_step: C.int64_t(position.MicroStep)}
	raw.struct_size = C.uint32_t(unsafe.Sizeof(raw))
	return call(func() C.ft_status { return C.ft_batches_set_position(b.raw, &raw) })
}
