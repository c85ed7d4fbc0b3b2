// SPDX-License-Identifier: Apache-2.0

package ftlib

// #include <ftlib_c.h>
// extern int32_t ftlibOnWork(int64_t done, int64_t total, void* user);
// extern int32_t ftlibOnStep(ft_progress* progress, void* user);
// extern int32_t ftlibOnToken(size_t prompt, int32_t token, char* text, size_t text_bytes, void* user);
// extern void ftlibOnLog(char* message, void* user);
// static ft_status set_log(int on) { return ft_set_log(on ? (ft_log_callback)ftlibOnLog : NULL, NULL); }
import "C"

import (
	"runtime/cgo"
	"sync"
	"sync/atomic"
	"unsafe"
)

// callback is what `user` stands for during a call: an error or a panic ends the call, and comes out after it.
type callback struct {
	work  func(done, total int64) error
	step  func(Progress) error
	token func(prompt int, token int32, text []byte) error
	err   error
	// What panic holds may be nil: of panic(nil).
	panicked bool
	panic    any
}

// with runs a call that calls back; an error of the callback's is the call's.
func (c *callback) with(call caller, function func(user unsafe.Pointer) C.ft_status) error {
	handle := cgo.NewHandle(c)
	defer handle.Delete()
	err := call(func() C.ft_status { return function(unsafe.Pointer(&handle)) })
	if c.panicked {
		panic(c.panic)
	}
	if c.err != nil {
		return c.err
	}
	return err
}

func of(user unsafe.Pointer) *callback { return (*(*cgo.Handle)(user)).Value().(*callback) }

// answer turns what a callback said into C's number.
func (c *callback) answer(body func() error) (number C.int32_t) {
	number, c.panicked = 1, true
	defer func() {
		if c.panicked {
			c.panic = recover()
		}
	}()
	c.err = body()
	c.panicked = false
	if c.err == nil {
		number = 0
	}
	return number
}

//export ftlibOnWork
func ftlibOnWork(done, total C.int64_t, user unsafe.Pointer) C.int32_t {
	c := of(user)
	return c.answer(func() error {
		if c.work == nil {
			return nil
		}
		return c.work(int64(done), int64(total))
	})
}

//export ftlibOnStep
func ftlibOnStep(progress *C.ft_progress, user unsafe.Pointer) C.int32_t {
	c := of(user)
	return c.answer(func() error {
		if c.step == nil {
			return nil
		}
		return c.step(progressOf(progress))
	})
}

//export ftlibOnToken
func ftlibOnToken(prompt C.size_t, token C.int32_t, text *C.char, bytes C.size_t, user unsafe.Pointer) C.int32_t {
	c := of(user)
	return c.answer(func() error {
		if c.token == nil {
			return nil
		}
		return c.token(int(prompt), int32(token), C.GoBytes(unsafe.Pointer(text), C.int(bytes)))
	})
}

var (
	logMutex sync.Mutex // one SetLog at a time
	logTo    atomic.Pointer[func(string)]
)

//export ftlibOnLog
func ftlibOnLog(message *C.char, _ unsafe.Pointer) {
	defer func() { _ = recover() }() // a warning changes nothing
	if to := *logTo.Load(); to != nil {
		to(C.GoString(message))
	}
}

// SetLog says where warnings of the library go; nil, the default: nowhere. When it returns, the function before is not
// running any more. A function that is told a warning must not call it.
func SetLog(to func(message string)) error {
	logMutex.Lock()
	defer logMutex.Unlock()
	before := logTo.Swap(&to)
	on := C.int(0)
	if to != nil {
		on = 1
	}
	err := call(func() C.ft_status { return C.set_log(on) })
	if err != nil {
		logTo.Store(before)
	}
	return err
}
