# SPDX-License-Identifier: Apache-2.0
"""Written by tools/capi_bindings.py from capi/abi/ftlib_c-0.layout."""
from __future__ import annotations

from ctypes import (CDLL, CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_float, c_int32, c_int64,
                    c_size_t, c_uint8, c_uint32, c_uint64, c_void_p)
from typing import Any, Optional

FT_ABI_VERSION = 0
FT_ENCODE_SPECIAL = 1
FT_DECODE_SKIP_SPECIAL = 1
FT_CHAT_GENERATION_PROMPT = 1
FT_CHAT_SUPERVISE_LAST = 2

FT_OK = 0
FT_ERROR_INVALID_ARGUMENT = 1
FT_ERROR_UNSUPPORTED = 2
FT_ERROR_OUT_OF_MEMORY = 3
FT_ERROR_INVALID_FILE = 4
FT_ERROR_IO = 5
FT_ERROR_NOT_FOUND = 6
FT_ERROR_BUSY = 7
FT_ERROR_MISMATCH = 8
FT_ERROR_NON_FINITE = 9
FT_ERROR_CANCELLED = 10
FT_ERROR_INTERNAL = 11
FT_ERROR_BUFFER_TOO_SMALL = 12

FT_REASON_NONE = 0
FT_REASON_TRUNC = 1
FT_REASON_LIMIT = 2
FT_REASON_OVERFLOW = 3
FT_REASON_MAGIC = 4
FT_REASON_VERSION = 5
FT_REASON_UTF8 = 6
FT_REASON_JSON = 7
FT_REASON_DUP = 8
FT_REASON_SCHEMA = 9
FT_REASON_DTYPE = 10
FT_REASON_SHAPE = 11
FT_REASON_RANGE = 12
FT_REASON_LAYOUT = 13
FT_REASON_MISMATCH = 14
FT_REASON_UNSUPPORTED = 15
FT_REASON_CHANGED = 16
FT_REASON_IO = 17

FT_BASE_NATIVE = 0
FT_BASE_F32 = 1
FT_BASE_BF16 = 2
FT_BASE_NF4 = 3

FT_COMPUTE_AUTO = 0
FT_COMPUTE_F32 = 1
FT_COMPUTE_BF16 = 2

FT_ORDER_SHUFFLE = 0
FT_ORDER_GIVEN = 1

FT_F32 = 0
FT_BF16 = 1
FT_F16 = 2

FT_ADAMW = 0
FT_ADAMW_8BIT = 1

FT_SCHEDULE_COSINE = 0
FT_SCHEDULE_LINEAR = 1
FT_SCHEDULE_CONSTANT = 2

FT_NONFINITE_STOP = 0
FT_NONFINITE_SKIP = 1

FT_WEIGHT_F32 = 0
FT_WEIGHT_BF16 = 1
FT_WEIGHT_F16 = 2
FT_WEIGHT_NF4 = 3

ft_log_callback = CFUNCTYPE(None, c_void_p, c_void_p)

ft_work_callback = CFUNCTYPE(c_int32, c_int64, c_int64, c_void_p)

ft_token_callback = CFUNCTYPE(c_int32, c_size_t, c_int32, c_void_p, c_size_t, c_void_p)


class ft_tokenizer_options(Structure):
    struct_size: int
    reserved: int
    chat_template: Optional[bytes]
    date: Optional[bytes]
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("chat_template", c_char_p),
        ("date", c_char_p),
    ]


class ft_tokenizer_info(Structure):
    struct_size: int
    vocab_size: int
    bos_id: int
    eos_id: int
    pad_id: int
    adds_bos: int
    chat_template: Optional[bytes]
    digest: Optional[bytes]
    _fields_ = [
        ("struct_size", c_uint32),
        ("vocab_size", c_int32),
        ("bos_id", c_int32),
        ("eos_id", c_int32),
        ("pad_id", c_int32),
        ("adds_bos", c_int32),
        ("chat_template", c_char_p),
        ("digest", c_char_p),
    ]


class ft_model_options(Structure):
    struct_size: int
    base: int
    compute: int
    block_size: int
    double_quant: int
    reserved: int
    chat_template: Optional[bytes]
    date: Optional[bytes]
    _fields_ = [
        ("struct_size", c_uint32),
        ("base", c_int32),
        ("compute", c_int32),
        ("block_size", c_int32),
        ("double_quant", c_int32),
        ("reserved", c_uint32),
        ("chat_template", c_char_p),
        ("date", c_char_p),
    ]


