// SPDX-License-Identifier: Apache-2.0

package ftlib

// #include <ftlib_c.h>
import "C"

import (
	"runtime"
	"sync"
	"unsafe"
)

// Message is one turn of a conversation.
type Message struct{ Role, Content string }

func (t *texts) messages(list []Message) (roles, contents **C.char, count C.size_t) {
	var r, c []string
	for _, message := range list {
		r, c = append(r, message.Role), append(c, message.Content)
	}
	return t.many("messages[%d].Role", r), t.many("messages[%d].Content", c), C.size_t(len(list))
}

// TokenizerOptions say how a tokenizer is opened.
type TokenizerOptions struct {
	ChatTemplate string // Jinja text in place of the model's own template
	Date         string // what the template's strftime_now sees, YYYY-MM-DD
}

// TokenizerInfo has facts of a tokenizer; ids that there are not are -1.
type TokenizerInfo struct {
	VocabSize, BosID, EosID, PadID int32
	AddsBos                        bool
	ChatTemplate, Digest           string
}

// Tokenizer is a vocabulary with its chat template. Immutable: any number of goroutines.
type Tokenizer struct {
	raw  *C.ft_tokenizer
	lent sync.RWMutex // read while what the library lent is copied, written to free it
}

func (t *Tokenizer) orNil() *C.ft_tokenizer {
	if t == nil {
		return nil
	}
	return t.raw
}

// OpenTokenizer reads that of a .gguf file or a Hugging Face folder, without its weights.
func OpenTokenizer(model string, options TokenizerOptions) (*Tokenizer, error) {
	var t texts
	defer t.free()
	raw := (*C.ft_tokenizer_options)(t.memory(unsafe.Sizeof(C.ft_tokenizer_options{})))
	size := C.size_t(unsafe.Sizeof(*raw))
	if err := call(func() C.ft_status { return C.ft_tokenizer_options_init(raw, size) }); err != nil {
		return nil, err
	}
	raw.chat_template, raw.date = t.optional("ChatTemplate", options.ChatTemplate), t.optional("Date", options.Date)
	path := t.one("model", model)
	var out *C.ft_tokenizer
	if err := t.call(func() C.ft_status { return C.ft_tokenizer_open(path, raw, &out) }); err != nil {
		return nil, err
	}
	return newTokenizer(out), nil
}

func newTokenizer(raw *C.ft_tokenizer) *Tokenizer {
	made := &Tokenizer{raw: raw}
	runtime.SetFinalizer(made, (*Tokenizer).Close)
	return made
}

// Close frees it. Closing twice is an error value, here and everywhere.
func (t *Tokenizer) Close() error {
	return release(t, func() C.ft_status {
		t.lent.Lock()
		defer t.lent.Unlock()
		return C.ft_tokenizer_free(t.raw)
	})
}

// Info has its facts.
func (t *Tokenizer) Info() (TokenizerInfo, error) {
	defer runtime.KeepAlive(t)
	t.lent.RLock()
	defer t.lent.RUnlock()
	var raw C.ft_tokenizer_info
	raw.struct_size = C.uint32_t(unsafe.Sizeof(raw))
	err := call(func() C.ft_status { return C.ft_tokenizer_get_info(t.raw, &raw) })
	return TokenizerInfo{int32(raw.vocab_size), int32(raw.bos_id), int32(raw.eos_id), int32(raw.pad_id), raw.adds_bos == 1,
		C.GoString(raw.chat_template), C.GoString(raw.digest)}, err
}

// twice calls for the count, then for the elements.
func twice[T any](call caller, function func(to *T, room C.size_t, count *C.size_t) C.ft_status) ([]T, error) {
	var count C.size_t
	if err := call(func() C.ft_status { return function(nil, 0, &count) }); err != nil {
		return nil, err
	}
	elements := make([]T, int(count))
	err := call(func() C.ft_status { return function(first(elements), count, &count) })
	return elements, err
}

// Encode gives the ids of a text, without begin and end token. special: control tokens in the text become themselves.
func (t *Tokenizer) Encode(text string, special bool) ([]int32, error) {
	defer runtime.KeepAlive(t)
	from, bytes, flags := (*C.char)(unsafe.Pointer(first([]byte(text)))), C.size_t(len(text)), C.uint32_t(0)
	if special {
		flags = C.FT_ENCODE_SPECIAL
	}
	return twice(call, func(to *int32, room C.size_t, count *C.size_t) C.ft_status {
		return C.ft_tokenizer_encode(t.raw, from, bytes, flags, (*C.int32_t)(to), room, count)
	})
}

// Decode gives the bytes of tokens, which may end inside a character. skipSpecial: control tokens give nothing.
func (t *Tokenizer) Decode(tokens []int32, skipSpecial bool) ([]byte, error) {
	defer runtime.KeepAlive(t)
	flags := C.uint32_t(0)
	if skipSpecial {
		flags = C.FT_DECODE_SKIP_SPECIAL
	}
	return twice(call, func(to *byte, room C.size_t, count *C.size_t) C.ft_status {
		return C.ft_tokenizer_decode(t.raw, (*C.int32_t)(first(tokens)), C.size_t(len(tokens)), flags,
			(*C.char)(unsafe.Pointer(to)), room, count)
	})
}

func generationPrompt(add bool) C.uint32_t {
	if add {
		return C.FT_CHAT_GENERATION_PROMPT
	}
	return 0
}

// Render gives the conversation as the text that the model was trained to read.
func (t *Tokenizer) Render(messages []Message, addGenerationPrompt bool) (string, error) {
	defer runtime.KeepAlive(t)
	var memory texts
	defer memory.free()
	roles, contents, n := memory.messages(messages)
	text, err := twice(memory.call, func(to *byte, room C.size_t, count *C.size_t) C.ft_status {
		return C.ft_tokenizer_render(t.raw, roles, contents, n, generationPrompt(addGenerationPrompt),
			(*C.char)(unsafe.Pointer(to)), room, count)
	})
	return string(text), err
}

// EncodeMessages gives the conversation as tokens.
func (t *Tokenizer) EncodeMessages(messages []Message, addGenerationPrompt bool) ([]int32, error) {
	defer runtime.KeepAlive(t)
	var memory texts
	defer memory.free()
	roles, contents, n := memory.messages(messages)
	return twice(memory.call, func(to *int32, room C.size_t, count *C.size_t) C.ft_status {
		return C.ft_tokenizer_encode_messages(t.raw, roles, contents, n, generationPrompt(addGenerationPrompt),
			(*C.int32_t)(to), nil, room, count)
	})
}

// Supervision gives the conversation as tokens, and which of them training teaches. lastOnly: of the last assistant turn.
func (t *Tokenizer) Supervision(messages []Message, lastOnly bool) (tokens []int32, taught []bool, err error) {
	defer runtime.KeepAlive(t)
	var memory texts
	defer memory.free()
	roles, contents, n := memory.messages(messages)
	flags := C.uint32_t(0)
	if lastOnly {
		flags = C.FT_CHAT_SUPERVISE_LAST
	}
	var marks []byte
	tokens, err = twice(memory.call, func(to *int32, room C.size_t, count *C.size_t) C.ft_status {
		marks = make([]byte, int(room))
		return C.ft_tokenizer_encode_messages(t.raw, roles, contents, n, flags, (*C.int32_t)(to),
			(*C.uint8_t)(first(marks)), room, count)
	})
	for _, mark := range marks {
		taught = append(taught, mark == 1)
	}
	return tokens, taught, err
}
