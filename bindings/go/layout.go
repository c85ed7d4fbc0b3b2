// SPDX-License-Identifier: Apache-2.0

// Written by tools/capi_bindings.py from capi/abi/ftlib_c-0.layout, for the tests: go test -tags ftlib_layout.

//go:build ftlib_layout

package ftlib

// #include <ftlib_c.h>
import "C"

import (
	"fmt"
	"unsafe"
)

// layout is what cgo makes of the header, in the lines of the golden file.
func layout() []string {
	var facts []string
	add := func(format string, values ...any) { facts = append(facts, fmt.Sprintf(format, values...)) }
	add("constant FT_ABI_VERSION %d", C.FT_ABI_VERSION)
	add("constant FT_ENCODE_SPECIAL %d", C.FT_ENCODE_SPECIAL)
	add("constant FT_DECODE_SKIP_SPECIAL %d", C.FT_DECODE_SKIP_SPECIAL)
	add("constant FT_CHAT_GENERATION_PROMPT %d", C.FT_CHAT_GENERATION_PROMPT)
	add("constant FT_CHAT_SUPERVISE_LAST %d", C.FT_CHAT_SUPERVISE_LAST)
	add("enum ft_status FT_OK %d", C.FT_OK)
	add("enum ft_status FT_ERROR_INVALID_ARGUMENT %d", C.FT_ERROR_INVALID_ARGUMENT)
	add("enum ft_status FT_ERROR_UNSUPPORTED %d", C.FT_ERROR_UNSUPPORTED)
	add("enum ft_status FT_ERROR_OUT_OF_MEMORY %d", C.FT_ERROR_OUT_OF_MEMORY)
	add("enum ft_status FT_ERROR_INVALID_FILE %d", C.FT_ERROR_INVALID_FILE)
	add("enum ft_status FT_ERROR_IO %d", C.FT_ERROR_IO)
	add("enum ft_status FT_ERROR_NOT_FOUND %d", C.FT_ERROR_NOT_FOUND)
	add("enum ft_status FT_ERROR_BUSY %d", C.FT_ERROR_BUSY)
	add("enum ft_status FT_ERROR_MISMATCH %d", C.FT_ERROR_MISMATCH)
	add("enum ft_status FT_ERROR_NON_FINITE %d", C.FT_ERROR_NON_FINITE)
	add("enum ft_status FT_ERROR_CANCELLED %d", C.FT_ERROR_CANCELLED)
	add("enum ft_status FT_ERROR_INTERNAL %d", C.FT_ERROR_INTERNAL)
	add("enum ft_status FT_ERROR_BUFFER_TOO_SMALL %d", C.FT_ERROR_BUFFER_TOO_SMALL)
	add("enum ft_status FT_STATUS_FORCE32 %d", C.FT_STATUS_FORCE32)
	add("enum ft_reason FT_REASON_NONE %d", C.FT_REASON_NONE)
	add("enum ft_reason FT_REASON_TRUNC %d", C.FT_REASON_TRUNC)
	add("enum ft_reason FT_REASON_LIMIT %d", C.FT_REASON_LIMIT)
	add("enum ft_reason FT_REASON_OVERFLOW %d", C.FT_REASON_OVERFLOW)
	add("enum ft_reason FT_REASON_MAGIC %d", C.FT_REASON_MAGIC)
	add("enum ft_reason FT_REASON_VERSION %d", C.FT_REASON_VERSION)
	add("enum ft_reason FT_REASON_UTF8 %d", C.FT_REASON_UTF8)
	add("enum ft_reason FT_REASON_JSON %d", C.FT_REASON_JSON)
	add("enum ft_reason FT_REASON_DUP %d", C.FT_REASON_DUP)
	add("enum ft_reason FT_REASON_SCHEMA %d", C.FT_REASON_SCHEMA)
	add("enum ft_reason FT_REASON_DTYPE %d", C.FT_REASON_DTYPE)
	add("enum ft_reason FT_REASON_SHAPE %d", C.FT_REASON_SHAPE)
	add("enum ft_reason FT_REASON_RANGE %d", C.FT_REASON_RANGE)
	add("enum ft_reason FT_REASON_LAYOUT %d", C.FT_REASON_LAYOUT)
	add("enum ft_reason FT_REASON_MISMATCH %d", C.FT_REASON_MISMATCH)
	add("enum ft_reason FT_REASON_UNSUPPORTED %d", C.FT_REASON_UNSUPPORTED)
	add("enum ft_reason FT_REASON_CHANGED %d", C.FT_REASON_CHANGED)
	add("enum ft_reason FT_REASON_IO %d", C.FT_REASON_IO)
	add("enum ft_reason FT_REASON_FORCE32 %d", C.FT_REASON_FORCE32)
	add("enum ft_base_format FT_BASE_NATIVE %d", C.FT_BASE_NATIVE)
	add("enum ft_base_format FT_BASE_F32 %d", C.FT_BASE_F32)
	add("enum ft_base_format FT_BASE_BF16 %d", C.FT_BASE_BF16)
	add("enum ft_base_format FT_BASE_NF4 %d", C.FT_BASE_NF4)
	add("enum ft_base_format FT_BASE_FORMAT_FORCE32 %d", C.FT_BASE_FORMAT_FORCE32)
	add("enum ft_compute FT_COMPUTE_AUTO %d", C.FT_COMPUTE_AUTO)
	add("enum ft_compute FT_COMPUTE_F32 %d", C.FT_COMPUTE_F32)
	add("enum ft_compute FT_COMPUTE_BF16 %d", C.FT_COMPUTE_BF16)
	add("enum ft_compute FT_COMPUTE_FORCE32 %d", C.FT_COMPUTE_FORCE32)
	add("enum ft_order FT_ORDER_SHUFFLE %d", C.FT_ORDER_SHUFFLE)
	add("enum ft_order FT_ORDER_GIVEN %d", C.FT_ORDER_GIVEN)
	add("enum ft_order FT_ORDER_FORCE32 %d", C.FT_ORDER_FORCE32)
	add("enum ft_dtype FT_F32 %d", C.FT_F32)
	add("enum ft_dtype FT_BF16 %d", C.FT_BF16)
	add("enum ft_dtype FT_F16 %d", C.FT_F16)
	add("enum ft_dtype FT_DTYPE_FORCE32 %d", C.FT_DTYPE_FORCE32)
	add("enum ft_optimizer FT_ADAMW %d", C.FT_ADAMW)
	add("enum ft_optimizer FT_ADAMW_8BIT %d", C.FT_ADAMW_8BIT)
	add("enum ft_optimizer FT_OPTIMIZER_FORCE32 %d", C.FT_OPTIMIZER_FORCE32)
	add("enum ft_schedule FT_SCHEDULE_COSINE %d", C.FT_SCHEDULE_COSINE)
	add("enum ft_schedule FT_SCHEDULE_LINEAR %d", C.FT_SCHEDULE_LINEAR)
	add("enum ft_schedule FT_SCHEDULE_CONSTANT %d", C.FT_SCHEDULE_CONSTANT)
	add("enum ft_schedule FT_SCHEDULE_FORCE32 %d", C.FT_SCHEDULE_FORCE32)
	add("enum ft_on_nonfinite FT_NONFINITE_STOP %d", C.FT_NONFINITE_STOP)
	add("enum ft_on_nonfinite FT_NONFINITE_SKIP %d", C.FT_NONFINITE_SKIP)
	add("enum ft_on_nonfinite FT_ON_NONFINITE_FORCE32 %d", C.FT_ON_NONFINITE_FORCE32)
	add("enum ft_weight_format FT_WEIGHT_F32 %d", C.FT_WEIGHT_F32)
	add("enum ft_weight_format FT_WEIGHT_BF16 %d", C.FT_WEIGHT_BF16)
	add("enum ft_weight_format FT_WEIGHT_F16 %d", C.FT_WEIGHT_F16)
	add("enum ft_weight_format FT_WEIGHT_NF4 %d", C.FT_WEIGHT_NF4)
	add("enum ft_weight_format FT_WEIGHT_FORMAT_FORCE32 %d", C.FT_WEIGHT_FORMAT_FORCE32)
	{
		var s C.ft_tokenizer_options
		add("struct ft_tokenizer_options %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_tokenizer_options struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_tokenizer_options reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_tokenizer_options chat_template %d %d", unsafe.Offsetof(s.chat_template), unsafe.Sizeof(s.chat_template))
		add("field ft_tokenizer_options date %d %d", unsafe.Offsetof(s.date), unsafe.Sizeof(s.date))
	}
	{
		var s C.ft_tokenizer_info
		add("struct ft_tokenizer_info %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_tokenizer_info struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_tokenizer_info vocab_size %d %d", unsafe.Offsetof(s.vocab_size), unsafe.Sizeof(s.vocab_size))
		add("field ft_tokenizer_info bos_id %d %d", unsafe.Offsetof(s.bos_id), unsafe.Sizeof(s.bos_id))
		add("field ft_tokenizer_info eos_id %d %d", unsafe.Offsetof(s.eos_id), unsafe.Sizeof(s.eos_id))
		add("field ft_tokenizer_info pad_id %d %d", unsafe.Offsetof(s.pad_id), unsafe.Sizeof(s.pad_id))
		add("field ft_tokenizer_info adds_bos %d %d", unsafe.Offsetof(s.adds_bos), unsafe.Sizeof(s.adds_bos))
		add("field ft_tokenizer_info chat_template %d %d", unsafe.Offsetof(s.chat_template), unsafe.Sizeof(s.chat_template))
		add("field ft_tokenizer_info digest %d %d", unsafe.Offsetof(s.digest), unsafe.Sizeof(s.digest))
	}
	{
		var s C.ft_model_options
		add("struct ft_model_options %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_model_options struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_model_options base %d %d", unsafe.Offsetof(s.base), unsafe.Sizeof(s.base))
		add("field ft_model_options compute %d %d", unsafe.Offsetof(s.compute), unsafe.Sizeof(s.compute))
		add("field ft_model_options block_size %d %d", unsafe.Offsetof(s.block_size), unsafe.Sizeof(s.block_size))
		add("field ft_model_options double_quant %d %d", unsafe.Offsetof(s.double_quant), unsafe.Sizeof(s.double_quant))
		add("field ft_model_options reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_model_options chat_template %d %d", unsafe.Offsetof(s.chat_template), unsafe.Sizeof(s.chat_template))
		add("field ft_model_options date %d %d", unsafe.Offsetof(s.date), unsafe.Sizeof(s.date))
	}
	{
		var s C.ft_model_info
		add("struct ft_model_info %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_model_info struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_model_info compute %d %d", unsafe.Offsetof(s.compute), unsafe.Sizeof(s.compute))
		add("field ft_model_info base %d %d", unsafe.Offsetof(s.base), unsafe.Sizeof(s.base))
		add("field ft_model_info tie_word_embeddings %d %d", unsafe.Offsetof(s.tie_word_embeddings), unsafe.Sizeof(s.tie_word_embeddings))
		add("field ft_model_info model_type %d %d", unsafe.Offsetof(s.model_type), unsafe.Sizeof(s.model_type))
		add("field ft_model_info digest %d %d", unsafe.Offsetof(s.digest), unsafe.Sizeof(s.digest))
		add("field ft_model_info vocab_size %d %d", unsafe.Offsetof(s.vocab_size), unsafe.Sizeof(s.vocab_size))
		add("field ft_model_info hidden_size %d %d", unsafe.Offsetof(s.hidden_size), unsafe.Sizeof(s.hidden_size))
		add("field ft_model_info intermediate_size %d %d", unsafe.Offsetof(s.intermediate_size), unsafe.Sizeof(s.intermediate_size))
		add("field ft_model_info num_hidden_layers %d %d", unsafe.Offsetof(s.num_hidden_layers), unsafe.Sizeof(s.num_hidden_layers))
		add("field ft_model_info num_attention_heads %d %d", unsafe.Offsetof(s.num_attention_heads), unsafe.Sizeof(s.num_attention_heads))
		add("field ft_model_info num_key_value_heads %d %d", unsafe.Offsetof(s.num_key_value_heads), unsafe.Sizeof(s.num_key_value_heads))
		add("field ft_model_info head_dim %d %d", unsafe.Offsetof(s.head_dim), unsafe.Sizeof(s.head_dim))
		add("field ft_model_info max_position_embeddings %d %d", unsafe.Offsetof(s.max_position_embeddings), unsafe.Sizeof(s.max_position_embeddings))
		add("field ft_model_info weight_bytes %d %d", unsafe.Offsetof(s.weight_bytes), unsafe.Sizeof(s.weight_bytes))
	}
	{
		var s C.ft_dataset_options
		add("struct ft_dataset_options %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_dataset_options struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_dataset_options supervise_last %d %d", unsafe.Offsetof(s.supervise_last), unsafe.Sizeof(s.supervise_last))
		add("field ft_dataset_options max_length %d %d", unsafe.Offsetof(s.max_length), unsafe.Sizeof(s.max_length))
		add("field ft_dataset_options truncate %d %d", unsafe.Offsetof(s.truncate), unsafe.Sizeof(s.truncate))
		add("field ft_dataset_options reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_dataset_options limit %d %d", unsafe.Offsetof(s.limit), unsafe.Sizeof(s.limit))
	}
	{
		var s C.ft_record_options
		add("struct ft_record_options %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_record_options struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_record_options prompt_messages %d %d", unsafe.Offsetof(s.prompt_messages), unsafe.Sizeof(s.prompt_messages))
		add("field ft_record_options id %d %d", unsafe.Offsetof(s.id), unsafe.Sizeof(s.id))
		add("field ft_record_options group %d %d", unsafe.Offsetof(s.group), unsafe.Sizeof(s.group))
		add("field ft_record_options weight %d %d", unsafe.Offsetof(s.weight), unsafe.Sizeof(s.weight))
	}
	{
		var s C.ft_dataset_info
		add("struct ft_dataset_info %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_dataset_info struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_dataset_info reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_dataset_info examples %d %d", unsafe.Offsetof(s.examples), unsafe.Sizeof(s.examples))
		add("field ft_dataset_info records %d %d", unsafe.Offsetof(s.records), unsafe.Sizeof(s.records))
		add("field ft_dataset_info left_out %d %d", unsafe.Offsetof(s.left_out), unsafe.Sizeof(s.left_out))
		add("field ft_dataset_info truncated %d %d", unsafe.Offsetof(s.truncated), unsafe.Sizeof(s.truncated))
		add("field ft_dataset_info tokens %d %d", unsafe.Offsetof(s.tokens), unsafe.Sizeof(s.tokens))
		add("field ft_dataset_info supervised_tokens %d %d", unsafe.Offsetof(s.supervised_tokens), unsafe.Sizeof(s.supervised_tokens))
	}
	{
		var s C.ft_batch_options
		add("struct ft_batch_options %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_batch_options struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_batch_options order %d %d", unsafe.Offsetof(s.order), unsafe.Sizeof(s.order))
		add("field ft_batch_options batch_tokens %d %d", unsafe.Offsetof(s.batch_tokens), unsafe.Sizeof(s.batch_tokens))
		add("field ft_batch_options batch_examples %d %d", unsafe.Offsetof(s.batch_examples), unsafe.Sizeof(s.batch_examples))
		add("field ft_batch_options accumulate %d %d", unsafe.Offsetof(s.accumulate), unsafe.Sizeof(s.accumulate))
		add("field ft_batch_options seed %d %d", unsafe.Offsetof(s.seed), unsafe.Sizeof(s.seed))
		add("field ft_batch_options epochs %d %d", unsafe.Offsetof(s.epochs), unsafe.Sizeof(s.epochs))
	}
	{
		var s C.ft_batch
		add("struct ft_batch %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_batch struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_batch reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_batch epoch %d %d", unsafe.Offsetof(s.epoch), unsafe.Sizeof(s.epoch))
		add("field ft_batch step %d %d", unsafe.Offsetof(s.step), unsafe.Sizeof(s.step))
		add("field ft_batch micro_step %d %d", unsafe.Offsetof(s.micro_step), unsafe.Sizeof(s.micro_step))
		add("field ft_batch token_count %d %d", unsafe.Offsetof(s.token_count), unsafe.Sizeof(s.token_count))
		add("field ft_batch segment_count %d %d", unsafe.Offsetof(s.segment_count), unsafe.Sizeof(s.segment_count))
		add("field ft_batch supervised_tokens %d %d", unsafe.Offsetof(s.supervised_tokens), unsafe.Sizeof(s.supervised_tokens))
		add("field ft_batch tokens %d %d", unsafe.Offsetof(s.tokens), unsafe.Sizeof(s.tokens))
		add("field ft_batch labels %d %d", unsafe.Offsetof(s.labels), unsafe.Sizeof(s.labels))
		add("field ft_batch weights %d %d", unsafe.Offsetof(s.weights), unsafe.Sizeof(s.weights))
		add("field ft_batch positions %d %d", unsafe.Offsetof(s.positions), unsafe.Sizeof(s.positions))
		add("field ft_batch segment_offsets %d %d", unsafe.Offsetof(s.segment_offsets), unsafe.Sizeof(s.segment_offsets))
	}
	{
		var s C.ft_batch_position
		add("struct ft_batch_position %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_batch_position struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_batch_position reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_batch_position epoch %d %d", unsafe.Offsetof(s.epoch), unsafe.Sizeof(s.epoch))
		add("field ft_batch_position step %d %d", unsafe.Offsetof(s.step), unsafe.Sizeof(s.step))
		add("field ft_batch_position micro_step %d %d", unsafe.Offsetof(s.micro_step), unsafe.Sizeof(s.micro_step))
	}
	{
		var s C.ft_tensor
		add("struct ft_tensor %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_tensor struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_tensor dtype %d %d", unsafe.Offsetof(s.dtype), unsafe.Sizeof(s.dtype))
		add("field ft_tensor data %d %d", unsafe.Offsetof(s.data), unsafe.Sizeof(s.data))
		add("field ft_tensor rank %d %d", unsafe.Offsetof(s.rank), unsafe.Sizeof(s.rank))
		add("field ft_tensor reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_tensor shape %d %d", unsafe.Offsetof(s.shape), unsafe.Sizeof(s.shape))
		add("field ft_tensor stride %d %d", unsafe.Offsetof(s.stride), unsafe.Sizeof(s.stride))
	}
	{
		var s C.ft_adapter_info
		add("struct ft_adapter_info %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_adapter_info struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_adapter_info use_rslora %d %d", unsafe.Offsetof(s.use_rslora), unsafe.Sizeof(s.use_rslora))
		add("field ft_adapter_info r %d %d", unsafe.Offsetof(s.r), unsafe.Sizeof(s.r))
		add("field ft_adapter_info lora_alpha %d %d", unsafe.Offsetof(s.lora_alpha), unsafe.Sizeof(s.lora_alpha))
		add("field ft_adapter_info lora_dropout %d %d", unsafe.Offsetof(s.lora_dropout), unsafe.Sizeof(s.lora_dropout))
		add("field ft_adapter_info parameter_count %d %d", unsafe.Offsetof(s.parameter_count), unsafe.Sizeof(s.parameter_count))
		add("field ft_adapter_info tensor_count %d %d", unsafe.Offsetof(s.tensor_count), unsafe.Sizeof(s.tensor_count))
		add("field ft_adapter_info digest %d %d", unsafe.Offsetof(s.digest), unsafe.Sizeof(s.digest))
		add("field ft_adapter_info base_digest %d %d", unsafe.Offsetof(s.base_digest), unsafe.Sizeof(s.base_digest))
	}
	{
		var s C.ft_lora_options
		add("struct ft_lora_options %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_lora_options struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_lora_options use_rslora %d %d", unsafe.Offsetof(s.use_rslora), unsafe.Sizeof(s.use_rslora))
		add("field ft_lora_options r %d %d", unsafe.Offsetof(s.r), unsafe.Sizeof(s.r))
		add("field ft_lora_options lora_alpha %d %d", unsafe.Offsetof(s.lora_alpha), unsafe.Sizeof(s.lora_alpha))
		add("field ft_lora_options lora_dropout %d %d", unsafe.Offsetof(s.lora_dropout), unsafe.Sizeof(s.lora_dropout))
		add("field ft_lora_options target_modules %d %d", unsafe.Offsetof(s.target_modules), unsafe.Sizeof(s.target_modules))
		add("field ft_lora_options target_module_count %d %d", unsafe.Offsetof(s.target_module_count), unsafe.Sizeof(s.target_module_count))
		add("field ft_lora_options target_regex %d %d", unsafe.Offsetof(s.target_regex), unsafe.Sizeof(s.target_regex))
		add("field ft_lora_options rank_pattern %d %d", unsafe.Offsetof(s.rank_pattern), unsafe.Sizeof(s.rank_pattern))
		add("field ft_lora_options rank_pattern_r %d %d", unsafe.Offsetof(s.rank_pattern_r), unsafe.Sizeof(s.rank_pattern_r))
		add("field ft_lora_options rank_pattern_count %d %d", unsafe.Offsetof(s.rank_pattern_count), unsafe.Sizeof(s.rank_pattern_count))
		add("field ft_lora_options alpha_pattern %d %d", unsafe.Offsetof(s.alpha_pattern), unsafe.Sizeof(s.alpha_pattern))
		add("field ft_lora_options alpha_pattern_alpha %d %d", unsafe.Offsetof(s.alpha_pattern_alpha), unsafe.Sizeof(s.alpha_pattern_alpha))
		add("field ft_lora_options alpha_pattern_count %d %d", unsafe.Offsetof(s.alpha_pattern_count), unsafe.Sizeof(s.alpha_pattern_count))
	}
	{
		var s C.ft_train_options
		add("struct ft_train_options %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_train_options struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_train_options order %d %d", unsafe.Offsetof(s.order), unsafe.Sizeof(s.order))
		add("field ft_train_options epochs %d %d", unsafe.Offsetof(s.epochs), unsafe.Sizeof(s.epochs))
		add("field ft_train_options steps %d %d", unsafe.Offsetof(s.steps), unsafe.Sizeof(s.steps))
		add("field ft_train_options batch_tokens %d %d", unsafe.Offsetof(s.batch_tokens), unsafe.Sizeof(s.batch_tokens))
		add("field ft_train_options batch_examples %d %d", unsafe.Offsetof(s.batch_examples), unsafe.Sizeof(s.batch_examples))
		add("field ft_train_options accumulate %d %d", unsafe.Offsetof(s.accumulate), unsafe.Sizeof(s.accumulate))
		add("field ft_train_options seed %d %d", unsafe.Offsetof(s.seed), unsafe.Sizeof(s.seed))
		add("field ft_train_options lr %d %d", unsafe.Offsetof(s.lr), unsafe.Sizeof(s.lr))
		add("field ft_train_options schedule %d %d", unsafe.Offsetof(s.schedule), unsafe.Sizeof(s.schedule))
		add("field ft_train_options optimizer %d %d", unsafe.Offsetof(s.optimizer), unsafe.Sizeof(s.optimizer))
		add("field ft_train_options warmup %d %d", unsafe.Offsetof(s.warmup), unsafe.Sizeof(s.warmup))
		add("field ft_train_options weight_decay %d %d", unsafe.Offsetof(s.weight_decay), unsafe.Sizeof(s.weight_decay))
		add("field ft_train_options clip %d %d", unsafe.Offsetof(s.clip), unsafe.Sizeof(s.clip))
		add("field ft_train_options beta1 %d %d", unsafe.Offsetof(s.beta1), unsafe.Sizeof(s.beta1))
		add("field ft_train_options beta2 %d %d", unsafe.Offsetof(s.beta2), unsafe.Sizeof(s.beta2))
		add("field ft_train_options eps %d %d", unsafe.Offsetof(s.eps), unsafe.Sizeof(s.eps))
		add("field ft_train_options on_nonfinite %d %d", unsafe.Offsetof(s.on_nonfinite), unsafe.Sizeof(s.on_nonfinite))
		add("field ft_train_options reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_train_options memory_bytes %d %d", unsafe.Offsetof(s.memory_bytes), unsafe.Sizeof(s.memory_bytes))
		add("field ft_train_options valid_every %d %d", unsafe.Offsetof(s.valid_every), unsafe.Sizeof(s.valid_every))
		add("field ft_train_options patience %d %d", unsafe.Offsetof(s.patience), unsafe.Sizeof(s.patience))
		add("field ft_train_options init_adapter %d %d", unsafe.Offsetof(s.init_adapter), unsafe.Sizeof(s.init_adapter))
	}
	{
		var s C.ft_progress
		add("struct ft_progress %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_progress struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_progress finished %d %d", unsafe.Offsetof(s.finished), unsafe.Sizeof(s.finished))
		add("field ft_progress step %d %d", unsafe.Offsetof(s.step), unsafe.Sizeof(s.step))
		add("field ft_progress total_steps %d %d", unsafe.Offsetof(s.total_steps), unsafe.Sizeof(s.total_steps))
		add("field ft_progress epoch %d %d", unsafe.Offsetof(s.epoch), unsafe.Sizeof(s.epoch))
		add("field ft_progress loss %d %d", unsafe.Offsetof(s.loss), unsafe.Sizeof(s.loss))
		add("field ft_progress grad_norm %d %d", unsafe.Offsetof(s.grad_norm), unsafe.Sizeof(s.grad_norm))
		add("field ft_progress lr %d %d", unsafe.Offsetof(s.lr), unsafe.Sizeof(s.lr))
		add("field ft_progress tokens %d %d", unsafe.Offsetof(s.tokens), unsafe.Sizeof(s.tokens))
		add("field ft_progress supervised_tokens %d %d", unsafe.Offsetof(s.supervised_tokens), unsafe.Sizeof(s.supervised_tokens))
		add("field ft_progress seconds %d %d", unsafe.Offsetof(s.seconds), unsafe.Sizeof(s.seconds))
		add("field ft_progress skipped %d %d", unsafe.Offsetof(s.skipped), unsafe.Sizeof(s.skipped))
		add("field ft_progress validated %d %d", unsafe.Offsetof(s.validated), unsafe.Sizeof(s.validated))
		add("field ft_progress valid_loss %d %d", unsafe.Offsetof(s.valid_loss), unsafe.Sizeof(s.valid_loss))
		add("field ft_progress best_valid_loss %d %d", unsafe.Offsetof(s.best_valid_loss), unsafe.Sizeof(s.best_valid_loss))
		add("field ft_progress best_step %d %d", unsafe.Offsetof(s.best_step), unsafe.Sizeof(s.best_step))
		add("field ft_progress train_loss %d %d", unsafe.Offsetof(s.train_loss), unsafe.Sizeof(s.train_loss))
	}
	{
		var s C.ft_memory_plan
		add("struct ft_memory_plan %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_memory_plan struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_memory_plan reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_memory_plan peak_bytes %d %d", unsafe.Offsetof(s.peak_bytes), unsafe.Sizeof(s.peak_bytes))
		add("field ft_memory_plan trainer_bytes %d %d", unsafe.Offsetof(s.trainer_bytes), unsafe.Sizeof(s.trainer_bytes))
		add("field ft_memory_plan budget_bytes %d %d", unsafe.Offsetof(s.budget_bytes), unsafe.Sizeof(s.budget_bytes))
		add("field ft_memory_plan layers_kept_whole %d %d", unsafe.Offsetof(s.layers_kept_whole), unsafe.Sizeof(s.layers_kept_whole))
		add("field ft_memory_plan layers_without_mlp %d %d", unsafe.Offsetof(s.layers_without_mlp), unsafe.Sizeof(s.layers_without_mlp))
		add("field ft_memory_plan layers_input_only %d %d", unsafe.Offsetof(s.layers_input_only), unsafe.Sizeof(s.layers_input_only))
	}
	{
		var s C.ft_evaluate_options
		add("struct ft_evaluate_options %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_evaluate_options struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_evaluate_options reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_evaluate_options metrics %d %d", unsafe.Offsetof(s.metrics), unsafe.Sizeof(s.metrics))
		add("field ft_evaluate_options max_tokens %d %d", unsafe.Offsetof(s.max_tokens), unsafe.Sizeof(s.max_tokens))
		add("field ft_evaluate_options batch_tokens %d %d", unsafe.Offsetof(s.batch_tokens), unsafe.Sizeof(s.batch_tokens))
	}
	{
		var s C.ft_evaluation_info
		add("struct ft_evaluation_info %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_evaluation_info struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_evaluation_info reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_evaluation_info loss %d %d", unsafe.Offsetof(s.loss), unsafe.Sizeof(s.loss))
		add("field ft_evaluation_info perplexity %d %d", unsafe.Offsetof(s.perplexity), unsafe.Sizeof(s.perplexity))
		add("field ft_evaluation_info tokens %d %d", unsafe.Offsetof(s.tokens), unsafe.Sizeof(s.tokens))
		add("field ft_evaluation_info supervised_tokens %d %d", unsafe.Offsetof(s.supervised_tokens), unsafe.Sizeof(s.supervised_tokens))
		add("field ft_evaluation_info example_count %d %d", unsafe.Offsetof(s.example_count), unsafe.Sizeof(s.example_count))
		add("field ft_evaluation_info answer_count %d %d", unsafe.Offsetof(s.answer_count), unsafe.Sizeof(s.answer_count))
		add("field ft_evaluation_info metric_count %d %d", unsafe.Offsetof(s.metric_count), unsafe.Sizeof(s.metric_count))
	}
	{
		var s C.ft_example_result
		add("struct ft_example_result %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_example_result struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_example_result reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_example_result id %d %d", unsafe.Offsetof(s.id), unsafe.Sizeof(s.id))
		add("field ft_example_result nll %d %d", unsafe.Offsetof(s.nll), unsafe.Sizeof(s.nll))
		add("field ft_example_result supervised_tokens %d %d", unsafe.Offsetof(s.supervised_tokens), unsafe.Sizeof(s.supervised_tokens))
		add("field ft_example_result output %d %d", unsafe.Offsetof(s.output), unsafe.Sizeof(s.output))
		add("field ft_example_result output_bytes %d %d", unsafe.Offsetof(s.output_bytes), unsafe.Sizeof(s.output_bytes))
		add("field ft_example_result scores %d %d", unsafe.Offsetof(s.scores), unsafe.Sizeof(s.scores))
	}
	{
		var s C.ft_interval
		add("struct ft_interval %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_interval struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_interval reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_interval estimate %d %d", unsafe.Offsetof(s.estimate), unsafe.Sizeof(s.estimate))
		add("field ft_interval low %d %d", unsafe.Offsetof(s.low), unsafe.Sizeof(s.low))
		add("field ft_interval high %d %d", unsafe.Offsetof(s.high), unsafe.Sizeof(s.high))
	}
	{
		var s C.ft_generate_options
		add("struct ft_generate_options %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_generate_options struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_generate_options reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_generate_options max_tokens %d %d", unsafe.Offsetof(s.max_tokens), unsafe.Sizeof(s.max_tokens))
		add("field ft_generate_options temperature %d %d", unsafe.Offsetof(s.temperature), unsafe.Sizeof(s.temperature))
		add("field ft_generate_options top_k %d %d", unsafe.Offsetof(s.top_k), unsafe.Sizeof(s.top_k))
		add("field ft_generate_options top_p %d %d", unsafe.Offsetof(s.top_p), unsafe.Sizeof(s.top_p))
		add("field ft_generate_options seed %d %d", unsafe.Offsetof(s.seed), unsafe.Sizeof(s.seed))
		add("field ft_generate_options stop_tokens %d %d", unsafe.Offsetof(s.stop_tokens), unsafe.Sizeof(s.stop_tokens))
		add("field ft_generate_options stop_token_count %d %d", unsafe.Offsetof(s.stop_token_count), unsafe.Sizeof(s.stop_token_count))
	}
	{
		var s C.ft_answer
		add("struct ft_answer %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_answer struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_answer stopped %d %d", unsafe.Offsetof(s.stopped), unsafe.Sizeof(s.stopped))
		add("field ft_answer tokens %d %d", unsafe.Offsetof(s.tokens), unsafe.Sizeof(s.tokens))
		add("field ft_answer token_count %d %d", unsafe.Offsetof(s.token_count), unsafe.Sizeof(s.token_count))
		add("field ft_answer text %d %d", unsafe.Offsetof(s.text), unsafe.Sizeof(s.text))
		add("field ft_answer text_bytes %d %d", unsafe.Offsetof(s.text_bytes), unsafe.Sizeof(s.text_bytes))
		add("field ft_answer prompt_tokens %d %d", unsafe.Offsetof(s.prompt_tokens), unsafe.Sizeof(s.prompt_tokens))
	}
	{
		var s C.ft_weight
		add("struct ft_weight %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_weight struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_weight format %d %d", unsafe.Offsetof(s.format), unsafe.Sizeof(s.format))
		add("field ft_weight out_features %d %d", unsafe.Offsetof(s.out_features), unsafe.Sizeof(s.out_features))
		add("field ft_weight in_features %d %d", unsafe.Offsetof(s.in_features), unsafe.Sizeof(s.in_features))
		add("field ft_weight data %d %d", unsafe.Offsetof(s.data), unsafe.Sizeof(s.data))
		add("field ft_weight absmax %d %d", unsafe.Offsetof(s.absmax), unsafe.Sizeof(s.absmax))
		add("field ft_weight nested_scales %d %d", unsafe.Offsetof(s.nested_scales), unsafe.Sizeof(s.nested_scales))
		add("field ft_weight nested_offset %d %d", unsafe.Offsetof(s.nested_offset), unsafe.Sizeof(s.nested_offset))
		add("field ft_weight block_size %d %d", unsafe.Offsetof(s.block_size), unsafe.Sizeof(s.block_size))
	}
	{
		var s C.ft_lora_linear_args
		add("struct ft_lora_linear_args %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_lora_linear_args struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_lora_linear_args scale %d %d", unsafe.Offsetof(s.scale), unsafe.Sizeof(s.scale))
		add("field ft_lora_linear_args weight %d %d", unsafe.Offsetof(s.weight), unsafe.Sizeof(s.weight))
		add("field ft_lora_linear_args x %d %d", unsafe.Offsetof(s.x), unsafe.Sizeof(s.x))
		add("field ft_lora_linear_args bias %d %d", unsafe.Offsetof(s.bias), unsafe.Sizeof(s.bias))
		add("field ft_lora_linear_args a %d %d", unsafe.Offsetof(s.a), unsafe.Sizeof(s.a))
		add("field ft_lora_linear_args b %d %d", unsafe.Offsetof(s.b), unsafe.Sizeof(s.b))
		add("field ft_lora_linear_args u %d %d", unsafe.Offsetof(s.u), unsafe.Sizeof(s.u))
		add("field ft_lora_linear_args y %d %d", unsafe.Offsetof(s.y), unsafe.Sizeof(s.y))
	}
	{
		var s C.ft_lora_linear_backward_args
		add("struct ft_lora_linear_backward_args %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_lora_linear_backward_args struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_lora_linear_backward_args scale %d %d", unsafe.Offsetof(s.scale), unsafe.Sizeof(s.scale))
		add("field ft_lora_linear_backward_args weight %d %d", unsafe.Offsetof(s.weight), unsafe.Sizeof(s.weight))
		add("field ft_lora_linear_backward_args dy %d %d", unsafe.Offsetof(s.dy), unsafe.Sizeof(s.dy))
		add("field ft_lora_linear_backward_args x %d %d", unsafe.Offsetof(s.x), unsafe.Sizeof(s.x))
		add("field ft_lora_linear_backward_args a %d %d", unsafe.Offsetof(s.a), unsafe.Sizeof(s.a))
		add("field ft_lora_linear_backward_args b %d %d", unsafe.Offsetof(s.b), unsafe.Sizeof(s.b))
		add("field ft_lora_linear_backward_args u %d %d", unsafe.Offsetof(s.u), unsafe.Sizeof(s.u))
		add("field ft_lora_linear_backward_args du %d %d", unsafe.Offsetof(s.du), unsafe.Sizeof(s.du))
		add("field ft_lora_linear_backward_args d_a %d %d", unsafe.Offsetof(s.d_a), unsafe.Sizeof(s.d_a))
		add("field ft_lora_linear_backward_args d_b %d %d", unsafe.Offsetof(s.d_b), unsafe.Sizeof(s.d_b))
		add("field ft_lora_linear_backward_args dx %d %d", unsafe.Offsetof(s.dx), unsafe.Sizeof(s.dx))
	}
	{
		var s C.ft_adamw_options
		add("struct ft_adamw_options %d %d", unsafe.Sizeof(s), unsafe.Alignof(s))
		add("field ft_adamw_options struct_size %d %d", unsafe.Offsetof(s.struct_size), unsafe.Sizeof(s.struct_size))
		add("field ft_adamw_options reserved %d %d", unsafe.Offsetof(s.reserved), unsafe.Sizeof(s.reserved))
		add("field ft_adamw_options lr %d %d", unsafe.Offsetof(s.lr), unsafe.Sizeof(s.lr))
		add("field ft_adamw_options beta1 %d %d", unsafe.Offsetof(s.beta1), unsafe.Sizeof(s.beta1))
		add("field ft_adamw_options beta2 %d %d", unsafe.Offsetof(s.beta2), unsafe.Sizeof(s.beta2))
		add("field ft_adamw_options eps %d %d", unsafe.Offsetof(s.eps), unsafe.Sizeof(s.eps))
		add("field ft_adamw_options weight_decay %d %d", unsafe.Offsetof(s.weight_decay), unsafe.Sizeof(s.weight_decay))
	}
	return facts
}