class ft_model_info(Structure):
    struct_size: int
    compute: int
    base: int
    tie_word_embeddings: int
    model_type: Optional[bytes]
    digest: Optional[bytes]
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    max_position_embeddings: int
    weight_bytes: int
    _fields_ = [
        ("struct_size", c_uint32),
        ("compute", c_int32),
        ("base", c_int32),
        ("tie_word_embeddings", c_int32),
        ("model_type", c_char_p),
        ("digest", c_char_p),
        ("vocab_size", c_int64),
        ("hidden_size", c_int64),
        ("intermediate_size", c_int64),
        ("num_hidden_layers", c_int64),
        ("num_attention_heads", c_int64),
        ("num_key_value_heads", c_int64),
        ("head_dim", c_int64),
        ("max_position_embeddings", c_int64),
        ("weight_bytes", c_int64),
    ]


class ft_dataset_options(Structure):
    struct_size: int
    supervise_last: int
    max_length: int
    truncate: int
    reserved: int
    limit: int
    _fields_ = [
        ("struct_size", c_uint32),
        ("supervise_last", c_int32),
        ("max_length", c_int64),
        ("truncate", c_int32),
        ("reserved", c_uint32),
        ("limit", c_int64),
    ]


class ft_record_options(Structure):
    struct_size: int
    prompt_messages: int
    id: Optional[bytes]
    group: Optional[bytes]
    weight: float
    _fields_ = [
        ("struct_size", c_uint32),
        ("prompt_messages", c_uint32),
        ("id", c_char_p),
        ("group", c_char_p),
        ("weight", c_double),
    ]


class ft_dataset_info(Structure):
    struct_size: int
    reserved: int
    examples: int
    records: int
    left_out: int
    truncated: int
    tokens: int
    supervised_tokens: int
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("examples", c_int64),
        ("records", c_int64),
        ("left_out", c_int64),
        ("truncated", c_int64),
        ("tokens", c_int64),
        ("supervised_tokens", c_int64),
    ]


class ft_batch_options(Structure):
    struct_size: int
    order: int
    batch_tokens: int
    batch_examples: int
    accumulate: int
    seed: int
    epochs: int
    _fields_ = [
        ("struct_size", c_uint32),
        ("order", c_int32),
        ("batch_tokens", c_int64),
        ("batch_examples", c_int64),
        ("accumulate", c_int64),
        ("seed", c_uint64),
        ("epochs", c_int64),
    ]


class ft_batch(Structure):
    struct_size: int
    reserved: int
    epoch: int
    step: int
    micro_step: int
    token_count: int
    segment_count: int
    supervised_tokens: int
    tokens: Any
    labels: Any
    weights: Any
    positions: Any
    segment_offsets: Any
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("epoch", c_int64),
        ("step", c_int64),
        ("micro_step", c_int64),
        ("token_count", c_int64),
        ("segment_count", c_int64),
        ("supervised_tokens", c_int64),
        ("tokens", c_void_p),
        ("labels", c_void_p),
        ("weights", c_void_p),
        ("positions", c_void_p),
        ("segment_offsets", c_void_p),
    ]


class ft_batch_position(Structure):
    struct_size: int
    reserved: int
    epoch: int
    step: int
    micro_step: int
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("epoch", c_int64),
        ("step", c_int64),
        ("micro_step", c_int64),
    ]


class ft_tensor(Structure):
    struct_size: int
    dtype: int
    data: Any
    rank: int
    reserved: int
    shape: Any
    stride: Any
    _fields_ = [
        ("struct_size", c_uint32),
        ("dtype", c_int32),
        ("data", c_void_p),
        ("rank", c_int32),
        ("reserved", c_uint32),
        ("shape", c_int64 * 2),
        ("stride", c_int64 * 2),
    ]


class ft_adapter_info(Structure):
    struct_size: int
    use_rslora: int
    r: int
    lora_alpha: float
    lora_dropout: float
    parameter_count: int
    tensor_count: int
    digest: Optional[bytes]
    base_digest: Optional[bytes]
    _fields_ = [
        ("struct_size", c_uint32),
        ("use_rslora", c_int32),
        ("r", c_int64),
        ("lora_alpha", c_double),
        ("lora_dropout", c_double),
        ("parameter_count", c_int64),
        ("tensor_count", c_size_t),
        ("digest", c_char_p),
        ("base_digest", c_char_p),
    ]


