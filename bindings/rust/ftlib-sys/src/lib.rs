// SPDX-License-Identifier: Apache-2.0
//! The C ABI of ftlib as it is: written by tools/capi_bindings.py from capi/abi/ftlib_c-0.layout.
//! What each function does stands in `capi/ftlib_c.h`; the crate `ftlib` is the safe layer over it.
#![allow(non_camel_case_types)]

use std::os::raw::{c_char, c_void};

pub const FT_ABI_VERSION: u32 = 0;
pub const FT_ENCODE_SPECIAL: u32 = 1;
pub const FT_DECODE_SKIP_SPECIAL: u32 = 1;
pub const FT_CHAT_GENERATION_PROMPT: u32 = 1;
pub const FT_CHAT_SUPERVISE_LAST: u32 = 2;

pub type ft_status = i32;
pub const FT_OK: ft_status = 0;
pub const FT_ERROR_INVALID_ARGUMENT: ft_status = 1;
pub const FT_ERROR_UNSUPPORTED: ft_status = 2;
pub const FT_ERROR_OUT_OF_MEMORY: ft_status = 3;
pub const FT_ERROR_INVALID_FILE: ft_status = 4;
pub const FT_ERROR_IO: ft_status = 5;
pub const FT_ERROR_NOT_FOUND: ft_status = 6;
pub const FT_ERROR_BUSY: ft_status = 7;
pub const FT_ERROR_MISMATCH: ft_status = 8;
pub const FT_ERROR_NON_FINITE: ft_status = 9;
pub const FT_ERROR_CANCELLED: ft_status = 10;
pub const FT_ERROR_INTERNAL: ft_status = 11;
pub const FT_ERROR_BUFFER_TOO_SMALL: ft_status = 12;

pub type ft_reason = i32;
pub const FT_REASON_NONE: ft_reason = 0;
pub const FT_REASON_TRUNC: ft_reason = 1;
pub const FT_REASON_LIMIT: ft_reason = 2;
pub const FT_REASON_OVERFLOW: ft_reason = 3;
pub const FT_REASON_MAGIC: ft_reason = 4;
pub const FT_REASON_VERSION: ft_reason = 5;
pub const FT_REASON_UTF8: ft_reason = 6;
pub const FT_REASON_JSON: ft_reason = 7;
pub const FT_REASON_DUP: ft_reason = 8;
pub const FT_REASON_SCHEMA: ft_reason = 9;
pub const FT_REASON_DTYPE: ft_reason = 10;
pub const FT_REASON_SHAPE: ft_reason = 11;
pub const FT_REASON_RANGE: ft_reason = 12;
pub const FT_REASON_LAYOUT: ft_reason = 13;
pub const FT_REASON_MISMATCH: ft_reason = 14;
pub const FT_REASON_UNSUPPORTED: ft_reason = 15;
pub const FT_REASON_CHANGED: ft_reason = 16;
pub const FT_REASON_IO: ft_reason = 17;

pub type ft_base_format = i32;
pub const FT_BASE_NATIVE: ft_base_format = 0;
pub const FT_BASE_F32: ft_base_format = 1;
pub const FT_BASE_BF16: ft_base_format = 2;
pub const FT_BASE_NF4: ft_base_format = 3;

pub type ft_compute = i32;
pub const FT_COMPUTE_AUTO: ft_compute = 0;
pub const FT_COMPUTE_F32: ft_compute = 1;
pub const FT_COMPUTE_BF16: ft_compute = 2;

pub type ft_order = i32;
pub const FT_ORDER_SHUFFLE: ft_order = 0;
pub const FT_ORDER_GIVEN: ft_order = 1;

pub type ft_dtype = i32;
pub const FT_F32: ft_dtype = 0;
pub const FT_BF16: ft_dtype = 1;
pub const FT_F16: ft_dtype = 2;

pub type ft_optimizer = i32;
pub const FT_ADAMW: ft_optimizer = 0;
pub const FT_ADAMW_8BIT: ft_optimizer = 1;

pub type ft_schedule = i32;
pub const FT_SCHEDULE_COSINE: ft_schedule = 0;
pub const FT_SCHEDULE_LINEAR: ft_schedule = 1;
pub const FT_SCHEDULE_CONSTANT: ft_schedule = 2;

