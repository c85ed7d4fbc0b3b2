// SPDX-License-Identifier: Apache-2.0
// The table of keys: PEFT 0.21, TRL 1.16, transformers 5.23 (and 4), with the defaults that those have; Unsloth and
// axolotl are in migrate_keys_more.cpp. `ftlib_tests --no-skip -tc='write the tables*'` prints it for docs/migrate.md.
#include "migrate_table.h"

namespace ftlib::cli::migration {
namespace {

using enum Verdict;

constexpr Row kPeft[] = {
    {"r", renamed, "`--rank`", whole, "8"},
    {"lora_alpha", renamed, "`--alpha`", number, "8"},
    {"lora_dropout", renamed, "`--dropout`", number, "0.0"},
    {"use_rslora", renamed, "`--rslora`", flag, "false"},
    {"target_modules", renamed, "`--target` for names, `--target-regex` for a text; absent: PEFT's choice for Llama",
     target, R"(["q_proj","v_proj"])"},
    {"layers_to_transform", different, "becomes a `--target-regex` over these layers", elsewhere},
    {"rank_pattern", same, "`--rank-pattern`", rank_pattern},
    {"alpha_pattern", same, "`--alpha-pattern`", rank_pattern},
    {"peft_type", refused, "LORA is offered, no other kind", only, "", R"(["LORA"])"},
    {"task_type", refused, "CAUSAL_LM is offered, no other task", only, "", R"(["CAUSAL_LM"])"},
    {"bias", refused, "biases are not trained: say `none`", only, "", R"(["none"])"},
    {"init_lora_weights", refused, "true is offered: A uniform, B zero; another beginning comes in by `--init-adapter`",
     only_true},
    {"layers_pattern", refused, "the layers of a Llama are `layers`", only, "", R"(["layers",["layers"]])"},
    {"exclude_modules", refused, "name the modules that remain in `target_modules`", only},
    {"use_dora lora_bias modules_to_save layer_replication trainable_token_indices target_parameters "
     "alora_invocation_tokens use_qalora use_bdlora arrow_config monteclora_config velora_config kasa_config "
     "megatron_config fan_in_fan_out ensure_weight_tying",
     refused, "adapters are plain LoRA on the decoder's linears", only},
    {"loftq_config eva_config corda_config lora_ga_config", different,
     "counts only with the `init_lora_weights` of its name, which is refused", ignored},
    {"base_model_name_or_path", different, "give the model as `--model`: nothing is downloaded", named},
    {"auto_mapping peft_version revision inference_mode megatron_core qalora_group_size runtime_config", different,
     "nothing to set: it changes no adapter", ignored},
};

// A TRL job's messages train all tokens by default; that this differs is said at every run.
constexpr Row kTrl[] = {
    {"max_length max_seq_length", same, "`--max-length` with `--truncate`; null: no limit", max_length, "1024"},
    {"packing", different,
     "`--batch-tokens` of max_length times the batch: bins without padding, so a step holds other records", packing,
     "false"},
    {"packing_strategy", refused, "bins hold whole records; bfd is the nearest", only, "", R"(["bfd"])"},
    {"learning_rate", renamed, "`--lr`", learning_rate, "2e-05"},
    {"bf16", different, "`--compute` bf16 or f32; adapters and optimizer are f32 in both", compute, "true"},
    {"chat_template_path", renamed, "`--template`; a Jinja file, no model", chat_template},
    {"assistant_only_loss", different,
     "true is what `messages` records do here: their assistant turns train; false is said as a difference",
     assistant_only, "false"},
    {"completion_only_loss", refused, "the prompt of a record is not trained; write `text` records for that",
     only_true},
    {"dataset_text_field", refused, "records say `text`; rename the field", only, "", R"(["text"])"},
    {"truncation_mode", refused, "records are cut at the end (keep_start)", only, "", R"(["keep_start"])"},
    {"shuffle_dataset", refused, "one fixed shuffle for all epochs; shuffle the file, or sample at random",
     shuffle_dataset},
    {"loss_type", refused, "the loss is the plain one (nll, chunked_nll)", only, "", R"(["nll","chunked_nll"])"},
    {"eos_token dataset_kwargs model_init_kwargs formatting_func router_aux_loss_coef", refused,
     "say it by the records, `--template`, `--base` or `--compute`", only},
    {"peft_config lora_config", different, "an object with PEFT's keys, read by PEFT's table", peft_config},
    {"logging_steps", different, "every step is in the journal; `--json` prints it", ignored, "10"},
    {"padding_free eval_packing pad_to_multiple_of pad_token activation_offloading dataset_num_proc dataset_batch_size "
     "num_of_sequences chars_per_token use_liger trust_remote_code",
     different, "nothing to set: no batch has padding, memory is planned, the loss is fused", ignored},
};

// What `trl sft --config FILE` reads besides.
constexpr Row kTrlProgram[] = {
    {"use_peft", refused, "true is offered: full fine-tuning is not", use_peft, "false"},
    {"lora_r", renamed, "`--rank`", whole, "16"},
    {"lora_alpha", renamed, "`--alpha`", number, "32"},
    {"lora_dropout", renamed, "`--dropout`", number, "0.05"},
    {"lora_target_modules", renamed, "`--target`, `--target-regex`; absent: PEFT's choice for Llama", target,
     R"(["q_proj","v_proj"])"},
    {"use_rslora", renamed, "`--rslora`", flag, "false"},
    {"load_in_4bit", renamed, "`--base` nf4 with `--block-size` 64", nf4_of_trl, "false"},
    {"use_bnb_nested_quant", renamed, "`--double-quant` with load_in_4bit", elsewhere, "false"},
    {"bnb_4bit_quant_type", refused, "nf4 is offered", only, "", R"(["nf4"])"},
    {"lora_task_type", refused, "CAUSAL_LM is offered, no other task", only, "", R"(["CAUSAL_LM"])"},
    {"use_dora lora_modules_to_save lora_target_parameters", refused,
     "adapters are plain LoRA on the decoder's linears", only},
    {"load_in_8bit", refused, "4 bits (nf4) are offered", only},
    {"dtype torch_dtype", refused, "16-bit floats are not computed with; bfloat16 and float32 are", only, "",
     R"(["auto","bfloat16","float32"])"},
    {"model_name_or_path", different, "give the model as `--model`: nothing is downloaded", named},
    {"dataset_name datasets", different, "give the records as `--train`: nothing is downloaded", named},
    {"dataset_config dataset_train_split dataset_test_split dataset_streaming", different,
     "the records are the file of `--train`, all of it", ignored},
    {"model_revision trust_remote_code attn_implementation use_flash_attention_2 bnb_4bit_quant_storage "
     "gradient_checkpointing_use_reentrant ignore_bias_buffers env",
     different, "nothing to set: it changes no result here", ignored},
};

constexpr Row kTransformers[] = {
    {"per_device_train_batch_size", renamed, "`--batch-examples`", batch, "8"},
    {"gradient_accumulation_steps", renamed, "`--accumulate`; the loss is that of all supervised tokens of the step",
     accumulate, "1"},
    {"num_train_epochs", renamed, "`--epochs`, whole ones", epochs, "3.0"},
    {"max_steps", renamed, "`--steps`", max_steps, "-1"},
    {"learning_rate", renamed, "`--lr`", learning_rate, "5e-05"},
    {"lr_scheduler_type", renamed, "`--schedule` linear, cosine or constant; no other is offered", schedule,
     R"("linear")"},
    {"warmup_steps", renamed, "`--warmup`; with schedule constant 0, as there", warmup, "0"},
    {"warmup_ratio", renamed, "`--warmup`, below 1", elsewhere},
    {"lr_scheduler_kwargs", refused, "the schedules have no parameters", only},
    {"weight_decay", same, "`--weight-decay`", number, "0.0"},
    {"adam_beta1", renamed, "`--betas`, the first", betas, "0.9"},
    {"adam_beta2", renamed, "`--betas`, the second", elsewhere, "0.999"},
    {"adam_epsilon", renamed, "`--eps`", number, "1e-08"},
    {"max_grad_norm", renamed, "`--clip`", number, "1.0"},
    {"optim", renamed, "`--optimizer` adamw or adamw8bit; paged or fused is the same arithmetic; no other is offered",
     optimizer, R"("adamw_torch_fused")"},
    {"optim_args optim_target_modules", refused, "the optimizer is AdamW as it is", only},
    {"bf16", different, "`--compute` bf16 or f32; adapters and optimizer are f32 in both", compute, "false"},
    {"fp16", refused, "16-bit floats are not computed with: bf16 or f32", only},
    {"seed", different, "`--seed`: order, initialisation and dropout come from it, with other random numbers", whole,
     "42"},
    {"train_sampling_strategy", renamed, "`--order` shuffle or given; other sampling is not offered", order,
     R"("random")"},
    {"group_by_length", refused, "records are not sampled by length: there is no padding to save", only},
    {"dataloader_drop_last", refused, "no record is dropped: the last step of an epoch may be short", only},
    {"label_smoothing_factor neftune_noise_alpha", refused, "the loss is the plain one, on the embeddings as they are",
     only},
    {"auto_find_batch_size", refused, "the batch is what is asked for: `--memory` chooses the plan, not the batch",
     only},
    {"eval_strategy evaluation_strategy", different,
     "`--valid-every` for steps; the end of each epoch otherwise; both want `--valid`, and the best adapter is kept",
     evaluation, R"("no")"},
    {"eval_steps", renamed, "`--valid-every`", elsewhere},
    {"eval_delay", refused, "validation begins with the first interval", only},
    {"metric_for_best_model", refused, "the best adapter is that of the lowest loss", only, "",
     R"(["loss","eval_loss"])"},
    {"greater_is_better", refused, "the best adapter is that of the lowest loss", only},
    {"save_strategy", different, "`--save-every` for steps; the end of each epoch is saved in any case", saving,
     R"("steps")"},
    {"save_steps", renamed, "`--save-every`", elsewhere, "500"},
    {"resume_from_checkpoint", refused,
     "states of other trainers are not read; `--resume` goes on from ftlib's own, `--init-adapter` from an adapter",
     only},
    {"deepspeed fsdp parallelism_config sharded_ddp mp_parameters tpu_num_cores", refused,
     "one process on one machine trains", only},
    {"push_to_hub", refused, "nothing is uploaded", only},
    {"label_names past_index", refused, "a record's labels are its tokens", only, "", "[-1]"},
    {"output_dir overwrite_output_dir run_name project trackio_space_id trackio_bucket_id "
     "trackio_static_space_id logging_dir",
     different, "give the folder as `--out`; the run is in its journal", ignored},
    {"logging_strategy logging_first_step logging_nan_inf_filter log_level log_level_replica log_on_each_node "
     "disable_tqdm report_to include_num_input_tokens_seen include_tokens_per_second skip_memory_metrics debug",
     different, "every step is in the journal; `--json` prints it", ignored},
    {"logging_steps", different, "every step is in the journal; `--json` prints it", ignored, "500"},
    {"gradient_checkpointing gradient_checkpointing_kwargs torch_empty_cache_steps use_cache activation_checkpointing "
     "activation_checkpointing_kwargs",
     different, "memory is planned within `--memory`; no plan changes a bit of the result", ignored},
    {"dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor "
     "dataloader_multiprocessing_context dataloader_in_order remove_unused_columns length_column_name data_seed "
     "accelerator_config split_batches dispatch_batches",
     different, "nothing to set: records are read once, and their order comes from `--seed`", ignored},
    {"per_device_eval_batch_size eval_accumulation_steps eval_do_concat_batches eval_use_gather_object eval_on_start "
     "prediction_loss_only batch_eval_metrics include_for_metrics include_inputs_for_metrics bf16_full_eval "
     "fp16_full_eval load_best_model_at_end do_train do_eval do_predict",
     different, "validation computes the loss as training does; with `--valid` the best adapter is kept", ignored},
    {"save_total_limit save_on_each_node save_only_model save_safetensors enable_jit_checkpoint ignore_data_skip "
     "restore_callback_states_from_checkpoint",
     different, "checkpoints are whole, checked, and pruned by themselves; SIGTERM saves", ignored},
    {"hub_model_id hub_strategy hub_token hub_private_repo hub_always_push hub_revision push_to_hub_model_id "
     "push_to_hub_organization push_to_hub_token",
     different, "nothing is uploaded", ignored},
    {"use_cpu no_cuda use_mps_device use_ipex jit_mode_eval tf32 half_precision_backend fp16_backend fp16_opt_level "
     "torch_compile torch_compile_backend torch_compile_mode torchdynamo use_liger_kernel liger_kernel_config "
     "full_determinism average_tokens_across_devices local_rank ddp_backend ddp_timeout ddp_bucket_cap_mb "
     "ddp_broadcast_buffers ddp_find_unused_parameters ddp_static_graph ray_scope fsdp_config fsdp_min_num_params "
     "fsdp_transformer_layer_cls_to_wrap tpu_metrics_debug use_legacy_prediction_loop per_gpu_train_batch_size "
     "per_gpu_eval_batch_size xpu_backend",
     different, "one process on the CPU, the same bits for any number of threads", ignored},
};

}  // namespace

Table peft_table() { return {"PEFT", kPeft}; }
Table trl_table() { return {"TRL", kTrl}; }
Table trl_program_table() { return {"trl sft", kTrlProgram}; }
Table transformers_table() { return {"TrainingArguments", kTransformers}; }

}  // namespace ftlib::cli::migration