class ft_lora_options(Structure):
    struct_size: int
    use_rslora: int
    r: int
    lora_alpha: float
    lora_dropout: float
    target_modules: Any
    target_module_count: int
    target_regex: Optional[bytes]
    rank_pattern: Any
    rank_pattern_r: Any
    rank_pattern_count: int
    alpha_pattern: Any
    alpha_pattern_alpha: Any
    alpha_pattern_count: int
    _fields_ = [
        ("struct_size", c_uint32),
        ("use_rslora", c_int32),
        ("r", c_int64),
        ("lora_alpha", c_double),
        ("lora_dropout", c_double),
        ("target_modules", POINTER(c_char_p)),
        ("target_module_count", c_size_t),
        ("target_regex", c_char_p),
        ("rank_pattern", POINTER(c_char_p)),
        ("rank_pattern_r", c_void_p),
        ("rank_pattern_count", c_size_t),
        ("alpha_pattern", POINTER(c_char_p)),
        ("alpha_pattern_alpha", c_void_p),
        ("alpha_pattern_count", c_size_t),
    ]


class ft_train_options(Structure):
    struct_size: int
    order: int
    epochs: int
    steps: int
    batch_tokens: int
    batch_examples: int
    accumulate: int
    seed: int
    lr: float
    schedule: int
    optimizer: int
    warmup: float
    weight_decay: float
    clip: float
    beta1: float
    beta2: float
    eps: float
    on_nonfinite: int
    reserved: int
    memory_bytes: int
    valid_every: int
    patience: int
    init_adapter: Any
    _fields_ = [
        ("struct_size", c_uint32),
        ("order", c_int32),
        ("epochs", c_int64),
        ("steps", c_int64),
        ("batch_tokens", c_int64),
        ("batch_examples", c_int64),
        ("accumulate", c_int64),
        ("seed", c_uint64),
        ("lr", c_double),
        ("schedule", c_int32),
        ("optimizer", c_int32),
        ("warmup", c_double),
        ("weight_decay", c_double),
        ("clip", c_double),
        ("beta1", c_double),
        ("beta2", c_double),
        ("eps", c_double),
        ("on_nonfinite", c_int32),
        ("reserved", c_uint32),
        ("memory_bytes", c_int64),
        ("valid_every", c_int64),
        ("patience", c_int64),
        ("init_adapter", c_void_p),
    ]


class ft_progress(Structure):
    struct_size: int
    finished: int
    step: int
    total_steps: int
    epoch: int
    loss: float
    grad_norm: float
    lr: float
    tokens: int
    supervised_tokens: int
    seconds: float
    skipped: int
    validated: int
    valid_loss: float
    best_valid_loss: float
    best_step: int
    train_loss: float
    _fields_ = [
        ("struct_size", c_uint32),
        ("finished", c_int32),
        ("step", c_int64),
        ("total_steps", c_int64),
        ("epoch", c_int64),
        ("loss", c_double),
        ("grad_norm", c_double),
        ("lr", c_double),
        ("tokens", c_int64),
        ("supervised_tokens", c_int64),
        ("seconds", c_double),
        ("skipped", c_int32),
        ("validated", c_int32),
        ("valid_loss", c_double),
        ("best_valid_loss", c_double),
        ("best_step", c_int64),
        ("train_loss", c_double),
    ]


class ft_memory_plan(Structure):
    struct_size: int
    reserved: int
    peak_bytes: int
    trainer_bytes: int
    budget_bytes: int
    layers_kept_whole: int
    layers_without_mlp: int
    layers_input_only: int
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("peak_bytes", c_int64),
        ("trainer_bytes", c_int64),
        ("budget_bytes", c_int64),
        ("layers_kept_whole", c_int64),
        ("layers_without_mlp", c_int64),
        ("layers_input_only", c_int64),
    ]


class ft_evaluate_options(Structure):
    struct_size: int
    reserved: int
    metrics: Optional[bytes]
    max_tokens: int
    batch_tokens: int
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("metrics", c_char_p),
        ("max_tokens", c_int64),
        ("batch_tokens", c_int64),
    ]


