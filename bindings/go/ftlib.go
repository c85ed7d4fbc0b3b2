// SPDX-License-Identifier: Apache-2.0

// Package ftlib fine-tunes language models inside your own program: LoRA and QLoRA on the CPU, on the very weights that you
// deploy.
//
//	model, err := ftlib.OpenModel("model.gguf", ftlib.ModelOptions{})
//	tokenizer, err := model.Tokenizer()
//	data, err := ftlib.OpenDataset(tokenizer, "train.jsonl", ftlib.DatasetOptions{})
//	trainer, err := ftlib.NewTrainer(model, data, nil, ftlib.LoraOptions{}, ftlib.TrainOptions{})
//	err = trainer.Run(ctx, func(now ftlib.Progress) error { fmt.Println(now.Loss); return nil })
//	adapter, err := trainer.Adapter()
//	err = adapter.SavePEFT("adapter")
//
// Fields of options that are zero have the library's defaults. Close what you open; finalizers are only a net. What may
// be used from several goroutines at once stands with each type, and Close may always come from another one: a call that
// finds it closed gets an error. errors.Is(err, ftlib.NotFound) asks for a status.
//
// A callback of yours may return an error or panic: the call ends, and both go on from there. It must not end its
// goroutine (runtime.Goexit, and with it FailNow and Fatal of testing), which would leave the library in the middle of
// its call.
//
// The package is linked to libftlib_c: CGO_CFLAGS and CGO_LDFLAGS name its folders where it is not installed in the
// system's (pkg-config ftlib-c prints them).
package ftlib

// #cgo LDFLAGS: -lftlib_c -lm
// #include <stdlib.h>
// #include <ftlib_c.h>
import "C"

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"unsafe"
)

// Status says what became of a call.
type Status int

// The statuses of an Error.
const (
	InvalidArgument Status = C.FT_ERROR_INVALID_ARGUMENT
	Unsupported     Status = C.FT_ERROR_UNSUPPORTED
	OutOfMemory     Status = C.FT_ERROR_OUT_OF_MEMORY
	InvalidFile     Status = C.FT_ERROR_INVALID_FILE
	IO              Status = C.FT_ERROR_IO
	NotFound        Status = C.FT_ERROR_NOT_FOUND
	Busy            Status = C.FT_ERROR_BUSY
	Mismatch        Status = C.FT_ERROR_MISMATCH
	NonFinite       Status = C.FT_ERROR_NON_FINITE
	Cancelled       Status = C.FT_ERROR_CANCELLED
	Internal        Status = C.FT_ERROR_INTERNAL
	BufferTooSmall  Status = C.FT_ERROR_BUFFER_TOO_SMALL
)

// Error is the status's name in C.
func (s Status) Error() string { return C.GoString(C.ft_status_name(C.ft_status(s))) }

// Error is an error of the library: its status, what is wrong with a file ("NONE" otherwise), and the sentence for a person.
type Error struct {
	Status  Status
	Reason  string
	Message string
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the status, for errors.Is.
func (e *Error) Unwrap() error { return e.Status }

func invalid(format string, values ...any) error {
	return &Error{InvalidArgument, "NONE", fmt.Sprintf(format, values...)}
}

// call runs one function of C. The last error belongs to the OS thread, which a goroutine may leave in between.
func call(function func() C.ft_status) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	status := function()
	if status == C.FT_OK {
		return nil
	}
	reason := C.GoString(C.ft_reason_name(C.ft_last_error_reason()))
	return &Error{Status(status), reason, C.GoString(C.ft_last_error())}
}

// caller is call, or that of texts.
type caller func(function func() C.ft_status) error

// texts owns C strings for the length of a call. C reads a text up to a NUL, so one with a NUL inside fails the call.
type texts struct {
	owned []unsafe.Pointer
	err   error
}

// call runs one function of C, unless a text of its was refused.
func (t *texts) call(function func() C.ft_status) error {
	if t.err != nil {
		return t.err
	}
	return call(function)
}