pub type ft_on_nonfinite = i32;
pub const FT_NONFINITE_STOP: ft_on_nonfinite = 0;
pub const FT_NONFINITE_SKIP: ft_on_nonfinite = 1;

pub type ft_weight_format = i32;
pub const FT_WEIGHT_F32: ft_weight_format = 0;
pub const FT_WEIGHT_BF16: ft_weight_format = 1;
pub const FT_WEIGHT_F16: ft_weight_format = 2;
pub const FT_WEIGHT_NF4: ft_weight_format = 3;

#[repr(C)]
pub struct ft_adapter {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct ft_batches {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct ft_dataset {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct ft_evaluation {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct ft_generation {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct ft_model {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct ft_tokenizer {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct ft_trainer {
    _opaque: [u8; 0],
}

pub type ft_log_callback = Option<unsafe extern "C" fn(message: *const c_char, user: *mut c_void)>;

pub type ft_work_callback = Option<unsafe extern "C" fn(done: i64, total: i64, user: *mut c_void) -> i32>;

pub type ft_progress_callback = Option<unsafe extern "C" fn(progress: *const ft_progress, user: *mut c_void) -> i32>;

pub type ft_token_callback = Option<unsafe extern "C" fn(prompt: usize, token: i32, text: *const c_char, text_bytes: usize, user: *mut c_void) -> i32>;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_tokenizer_options {
    pub struct_size: u32,
    pub reserved: u32,
    pub chat_template: *const c_char,
    pub date: *const c_char,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_tokenizer_info {
    pub struct_size: u32,
    pub vocab_size: i32,
    pub bos_id: i32,
    pub eos_id: i32,
    pub pad_id: i32,
    pub adds_bos: i32,
    pub chat_template: *const c_char,
    pub digest: *const c_char,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_model_options {
    pub struct_size: u32,
    pub base: ft_base_format,
    pub compute: ft_compute,
    pub block_size: i32,
    pub double_quant: i32,
    pub reserved: u32,
    pub chat_template: *const c_char,
    pub date: *const c_char,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_model_info {
    pub struct_size: u32,
    pub compute: ft_compute,
    pub base: ft_base_format,
    pub tie_word_embeddings: i32,
    pub model_type: *const c_char,
    pub digest: *const c_char,
    pub vocab_size: i64,
    pub hidden_size: i64,
    pub intermediate_size: i64,
    pub num_hidden_layers: i64,
    pub num_attention_heads: i64,
    pub num_key_value_heads: i64,
    pub head_dim: i64,
    pub max_position_embeddings: i64,
    pub weight_bytes: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_dataset_options {
    pub struct_size: u32,
    pub supervise_last: i32,
    pub max_length: i64,
    pub truncate: i32,
    pub reserved: u32,
    pub limit: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_record_options {
    pub struct_size: u32,
    pub prompt_messages: u32,
    pub id: *const c_char,
    pub group: *const c_char,
    pub weight: f64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_dataset_info {
    pub struct_size: u32,
    pub reserved: u32,
    pub examples: i64,
    pub records: i64,
    pub left_out: i64,
    pub truncated: i64,
    pub tokens: i64,
    pub supervised_tokens: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_batch_options {
    pub struct_size: u32,
    pub order: ft_order,
    pub batch_tokens: i64,
    pub batch_examples: i64,
    pub accumulate: i64,
    pub seed: u64,
    pub epochs: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_batch {
    pub struct_size: u32,
    pub reserved: u32,
    pub epoch: i64,
    pub step: i64,
    pub micro_step: i64,
    pub token_count: i64,
    pub segment_count: i64,
    pub supervised_tokens: i64,
    pub tokens: *const i32,
    pub labels: *const i32,
    pub weights: *const f32,
    pub positions: *const i32,
    pub segment_offsets: *const i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_batch_position {
    pub struct_size: u32,
    pub reserved: u32,
    pub epoch: i64,
    pub step: i64,
    pub micro_step: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_tensor {
    pub struct_size: u32,
    pub dtype: ft_dtype,
    pub data: *mut c_void,
    pub rank: i32,
    pub reserved: u32,
    pub shape: [i64; 2],
    pub stride: [i64; 2],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_adapter_info {
    pub struct_size: u32,
    pub use_rslora: i32,
    pub r: i64,
    pub lora_alpha: f64,
    pub lora_dropout: f64,
    pub parameter_count: i64,
    pub tensor_count: usize,
    pub digest: *const c_char,
    pub base_digest: *const c_char,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_lora_options {
    pub struct_size: u32,
    pub use_rslora: i32,
    pub r: i64,
    pub lora_alpha: f64,
    pub lora_dropout: f64,
    pub target_modules: *const *const c_char,
    pub target_module_count: usize,
    pub target_regex: *const c_char,
    pub rank_pattern: *const *const c_char,
    pub rank_pattern_r: *const i64,
    pub rank_pattern_count: usize,
    pub alpha_pattern: *const *const c_char,
    pub alpha_pattern_alpha: *const f64,
    pub alpha_pattern_count: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_train_options {
    pub struct_size: u32,
    pub order: ft_order,
    pub epochs: i64,
    pub steps: i64,
    pub batch_tokens: i64,
    pub batch_examples: i64,
    pub accumulate: i64,
    pub seed: u64,
    pub lr: f64,
    pub schedule: ft_schedule,
    pub optimizer: ft_optimizer,
    pub warmup: f64,
    pub weight_decay: f64,
    pub clip: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub on_nonfinite: ft_on_nonfinite,
    pub reserved: u32,
    pub memory_bytes: i64,
    pub valid_every: i64,
    pub patience: i64,
    pub init_adapter: *const ft_adapter,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_progress {
    pub struct_size: u32,
    pub finished: i32,
    pub step: i64,
    pub total_steps: i64,
    pub epoch: i64,
    pub loss: f64,
    pub grad_norm: f64,
    pub lr: f64,
    pub tokens: i64,
    pub supervised_tokens: i64,
    pub seconds: f64,
    pub skipped: i32,
    pub validated: i32,
    pub valid_loss: f64,
    pub best_valid_loss: f64,
    pub best_step: i64,
    pub train_loss: f64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_memory_plan {
    pub struct_size: u32,
    pub reserved: u32,
    pub peak_bytes: i64,
    pub trainer_bytes: i64,
    pub budget_bytes: i64,
    pub layers_kept_whole: i64,
    pub layers_without_mlp: i64,
    pub layers_input_only: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_evaluate_options {
    pub struct_size: u32,
    pub reserved: u32,
    pub metrics: *const c_char,
    pub max_tokens: i64,
    pub batch_tokens: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_evaluation_info {
    pub struct_size: u32,
    pub reserved: u32,
    pub loss: f64,
    pub perplexity: f64,
    pub tokens: i64,
    pub supervised_tokens: i64,
    pub example_count: usize,
    pub answer_count: usize,
    pub metric_count: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_example_result {
    pub struct_size: u32,
    pub reserved: u32,
    pub id: *const c_char,
    pub nll: f64,
    pub supervised_tokens: i64,
    pub output: *const c_char,
    pub output_bytes: usize,
    pub scores: *const f64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_interval {
    pub struct_size: u32,
    pub reserved: u32,
    pub estimate: f64,
    pub low: f64,
    pub high: f64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_generate_options {
    pub struct_size: u32,
    pub reserved: u32,
    pub max_tokens: i64,
    pub temperature: f64,
    pub top_k: i64,
    pub top_p: f64,
    pub seed: u64,
    pub stop_tokens: *const i32,
    pub stop_token_count: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_answer {
    pub struct_size: u32,
    pub stopped: i32,
    pub tokens: *const i32,
    pub token_count: usize,
    pub text: *const c_char,
    pub text_bytes: usize,
    pub prompt_tokens: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_weight {
    pub struct_size: u32,
    pub format: ft_weight_format,
    pub out_features: i64,
    pub in_features: i64,
    pub data: *const c_void,
    pub absmax: *const c_void,
    pub nested_scales: *const f32,
    pub nested_offset: f32,
    pub block_size: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_lora_linear_args {
    pub struct_size: u32,
    pub scale: f32,
    pub weight: *const ft_weight,
    pub x: *const ft_tensor,
    pub bias: *const ft_tensor,
    pub a: *const ft_tensor,
    pub b: *const ft_tensor,
    pub u: *const ft_tensor,
    pub y: *const ft_tensor,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_lora_linear_backward_args {
    pub struct_size: u32,
    pub scale: f32,
    pub weight: *const ft_weight,
    pub dy: *const ft_tensor,
    pub x: *const ft_tensor,
    pub a: *const ft_tensor,
    pub b: *const ft_tensor,
    pub u: *const ft_tensor,
    pub du: *const ft_tensor,
    pub d_a: *const ft_tensor,
    pub d_b: *const ft_tensor,
    pub dx: *const ft_tensor,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ft_adamw_options {
    pub struct_size: u32,
    pub reserved: u32,
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub weight_decay: f64,
}

extern "C" {
    pub fn ft_version() -> *const c_char;
    pub fn ft_abi_version() -> u32;
    pub fn ft_status_name(status: ft_status) -> *const c_char;
    pub fn ft_reason_name(reason: ft_reason) -> *const c_char;
    pub fn ft_last_error() -> *const c_char;
    pub fn ft_last_error_reason() -> ft_reason;
    pub fn ft_set_log(callback: ft_log_callback, user: *mut c_void) -> ft_status;
    pub fn ft_backend_count(count: *mut usize) -> ft_status;
    pub fn ft_backend_name(index: usize, name: *mut *const c_char, available: *mut i32) -> ft_status;
    pub fn ft_backend_force(name: *const c_char) -> ft_status;
    pub fn ft_backend_used(op: *const c_char, name: *mut *const c_char) -> ft_status;
    pub fn ft_get_threads(count: *mut i32) -> ft_status;
    pub fn ft_set_threads(count: i32) -> ft_status;
    pub fn ft_shutdown() -> ft_status;
    pub fn ft_tokenizer_options_init(options: *mut ft_tokenizer_options, struct_size: usize) -> ft_status;
    pub fn ft_tokenizer_open(model: *const c_char, options: *const ft_tokenizer_options, out: *mut *mut ft_tokenizer) -> ft_status;
    pub fn ft_tokenizer_free(tokenizer: *mut ft_tokenizer) -> ft_status;
    pub fn ft_tokenizer_get_info(tokenizer: *const ft_tokenizer, info: *mut ft_tokenizer_info) -> ft_status;
    pub fn ft_tokenizer_encode(tokenizer: *const ft_tokenizer, text: *const c_char, text_bytes: usize, flags: u32, tokens: *mut i32, capacity: usize, token_count: *mut usize) -> ft_status;
    pub fn ft_tokenizer_decode(tokenizer: *const ft_tokenizer, tokens: *const i32, token_count: usize, flags: u32, text: *mut c_char, capacity: usize, text_bytes: *mut usize) -> ft_status;
    pub fn ft_tokenizer_render(tokenizer: *const ft_tokenizer, roles: *const *const c_char, contents: *const *const c_char, message_count: usize, flags: u32, text: *mut c_char, capacity: usize, text_bytes: *mut usize) -> ft_status;
    pub fn ft_tokenizer_encode_messages(tokenizer: *const ft_tokenizer, roles: *const *const c_char, contents: *const *const c_char, message_count: usize, flags: u32, tokens: *mut i32, supervised: *mut u8, capacity: usize, token_count: *mut usize) -> ft_status;
    pub fn ft_model_options_init(options: *mut ft_model_options, struct_size: usize) -> ft_status;
    pub fn ft_model_open(path: *const c_char, options: *const ft_model_options, out: *mut *mut ft_model) -> ft_status;
    pub fn ft_model_open_memory(data: *const c_void, data_bytes: usize, options: *const ft_model_options, out: *mut *mut ft_model) -> ft_status;
    pub fn ft_model_free(model: *mut ft_model) -> ft_status;
    pub fn ft_model_get_info(model: *const ft_model, info: *mut ft_model_info) -> ft_status;
    pub fn ft_model_tokenizer(model: *const ft_model, out: *mut *mut ft_tokenizer) -> ft_status;
    pub fn ft_dataset_options_init(options: *mut ft_dataset_options, struct_size: usize) -> ft_status;
    pub fn ft_dataset_open(tokenizer: *const ft_tokenizer, path: *const c_char, options: *const ft_dataset_options, out: *mut *mut ft_dataset) -> ft_status;
    pub fn ft_dataset_free(dataset: *mut ft_dataset) -> ft_status;
    pub fn ft_record_options_init(options: *mut ft_record_options, struct_size: usize) -> ft_status;
    pub fn ft_dataset_append_messages(dataset: *mut ft_dataset, roles: *const *const c_char, contents: *const *const c_char, message_count: usize, options: *const ft_record_options) -> ft_status;
    pub fn ft_dataset_append_completion(dataset: *mut ft_dataset, prompt: *const c_char, completion: *const c_char, options: *const ft_record_options) -> ft_status;
    pub fn ft_dataset_append_text(dataset: *mut ft_dataset, text: *const c_char, options: *const ft_record_options) -> ft_status;
    pub fn ft_dataset_append_json(dataset: *mut ft_dataset, json: *const c_char, json_bytes: usize) -> ft_status;
    pub fn ft_dataset_append_tokens(dataset: *mut ft_dataset, tokens: *const i32, labels: *const i32, token_count: usize, options: *const ft_record_options) -> ft_status;
    pub fn ft_dataset_get_info(dataset: *const ft_dataset, info: *mut ft_dataset_info) -> ft_status;
    pub fn ft_dataset_example(dataset: *const ft_dataset, index: i64, tokens: *mut i32, labels: *mut i32, capacity: usize, token_count: *mut usize) -> ft_status;
    pub fn ft_batch_options_init(options: *mut ft_batch_options, struct_size: usize) -> ft_status;
    pub fn ft_batches_create(dataset: *const ft_dataset, options: *const ft_batch_options, out: *mut *mut ft_batches) -> ft_status;
    pub fn ft_batches_free(batches: *mut ft_batches) -> ft_status;
    pub fn ft_batches_next(batches: *mut ft_batches, batch: *mut ft_batch) -> ft_status;
    pub fn ft_batches_get_position(batches: *const ft_batches, position: *mut ft_batch_position) -> ft_status;
    pub fn ft_batches_set_position(batches: *mut ft_batches, position: *const ft_batch_position) -> ft_status;
    pub fn ft_adapter_open(model: *const ft_model, path: *const c_char, out: *mut *mut ft_adapter) -> ft_status;
    pub fn ft_adapter_free(adapter: *mut ft_adapter) -> ft_status;
    pub fn ft_adapter_save_peft(adapter: *const ft_adapter, folder: *const c_char) -> ft_status;
    pub fn ft_adapter_save_gguf(adapter: *const ft_adapter, path: *const c_char) -> ft_status;
    pub fn ft_adapter_get_info(adapter: *const ft_adapter, info: *mut ft_adapter_info) -> ft_status;
    pub fn ft_adapter_tensor(adapter: *const ft_adapter, index: usize, name: *mut *const c_char, scale: *mut f32, tensor: *mut ft_tensor) -> ft_status;
    pub fn ft_merge(model: *const ft_model, adapter: *const ft_adapter, out: *const c_char, format: *const c_char, callback: ft_work_callback, user: *mut c_void) -> ft_status;
    pub fn ft_lora_options_init(options: *mut ft_lora_options, struct_size: usize) -> ft_status;
    pub fn ft_train_options_init(options: *mut ft_train_options, struct_size: usize) -> ft_status;
    pub fn ft_trainer_create(model: *const ft_model, train: *const ft_dataset, valid: *const ft_dataset, lora: *const ft_lora_options, options: *const ft_train_options, out: *mut *mut ft_trainer) -> ft_status;
    pub fn ft_trainer_free(trainer: *mut ft_trainer) -> ft_status;
    pub fn ft_trainer_step(trainer: *mut ft_trainer, progress: *mut ft_progress) -> ft_status;
    pub fn ft_trainer_run(trainer: *mut ft_trainer, callback: ft_progress_callback, user: *mut c_void) -> ft_status;
    pub fn ft_trainer_cancel(trainer: *mut ft_trainer) -> ft_status;
    pub fn ft_trainer_progress(trainer: *const ft_trainer, progress: *mut ft_progress) -> ft_status;
    pub fn ft_trainer_get_plan(trainer: *const ft_trainer, plan: *mut ft_memory_plan) -> ft_status;
    pub fn ft_trainer_save(trainer: *mut ft_trainer, folder: *const c_char) -> ft_status;
    pub fn ft_trainer_resume(trainer: *mut ft_trainer, folder: *const c_char) -> ft_status;
    pub fn ft_trainer_adapter(trainer: *const ft_trainer, out: *mut *mut ft_adapter) -> ft_status;
    pub fn ft_evaluate_options_init(options: *mut ft_evaluate_options, struct_size: usize) -> ft_status;
    pub fn ft_evaluate(model: *const ft_model, adapter: *const ft_adapter, dataset: *const ft_dataset, options: *const ft_evaluate_options, callback: ft_work_callback, user: *mut c_void, out: *mut *mut ft_evaluation) -> ft_status;
    pub fn ft_evaluation_free(evaluation: *mut ft_evaluation) -> ft_status;
    pub fn ft_evaluation_get_info(evaluation: *const ft_evaluation, info: *mut ft_evaluation_info) -> ft_status;
    pub fn ft_evaluation_metric(evaluation: *const ft_evaluation, index: usize, name: *mut *const c_char, mean: *mut f64) -> ft_status;
    pub fn ft_evaluation_example(evaluation: *const ft_evaluation, index: usize, result: *mut ft_example_result) -> ft_status;
    pub fn ft_evaluation_compare(before: *const ft_evaluation, after: *const ft_evaluation, metric: *const c_char, interval: *mut ft_interval) -> ft_status;
    pub fn ft_generate_options_init(options: *mut ft_generate_options, struct_size: usize) -> ft_status;
    pub fn ft_generate(model: *const ft_model, adapter: *const ft_adapter, prompts: *const *const i32, prompt_lengths: *const usize, prompt_count: usize, options: *const ft_generate_options, callback: ft_token_callback, user: *mut c_void, out: *mut *mut ft_generation) -> ft_status;
    pub fn ft_generation_free(generation: *mut ft_generation) -> ft_status;
    pub fn ft_generation_answer(generation: *const ft_generation, prompt: usize, answer: *mut ft_answer) -> ft_status;
    pub fn ft_nf4_quantize(values: *const c_void, dtype: ft_dtype, count: i64, block_size: i32, codes: *mut u8, absmax: *mut f32) -> ft_status;
    pub fn ft_nf4_double_quantize(absmax: *const f32, count: i64, codes: *mut u8, nested_scales: *mut f32, offset: *mut f32) -> ft_status;
    pub fn ft_nf4_dequantize(weight: *const ft_weight, values: *mut c_void, dtype: ft_dtype) -> ft_status;
    pub fn ft_lora_linear(args: *const ft_lora_linear_args) -> ft_status;
    pub fn ft_lora_linear_backward(args: *const ft_lora_linear_backward_args) -> ft_status;
    pub fn ft_adamw_options_init(options: *mut ft_adamw_options, struct_size: usize) -> ft_status;
    pub fn ft_adamw_step(parameter: *mut f32, gradient: *const f32, exp_avg: *mut f32, exp_avg_sq: *mut f32, count: i64, options: *const ft_adamw_options, step: i64, gradient_scale: f32) -> ft_status;
    pub fn ft_adamw_8bit_step(parameter: *mut f32, gradient: *const f32, exp_avg: *mut u8, exp_avg_sq: *mut u8, exp_avg_absmax: *mut f32, exp_avg_sq_absmax: *mut f32, count: i64, options: *const ft_adamw_options, step: i64, gradient_scale: f32) -> ft_status;
    pub fn ft_clip_grad_norm(gradients: *const *mut f32, counts: *const i64, tensor_count: usize, max_norm: f64, norm: *mut f64) -> ft_status;
    pub fn ft_cross_entropy(logits: *const f32, targets: *const i32, weights: *const f32, rows: i64, vocabulary: i64, gradient_scale: f32, nll: *mut f32, d_logits: *mut f32) -> ft_status;
}