class ft_evaluation_info(Structure):
    struct_size: int
    reserved: int
    loss: float
    perplexity: float
    tokens: int
    supervised_tokens: int
    example_count: int
    answer_count: int
    metric_count: int
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("loss", c_double),
        ("perplexity", c_double),
        ("tokens", c_int64),
        ("supervised_tokens", c_int64),
        ("example_count", c_size_t),
        ("answer_count", c_size_t),
        ("metric_count", c_size_t),
    ]


class ft_example_result(Structure):
    struct_size: int
    reserved: int
    id: Optional[bytes]
    nll: float
    supervised_tokens: int
    output: Optional[bytes]
    output_bytes: int
    scores: Any
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("id", c_char_p),
        ("nll", c_double),
        ("supervised_tokens", c_int64),
        ("output", c_char_p),
        ("output_bytes", c_size_t),
        ("scores", c_void_p),
    ]


class ft_interval(Structure):
    struct_size: int
    reserved: int
    estimate: float
    low: float
    high: float
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("estimate", c_double),
        ("low", c_double),
        ("high", c_double),
    ]


class ft_generate_options(Structure):
    struct_size: int
    reserved: int
    max_tokens: int
    temperature: float
    top_k: int
    top_p: float
    seed: int
    stop_tokens: Any
    stop_token_count: int
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("max_tokens", c_int64),
        ("temperature", c_double),
        ("top_k", c_int64),
        ("top_p", c_double),
        ("seed", c_uint64),
        ("stop_tokens", c_void_p),
        ("stop_token_count", c_size_t),
    ]


class ft_answer(Structure):
    struct_size: int
    stopped: int
    tokens: Any
    token_count: int
    text: Optional[bytes]
    text_bytes: int
    prompt_tokens: int
    _fields_ = [
        ("struct_size", c_uint32),
        ("stopped", c_int32),
        ("tokens", c_void_p),
        ("token_count", c_size_t),
        ("text", c_char_p),
        ("text_bytes", c_size_t),
        ("prompt_tokens", c_int64),
    ]


class ft_weight(Structure):
    struct_size: int
    format: int
    out_features: int
    in_features: int
    data: Any
    absmax: Any
    nested_scales: Any
    nested_offset: float
    block_size: int
    _fields_ = [
        ("struct_size", c_uint32),
        ("format", c_int32),
        ("out_features", c_int64),
        ("in_features", c_int64),
        ("data", c_void_p),
        ("absmax", c_void_p),
        ("nested_scales", c_void_p),
        ("nested_offset", c_float),
        ("block_size", c_int32),
    ]


class ft_lora_linear_args(Structure):
    struct_size: int
    scale: float
    weight: Any
    x: Any
    bias: Any
    a: Any
    b: Any
    u: Any
    y: Any
    _fields_ = [
        ("struct_size", c_uint32),
        ("scale", c_float),
        ("weight", POINTER(ft_weight)),
        ("x", POINTER(ft_tensor)),
        ("bias", POINTER(ft_tensor)),
        ("a", POINTER(ft_tensor)),
        ("b", POINTER(ft_tensor)),
        ("u", POINTER(ft_tensor)),
        ("y", POINTER(ft_tensor)),
    ]


class ft_lora_linear_backward_args(Structure):
    struct_size: int
    scale: float
    weight: Any
    dy: Any
    x: Any
    a: Any
    b: Any
    u: Any
    du: Any
    d_a: Any
    d_b: Any
    dx: Any
    _fields_ = [
        ("struct_size", c_uint32),
        ("scale", c_float),
        ("weight", POINTER(ft_weight)),
        ("dy", POINTER(ft_tensor)),
        ("x", POINTER(ft_tensor)),
        ("a", POINTER(ft_tensor)),
        ("b", POINTER(ft_tensor)),
        ("u", POINTER(ft_tensor)),
        ("du", POINTER(ft_tensor)),
        ("d_a", POINTER(ft_tensor)),
        ("d_b", POINTER(ft_tensor)),
        ("dx", POINTER(ft_tensor)),
    ]


class ft_adamw_options(Structure):
    struct_size: int
    reserved: int
    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("lr", c_double),
        ("beta1", c_double),
        ("beta2", c_double),
        ("eps", c_double),
        ("weight_decay", c_double),
    ]


ft_progress_callback = CFUNCTYPE(c_int32, POINTER(ft_progress), c_void_p)