func (t *texts) one(name, text string) *C.char {
	if t.err == nil && strings.IndexByte(text, 0) >= 0 {
		t.err = invalid("%s holds a NUL", name)
	}
	copied := C.CString(text)
	t.owned = append(t.owned, unsafe.Pointer(copied))
	return copied
}

// optional is nil for "".
func (t *texts) optional(name, text string) *C.char {
	if text == "" {
		return nil
	}
	return t.one(name, text)
}

// many is an array of C, since C may not get Go memory that holds pointers. The name has a place for the index.
func (t *texts) many(name string, list []string) **C.char {
	if len(list) == 0 {
		return nil
	}
	array := (**C.char)(t.memory(uintptr(len(list)) * unsafe.Sizeof((*C.char)(nil))))
	for i, text := range list {
		unsafe.Slice(array, len(list))[i] = t.one(fmt.Sprintf(name, i), text)
	}
	return array
}

func (t *texts) memory(bytes uintptr) unsafe.Pointer {
	memory := C.calloc(1, C.size_t(bytes))
	t.owned = append(t.owned, memory)
	return memory
}

func (t *texts) free() {
	for _, memory := range t.owned {
		C.free(memory)
	}
}

func flag(value bool) C.int32_t {
	if value {
		return 1
	}
	return 0
}

// first is the address of a slice's memory; nil of an empty one.
func first[T any](slice []T) *T {
	if len(slice) == 0 {
		return nil
	}
	return &slice[0]
}

// bytes is the same for arguments that are void* in C: cgo would look for pointers in what is around such a slice.
func bytes[T any](slice []T) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(first(slice))) }

// narrow is the nearest number that C's int32_t has: what is too large must stay so.
func narrow(number int) C.int32_t {
	return C.int32_t(math.Max(math.MinInt32, math.Min(math.MaxInt32, float64(number))))
}

// release is what every Close does.
func release[T any](made *T, free func() C.ft_status) error {
	if made == nil {
		return invalid("Close: the %T is nil", made)
	}
	runtime.SetFinalizer(made, nil)
	return call(free)
}

// Version is that of the library that runs.
func Version() string { return C.GoString(C.ft_version()) }

// ABIVersion is that of its C interface: the N of libftlib_c.so.N.
func ABIVersion() int { return int(C.ft_abi_version()) }

// Backend is one of this build.
type Backend struct {
	Name      string // "onednn", "avx512bf16", "avx2", "portable" or "ref"
	Available bool   // on this processor
}

// Backends lists those of this build, best first.
func Backends() ([]Backend, error) {
	var count C.size_t
	if err := call(func() C.ft_status { return C.ft_backend_count(&count) }); err != nil {
		return nil, err
	}
	var found []Backend
	for i := C.size_t(0); i < count; i++ {
		var name *C.char
		var available C.int32_t
		if err := call(func() C.ft_status { return C.ft_backend_name(i, &name, &available) }); err != nil {
			return nil, err
		}
		found = append(found, Backend{C.GoString(name), available == 1})
	}
	return found, nil
}

// ForceBackend takes one for the whole process; "": the best for each op. Not while another goroutine computes.
func ForceBackend(name string) error {
	var t texts
	defer t.free()
	forced := t.optional("name", name)
	return t.call(func() C.ft_status { return C.ft_backend_force(forced) })
}

// BackendUsed is that of the last op of this name on the caller's OS thread (runtime.LockOSThread); "" before any.
func BackendUsed(op string) (string, error) {
	var t texts
	defer t.free()
	var name *C.char
	asked := t.one("op", op)
	err := t.call(func() C.ft_status { return C.ft_backend_used(asked, &name) })
	return C.GoString(name), err
}

// Threads is how many a call may use.
func Threads() (int, error) {
	var count C.int32_t
	err := call(func() C.ft_status { return C.ft_get_threads(&count) })
	return int(count), err
}

// SetThreads sets it, 1 to 1024. Results do not depend on it.
func SetThreads(count int) error {
	return call(func() C.ft_status { return C.ft_set_threads(narrow(count)) })
}

// Shutdown joins the library's threads; the next call that needs them starts them again. Only while no other call computes.
func Shutdown() error { return call(func() C.ft_status { return C.ft_shutdown() }) }
