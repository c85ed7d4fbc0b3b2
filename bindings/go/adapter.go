// SPDX-License-Identifier: Apache-2.0

package ftlib

// #include <ftlib_c.h>
import "C"

import (
	"runtime"
	"sync"
	"unsafe"
)

// AdapterInfo has facts of an adapter, with the names of PEFT's LoraConfig.
type AdapterInfo struct {
	R                      int64
	LoraAlpha, LoraDropout float64
	UseRslora              bool
	ParameterCount         int64
	Digest, BaseDigest     string // SHA-256 of its numbers, and of the base that it was trained on ("": it does not say)
}

// Tensor is one matrix of an adapter, row-major; Values is a copy.
type Tensor struct {
	Name          string // "model.layers.0.self_attn.q_proj.lora_A"
	Scale         float32
	Rows, Columns int
	Values        []float32
}

// Adapter is a LoRA adapter. Immutable: any number of goroutines.
type Adapter struct {
	raw  *C.ft_adapter
	lent sync.RWMutex // read while what the library lent is copied, written to free it
}

func newAdapter(raw *C.ft_adapter) *Adapter {
	made := &Adapter{raw: raw}
	runtime.SetFinalizer(made, (*Adapter).Close)
	return made
}

func (a *Adapter) orNil() *C.ft_adapter {
	if a == nil {
		return nil
	}
	return a.raw
}

// Close frees it.
func (a *Adapter) Close() error {
	return release(a, func() C.ft_status {
		a.lent.Lock()
		defer a.lent.Unlock()
		return C.ft_adapter_free(a.raw)
	})
}

func (a *Adapter) info() (C.ft_adapter_info, error) {
	var raw C.ft_adapter_info
	raw.struct_size = C.uint32_t(unsafe.Sizeof(raw))
	err := call(func() C.ft_status { return C.ft_adapter_get_info(a.raw, &raw) })
	return raw, err
}

// Info has its facts.
func (a *Adapter) Info() (AdapterInfo, error) {
	defer runtime.KeepAlive(a)
	a.lent.RLock()
	defer a.lent.RUnlock()
	raw, err := a.info()
	return AdapterInfo{int64(raw.r), float64(raw.lora_alpha), float64(raw.lora_dropout), raw.use_rslora == 1,
		int64(raw.parameter_count), C.GoString(raw.digest), C.GoString(raw.base_digest)}, err
}

// Tensors gives its matrices in the order of the computation: A, then B of each module.
func (a *Adapter) Tensors() ([]Tensor, error) {
	defer runtime.KeepAlive(a)
	a.lent.RLock()
	defer a.lent.RUnlock()
	info, err := a.info()
	if err != nil {
		return nil, err
	}
	var all []Tensor
	for i := C.size_t(0); i < info.tensor_count; i++ {
		var name *C.char
		var scale C.float
		var raw C.ft_tensor
		raw.struct_size = C.uint32_t(unsafe.Sizeof(raw))
		if err := call(func() C.ft_status { return C.ft_adapter_tensor(a.raw, i, &name, &scale, &raw) }); err != nil {
			return nil, err
		}
		rows, columns := int(raw.shape[0]), int(raw.shape[1])
		values := copied[C.float, float32]((*C.float)(raw.data), int64(rows*columns))
		all = append(all, Tensor{C.GoString(name), float32(scale), rows, columns, values})
	}
	return all, nil
}

// SavePEFT writes adapter_config.json and adapter_model.safetensors, as PEFT does.
func (a *Adapter) SavePEFT(folder string) error {
	defer runtime.KeepAlive(a)
	var t texts
	defer t.free()
	to := t.one("folder", folder)
	return t.call(func() C.ft_status { return C.ft_adapter_save_peft(a.raw, to) })
}

// SaveGGUF writes the file that llama.cpp reads.
func (a *Adapter) SaveGGUF(path string) error {
	defer runtime.KeepAlive(a)
	var t texts
	defer t.free()
	to := t.one("path", path)
	return t.call(func() C.ft_status { return C.ft_adapter_save_gguf(a.raw, to) })
}