def declare(library: CDLL) -> None:
    """Gives every function its types."""
    library.ft_version.restype = c_char_p
    library.ft_version.argtypes = []
    library.ft_abi_version.restype = c_uint32
    library.ft_abi_version.argtypes = []
    library.ft_status_name.restype = c_char_p
    library.ft_status_name.argtypes = [c_int32]
    library.ft_reason_name.restype = c_char_p
    library.ft_reason_name.argtypes = [c_int32]
    library.ft_last_error.restype = c_char_p
    library.ft_last_error.argtypes = []
    library.ft_last_error_reason.restype = c_int32
    library.ft_last_error_reason.argtypes = []
    library.ft_set_log.restype = c_int32
    library.ft_set_log.argtypes = [ft_log_callback, c_void_p]
    library.ft_backend_count.restype = c_int32
    library.ft_backend_count.argtypes = [c_void_p]
    library.ft_backend_name.restype = c_int32
    library.ft_backend_name.argtypes = [c_size_t, c_void_p, c_void_p]
    library.ft_backend_force.restype = c_int32
    library.ft_backend_force.argtypes = [c_char_p]
    library.ft_backend_used.restype = c_int32
    library.ft_backend_used.argtypes = [c_char_p, c_void_p]
    library.ft_get_threads.restype = c_int32
    library.ft_get_threads.argtypes = [c_void_p]
    library.ft_set_threads.restype = c_int32
    library.ft_set_threads.argtypes = [c_int32]
    library.ft_shutdown.restype = c_int32
    library.ft_shutdown.argtypes = []
    library.ft_tokenizer_options_init.restype = c_int32
    library.ft_tokenizer_options_init.argtypes = [POINTER(ft_tokenizer_options), c_size_t]
    library.ft_tokenizer_open.restype = c_int32
    library.ft_tokenizer_open.argtypes = [c_char_p, POINTER(ft_tokenizer_options), c_void_p]
    library.ft_tokenizer_free.restype = c_int32
    library.ft_tokenizer_free.argtypes = [c_void_p]
    library.ft_tokenizer_get_info.restype = c_int32
    library.ft_tokenizer_get_info.argtypes = [c_void_p, POINTER(ft_tokenizer_info)]
    library.ft_tokenizer_encode.restype = c_int32
    library.ft_tokenizer_encode.argtypes = [c_void_p, c_char_p, c_size_t, c_uint32, c_void_p, c_size_t, c_void_p]
    library.ft_tokenizer_decode.restype = c_int32
    library.ft_tokenizer_decode.argtypes = [c_void_p, c_void_p, c_size_t, c_uint32, c_void_p, c_size_t, c_void_p]
    library.ft_tokenizer_render.restype = c_int32
    library.ft_tokenizer_render.argtypes = [c_void_p, POINTER(c_char_p), POINTER(c_char_p), c_size_t, c_uint32, c_void_p, c_size_t, c_void_p]
    library.ft_tokenizer_encode_messages.restype = c_int32
    library.ft_tokenizer_encode_messages.argtypes = [c_void_p, POINTER(c_char_p), POINTER(c_char_p), c_size_t, c_uint32, c_void_p, c_void_p, c_size_t, c_void_p]
    library.ft_model_options_init.restype = c_int32
    library.ft_model_options_init.argtypes = [POINTER(ft_model_options), c_size_t]
    library.ft_model_open.restype = c_int32
    library.ft_model_open.argtypes = [c_char_p, POINTER(ft_model_options), c_void_p]
    library.ft_model_open_memory.restype = c_int32
    library.ft_model_open_memory.argtypes = [c_void_p, c_size_t, POINTER(ft_model_options), c_void_p]
    library.ft_model_free.restype = c_int32
    library.ft_model_free.argtypes = [c_void_p]
    library.ft_model_get_info.restype = c_int32
    library.ft_model_get_info.argtypes = [c_void_p, POINTER(ft_model_info)]
    library.ft_model_tokenizer.restype = c_int32
    library.ft_model_tokenizer.argtypes = [c_void_p, c_void_p]
    library.ft_dataset_options_init.restype = c_int32
    library.ft_dataset_options_init.argtypes = [POINTER(ft_dataset_options), c_size_t]
    library.ft_dataset_open.restype = c_int32
    library.ft_dataset_open.argtypes = [c_void_p, c_char_p, POINTER(ft_dataset_options), c_void_p]
    library.ft_dataset_free.restype = c_int32
    library.ft_dataset_free.argtypes = [c_void_p]
    library.ft_record_options_init.restype = c_int32
    library.ft_record_options_init.argtypes = [POINTER(ft_record_options), c_size_t]
    library.ft_dataset_append_messages.restype = c_int32
    library.ft_dataset_append_messages.argtypes = [c_void_p, POINTER(c_char_p), POINTER(c_char_p), c_size_t, POINTER(ft_record_options)]
    library.ft_dataset_append_completion.restype = c_int32
    library.ft_dataset_append_completion.argtypes = [c_void_p, c_char_p, c_char_p, POINTER(ft_record_options)]
    library.ft_dataset_append_text.restype = c_int32
    library.ft_dataset_append_text.argtypes = [c_void_p, c_char_p, POINTER(ft_record_options)]
    library.ft_dataset_append_json.restype = c_int32
    library.ft_dataset_append_json.argtypes = [c_void_p, c_char_p, c_size_t]
    library.ft_dataset_append_tokens.restype = c_int32
    library.ft_dataset_append_tokens.argtypes = [c_void_p, c_void_p, c_void_p, c_size_t, POINTER(ft_record_options)]
    library.ft_dataset_get_info.restype = c_int32
    library.ft_dataset_get_info.argtypes = [c_void_p, POINTER(ft_dataset_info)]
    library.ft_dataset_example.restype = c_int32
    library.ft_dataset_example.argtypes = [c_void_p, c_int64, c_void_p, c_void_p, c_size_t, c_void_p]
    library.ft_batch_options_init.restype = c_int32
    library.ft_batch_options_init.argtypes = [POINTER(ft_batch_options), c_size_t]
    library.ft_batches_create.restype = c_int32
    library.ft_batches_create.argtypes = [c_void_p, POINTER(ft_batch_options), c_void_p]
    library.ft_batches_free.restype = c_int32
    library.ft_batches_free.argtypes = [c_void_p]
    library.ft_batches_next.restype = c_int32
    library.ft_batches_next.argtypes = [c_void_p, POINTER(ft_batch)]
    library.ft_batches_get_position.restype = c_int32
    library.ft_batches_get_position.argtypes = [c_void_p, POINTER(ft_batch_position)]
    library.ft_batches_set_position.restype = c_int32
    library.ft_batches_set_position.argtypes = [c_void_p, POINTER(ft_batch_position)]
    library.ft_adapter_open.restype = c_int32
    library.ft_adapter_open.argtypes = [c_void_p, c_char_p, c_void_p]
    library.ft_adapter_free.restype = c_int32
    library.ft_adapter_free.argtypes = [c_void_p]
    library.ft_adapter_save_peft.restype = c_int32
    library.ft_adapter_save_peft.argtypes = [c_void_p, c_char_p]
    library.ft_adapter_save_gguf.restype = c_int32
    library.ft_adapter_save_gguf.argtypes = [c_void_p, c_char_p]
    library.ft_adapter_get_info.restype = c_int32
    library.ft_adapter_get_info.argtypes = [c_void_p, POINTER(ft_adapter_info)]
    library.ft_adapter_tensor.restype = c_int32
    library.ft_adapter_tensor.argtypes = [c_void_p, c_size_t, c_void_p, c_void_p, POINTER(ft_tensor)]
    library.ft_merge.restype = c_int32
    library.ft_merge.argtypes = [c_void_p, c_void_p, c_char_p, c_char_p, ft_work_callback, c_void_p]
    library.ft_lora_options_init.restype = c_int32
    library.ft_lora_options_init.argtypes = [POINTER(ft_lora_options), c_size_t]
    library.ft_train_options_init.restype = c_int32
    library.ft_train_options_init.argtypes = [POINTER(ft_train_options), c_size_t]
    library.ft_trainer_create.restype = c_int32
    library.ft_trainer_create.argtypes = [c_void_p, c_void_p, c_void_p, POINTER(ft_lora_options), POINTER(ft_train_options), c_void_p]
    library.ft_trainer_free.restype = c_int32
    library.ft_trainer_free.argtypes = [c_void_p]
    library.ft_trainer_step.restype = c_int32
    library.ft_trainer_step.argtypes = [c_void_p, POINTER(ft_progress)]
    library.ft_trainer_run.restype = c_int32
    library.ft_trainer_run.argtypes = [c_void_p, ft_progress_callback, c_void_p]
    library.ft_trainer_cancel.restype = c_int32
    library.ft_trainer_cancel.argtypes = [c_void_p]
    library.ft_trainer_progress.restype = c_int32
    library.ft_trainer_progress.argtypes = [c_void_p, POINTER(ft_progress)]
    library.ft_trainer_get_plan.restype = c_int32
    library.ft_trainer_get_plan.argtypes = [c_void_p, POINTER(ft_memory_plan)]
    library.ft_trainer_save.restype = c_int32
    library.ft_trainer_save.argtypes = [c_void_p, c_char_p]
    library.ft_trainer_resume.restype = c_int32
    library.ft_trainer_resume.argtypes = [c_void_p, c_char_p]
    library.ft_trainer_adapter.restype = c_int32
    library.ft_trainer_adapter.argtypes = [c_void_p, c_void_p]
    library.ft_evaluate_options_init.restype = c_int32
    library.ft_evaluate_options_init.argtypes = [POINTER(ft_evaluate_options), c_size_t]
    library.ft_evaluate.restype = c_int32
    library.ft_evaluate.argtypes = [c_void_p, c_void_p, c_void_p, POINTER(ft_evaluate_options), ft_work_callback, c_void_p, c_void_p]
    library.ft_evaluation_free.restype = c_int32
    library.ft_evaluation_free.argtypes = [c_void_p]
    library.ft_evaluation_get_info.restype = c_int32
    library.ft_evaluation_get_info.argtypes = [c_void_p, POINTER(ft_evaluation_info)]
    library.ft_evaluation_metric.restype = c_int32
    library.ft_evaluation_metric.argtypes = [c_void_p, c_size_t, c_void_p, c_void_p]
    library.ft_evaluation_example.restype = c_int32
    library.ft_evaluation_example.argtypes = [c_void_p, c_size_t, POINTER(ft_example_result)]
    library.ft_evaluation_compare.restype = c_int32
    library.ft_evaluation_compare.argtypes = [c_void_p, c_void_p, c_char_p, POINTER(ft_interval)]
    library.ft_generate_options_init.restype = c_int32
    library.ft_generate_options_init.argtypes = [POINTER(ft_generate_options), c_size_t]
    library.ft_generate.restype = c_int32
    library.ft_generate.argtypes = [c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, POINTER(ft_generate_options), ft_token_callback, c_void_p, c_void_p]
    library.ft_generation_free.restype = c_int32
    library.ft_generation_free.argtypes = [c_void_p]
    library.ft_generation_answer.restype = c_int32
    library.ft_generation_answer.argtypes = [c_void_p, c_size_t, POINTER(ft_answer)]
    library.ft_nf4_quantize.restype = c_int32
    library.ft_nf4_quantize.argtypes = [c_void_p, c_int32, c_int64, c_int32, c_void_p, c_void_p]
    library.ft_nf4_double_quantize.restype = c_int32
    library.ft_nf4_double_quantize.argtypes = [c_void_p, c_int64, c_void_p, c_void_p, c_void_p]
    library.ft_nf4_dequantize.restype = c_int32
    library.ft_nf4_dequantize.argtypes = [POINTER(ft_weight), c_void_p, c_int32]
    library.ft_lora_linear.restype = c_int32
    library.ft_lora_linear.argtypes = [POINTER(ft_lora_linear_args)]
    library.ft_lora_linear_backward.restype = c_int32
    library.ft_lora_linear_backward.argtypes = [POINTER(ft_lora_linear_backward_args)]
    library.ft_adamw_options_init.restype = c_int32
    library.ft_adamw_options_init.argtypes = [POINTER(ft_adamw_options), c_size_t]
    library.ft_adamw_step.restype = c_int32
    library.ft_adamw_step.argtypes = [c_void_p, c_void_p, c_void_p, c_void_p, c_int64, POINTER(ft_adamw_options), c_int64, c_float]
    library.ft_adamw_8bit_step.restype = c_int32
    library.ft_adamw_8bit_step.argtypes = [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_int64, POINTER(ft_adamw_options), c_int64, c_float]
    library.ft_clip_grad_norm.restype = c_int32
    library.ft_clip_grad_norm.argtypes = [c_void_p, c_void_p, c_size_t, c_double, c_void_p]
    library.ft_cross_entropy.restype = c_int32
    library.ft_cross_entropy.argtypes = [c_void_p, c_void_p, c_void_p, c_int64, c_int64, c_float, c_void_p, c_void_p]
