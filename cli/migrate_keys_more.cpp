// SPDX-License-Identifier: Apache-2.0
// The table of keys of Unsloth (the arguments of from_pretrained, get_peft_model and its trainer) and of axolotl's
// YAML, with the defaults of Unsloth 2026.10 and axolotl 0.19.
#include "migrate_table.h"

namespace ftlib::cli::migration {
namespace {

using enum Verdict;

constexpr Row kUnsloth[] = {
    {"r", renamed, "`--rank`", whole, "16"},
    {"lora_alpha", renamed, "`--alpha`", number, "16"},
    {"lora_dropout", renamed, "`--dropout`", number, "0.0"},
    {"use_rslora", renamed, "`--rslora`", flag, "false"},
    {"target_modules", renamed, "`--target`; absent: all seven linears", target,
     R"(["q_proj","k_proj","v_proj","o_proj","gate_proj","up_proj","down_proj"])"},
    {"layers_to_transform", different, "becomes a `--target-regex` over these layers", elsewhere},
    {"load_in_4bit", renamed, "`--base` nf4 with `--block-size` 64 and `--double-quant`", nf4, "true"},
    {"max_seq_length max_length", renamed, "`--max-length` with `--truncate`", max_length, "2048"},
    {"per_device_train_batch_size", renamed, "`--batch-examples`", batch, "4"},
    {"gradient_accumulation_steps", renamed, "`--accumulate`", accumulate, "2"},
    {"learning_rate", renamed, "`--lr`", learning_rate, "5e-05"},
    {"weight_decay", same, "`--weight-decay`", number, "0.001"},
    {"optim", renamed, "`--optimizer` adamw or adamw8bit; no other is offered", optimizer, R"("adamw_8bit")"},
    {"warmup_steps", renamed, "`--warmup`", warmup, "0.1"},
    {"seed", different, "`--seed`; where it is absent, random_state", seed_or_random_state, "3407"},
    {"random_state", different, "`--seed` where seed is absent: one seed decides initialisation and order", elsewhere},
    {"bf16", different, "`--compute`; absent: bf16 where the CPU has it", compute, R"("auto")"},
    {"logging_steps", different, "every step is in the journal; `--json` prints it", ignored, "1"},
    {"bias", refused, "biases are not trained: say `none`", only, "", R"(["none"])"},
    {"init_lora_weights", refused, "true is offered: A uniform, B zero; another beginning comes in by `--init-adapter`",
     only_true},
    {"layers_pattern", refused, "the layers of a Llama are `layers`", only, "", R"(["layers",["layers"]])"},
    {"modules_to_save target_parameters finetune_last_n_layers ensure_weight_tying qat_scheme", refused,
     "adapters are plain LoRA on the decoder's linears", only},
    {"finetune_language_layers finetune_attention_modules finetune_mlp_modules", refused,
     "name the linears in target_modules instead", only_true},
    {"full_finetuning load_in_8bit load_in_fp8", refused, "adapters over the base as stored or over nf4 are offered",
     only},
    {"rope_scaling resize_model_vocab", refused, "the model is taken as it is", only},
    {"task_type", refused, "CAUSAL_LM is offered, no other task", only, "", R"(["CAUSAL_LM"])"},
    {"dtype", refused, "16-bit floats are not computed with; bfloat16 and float32 are", only, "",
     R"(["auto","bfloat16","float32"])"},
    {"loftq_config", different, "counts only with the `init_lora_weights` of its name, which is refused", ignored},
    {"model_name", different, "give the model as `--model`: nothing is downloaded", named},
    {"use_gradient_checkpointing offload_embedding unsloth_tiled_mlp temporary_location max_lora_rank "
     "offload_layers checkpoint_skip_layers",
     different, "memory is planned within `--memory`; no plan changes a bit of the result", ignored},
    {"load_in_16bit finetune_vision_layers finetune_audio_layers text_only token device_map "
     "device_map_planner_kwargs fix_tokenizer trust_remote_code revision use_exact_model_name "
     "float32_mixed_precision fast_inference gpu_memory_utilization float8_kv_cache disable_log_stats "
     "unsloth_vllm_standby tokenizer_name model_patcher return_logits fullgraph auto_model whisper_language "
     "whisper_task unsloth_force_compile",
     different, "nothing to set: it changes no result here", ignored},
};

constexpr Row kAxolotl[] = {
    {"adapter", refused, "lora and qlora are offered: training the whole model is not", adapter_kind, "null"},
    {"lora_r", renamed, "`--rank`; to be given, as there", required, "null"},
    {"lora_alpha", renamed, "`--alpha`; to be given, as there", required, "null"},
    {"lora_dropout", renamed, "`--dropout`", number, "0.0"},
    {"peft_use_rslora", renamed, "`--rslora`", flag, "false"},
    {"lora_rank_pattern", renamed, "`--rank-pattern`", rank_pattern},
    {"lora_alpha_pattern", renamed, "`--alpha-pattern`", rank_pattern},
    {"lora_target_linear", renamed, "`--target` all-linear", target_linear, "false"},
    {"lora_target_modules", renamed, "`--target`, `--target-regex`", elsewhere},
    {"peft_layers_to_transform", different, "becomes a `--target-regex` over these layers", elsewhere},
    {"lora_model_dir", renamed, "`--init-adapter`", init_adapter},
    {"load_in_4bit", renamed, "`--base` nf4 with `--block-size` 64 and `--double-quant`", nf4, "false"},
    {"sequence_len", renamed, "`--max-length`; longer records are left out, as there", sequence_len, "512"},
    {"excess_length_strategy", renamed, "`--truncate` for truncate; drop is the default of both", elsewhere},
    {"sample_packing", different,
     "`--batch-tokens` of sequence_len times micro_batch_size: bins without padding, so a step holds other records",
     packing, "false"},
    {"micro_batch_size", renamed, "`--batch-examples`", batch, "1"},
    {"gradient_accumulation_steps", renamed, "`--accumulate`", accumulate, "1"},
    {"batch_size", different, "`--accumulate` of batch_size over micro_batch_size", elsewhere},
    {"num_epochs", renamed, "`--epochs`, whole ones", epochs, "1.0"},
    {"max_steps", renamed, "`--steps`", max_steps},
    {"learning_rate", renamed, "`--lr`; to be given, as there", learning_rate, "null"},
    {"lr_scheduler", renamed, "`--schedule` linear, cosine or constant; no other is offered", schedule, R"("cosine")"},
    {"warmup_steps", different, "`--warmup`; absent 3 % of the steps, without axolotl's bounds of 2 and 100", warmup,
     "0.03"},
    {"warmup_ratio", different, "`--warmup`, rounded up to a step", elsewhere},
    {"weight_decay", same, "`--weight-decay`", number, "0.0"},
    {"adam_beta1", renamed, "`--betas`, the first", betas, "0.9"},
    {"adam_beta2", renamed, "`--betas`, the second", elsewhere, "0.999"},
    {"adam_epsilon", renamed, "`--eps`", number, "1e-08"},
    {"max_grad_norm", renamed, "`--clip`", number, "1.0"},
    {"optimizer", same, "`--optimizer` adamw or adamw8bit; no other is offered", optimizer, R"("adamw_torch_fused")"},
    {"bf16", different, "`--compute`; auto: bf16 where the CPU has it", compute, R"("auto")"},
    {"seed", different, "`--seed`: order, initialisation and dropout come from it, with other random numbers", whole,
     "42"},
    {"curriculum_sampling", renamed, "`--order` given", curriculum, "false"},
    {"eval_steps", renamed, "`--valid-every`", interval},
    {"save_steps", renamed, "`--save-every`", interval},
    {"early_stopping_patience", renamed, "`--patience`", early_stopping},
    {"chat_template_jinja", renamed, "`--template`; a Jinja file", chat_template},
    {"chat_template datasets[].chat_template", refused,
     "the model's own template is used; another comes by `--template`", only, "", R"(["tokenizer_default","jinja"])"},
    {"base_model", different, "give the model as `--model`: nothing is downloaded", named},
    {"datasets", different, "give the records as `--train`: `messages`, `prompt` and `completion`, or `text`", ignored},
    {"datasets[].path", different, "give the records as `--train`: nothing is downloaded", named},
    {"datasets[].type", refused,
     "write the records as `messages`, `prompt` and `completion` or `text`, and say chat_template", only, "",
     R"(["chat_template","completion"])"},
    {"datasets[].field_messages datasets[].message_field_role datasets[].message_field_content", refused,
     "records say `messages`, `role`, `content`; rename the fields", only, "", R"(["messages","role","content"])"},
    {"datasets[].message_property_mappings", refused, "records say `role` and `content`; rename the fields", only, "",
     R"([{"role":"role","content":"content"},{"content":"content","role":"role"}])"},
    {"datasets[].roles_to_train", refused, "assistant turns train", only, "", R"([["assistant"]])"},
    {"datasets[].train_on_eos datasets[].train_on_eot", refused, "the end of each trained turn trains (turn)", only, "",
     R"(["turn"])"},
    {"datasets[].field datasets[].shards datasets[].shards_idx datasets[].message_field_training "
     "datasets[].message_field_training_detail datasets[].roles datasets[].drop_system_message "
     "datasets[].chat_template_jinja datasets[].split_thinking datasets[].input_transform datasets[].input_format "
     "datasets[].field_human datasets[].field_model datasets[].field_tools datasets[].field_thinking "
     "datasets[].template_thinking_key datasets[].logprobs_field datasets[].temperature",
     refused, "prepare the records as they are to be trained", only},
    {"datasets[].name datasets[].split datasets[].ds_type datasets[].data_files datasets[].revision "
     "datasets[].trust_remote_code datasets[].preprocess_shards datasets[].conversation",
     different, "the records are the file of `--train`, all of it", ignored},
    {"test_datasets val_set_size", different, "split the records and give the held-out ones as `--valid`", named},
    {"train_on_inputs", refused, "the prompt of a record is not trained; write `text` records for that", only},
    {"special_tokens", refused, "the tokenizer is the model's own; pad_token is not needed", special_tokens},
    {"tokens added_tokens_overrides resize_token_embeddings_to_32x shrink_embeddings fix_untrained_tokens "
     "eot_tokens default_system_message chat_template_kwargs tokenizer_config rope_scaling "
     "overrides_of_model_config overrides_of_model_kwargs model_config model_kwargs reinit_weights "
     "tokenizer_use_mistral_common processor_kwargs model_quantization_config model_quantization_config_kwargs "
     "use_onebitllms quantize_moe_experts",
     refused, "model, tokenizer and template are taken as they are", only},
    {"peft_use_dora lora_fan_in_fan_out lora_modules_to_save lora_target_parameters peft peft_layer_replication "
     "peft_trainable_token_indices peft_ensure_weight_tying unfrozen_parameters relora relora_steps "
     "relora_prune_ratio loraplus_lr_ratio lisa_step_interval lisa_n_layers qat quantization",
     refused, "adapters are plain LoRA on the decoder's linears", only},
    {"peft_init_lora_weights", refused,
     "true is offered: A uniform, B zero; another beginning comes in by `--init-adapter`", only_true},
    {"peft_layers_pattern", refused, "the layers of a Llama are `layers`", only, "", R"([["layers"]])"},
    {"load_in_8bit gptq bnb_config_kwargs fp8", refused, "adapters over the base as stored or over nf4 are offered",
     only},
    {"fp16 float16 bfloat16", refused, "16-bit floats are not computed with, and adapters stay f32: bf16 or f32", only},
    {"rl reward_model process_reward_model trl vllm ebft num_labels pretraining_dataset streaming trainer_cls "
     "max_packed_sequence_len pretraining_sample_concatenation role_boundaries dpo_beta dpo_use_logits_to_keep "
     "dpo_generate_during_eval dpo_norm_loss dpo_use_weighting dpo_label_smoothing dpo_use_liger_kernel "
     "dpo_padding_free dpo_loss_type dpo_loss_weights precompute_ref_log_probs center_rewards_coefficient "
     "rpo_alpha orpo_alpha simpo_gamma cpo_alpha kto_desirable_weight kto_undesirable_weight rl_beta",
     refused, "supervised records train, read from one file", only},
    {"deepspeed fsdp ddp tensor_parallel_size context_parallel_size sequence_parallel_degree dp_shard_size "
     "dp_replicate_size",
     refused, "one process on one machine trains", only, "", "[1]"},
    {"lr_scheduler_kwargs cosine_min_lr_ratio cosine_constant_lr_ratio lr_quadratic_warmup lr_div_factor lr_groups "
     "embedding_lr embedding_lr_scale optim_args optim_target_modules torchdistx_path adam_epsilon2 adam_beta3 "
     "jagged_restart_steps jagged_restart_warmup_steps jagged_restart_anneal_steps",
     refused, "AdamW with one rate and the schedules as they are", only},
    {"neftune_noise_alpha noisy_embedding_alpha use_eaft s2_attention use_pose scaling_softmax diffusion", refused,
     "the loss is the plain one, over full causal attention", only},
    {"group_by_length sample_packing_sequentially dataset_exact_deduplication min_sample_len auto_find_batch_size "
     "dataloader_drop_last",
     refused, "every record of the file trains, in the order of `--order`", only},
    {"resume_from_checkpoint auto_resume_from_checkpoints", refused,
     "states of other trainers are not read; `--resume` goes on from ftlib's own, `--init-adapter` from an adapter",
     only},
    {"metric_for_best_model", refused, "the best adapter is that of the lowest loss", only, "",
     R"(["loss","eval_loss"])"},
    {"greater_is_better loss_watchdog_threshold loss_watchdog_patience", refused,
     "the best adapter is that of the lowest loss; a loss that is not finite stops the run", only},
    {"plugins", refused, "kernels that change no result need no plugin; other plugins are refused", only, "",
     R"([["axolotl.integrations.liger.LigerPlugin"],)"
     R"(["axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin"]])"},
    {"dion_lr dion_momentum dion_rank_fraction dion_rank_multiple_of qgalore_rank qgalore_update_proj_gap "
     "qgalore_scale qgalore_proj_type qgalore_proj_quant qgalore_proj_bits qgalore_proj_group_size "
     "qgalore_cos_threshold qgalore_gamma_proj qgalore_queue_size relora_prune_method relora_cpu_offload "
     "lisa_layers_attribute eaft_alpha eaft_k scaling_softmax_factor scaling_softmax_bias pose_split_on_token_ids "
     "pose_max_context_len pose_num_chunks fp8_config fp8_enable_fsdp_float8_all_gather",
     different, "counts only with an optimizer or a method that is refused", ignored},
    {"evals_per_epoch eval_strategy evaluation_strategy eval_sequence_len eval_batch_size eval_sample_packing "
     "eval_table_size eval_max_new_tokens do_causal_lm_eval eval_causal_lm_metrics do_bench_eval "
     "load_best_model_at_end",
     different, "with `--valid` at the end of each epoch or by `--valid-every`; the best adapter is kept", ignored},
    {"saves_per_epoch save_strategy save_total_limit save_only_model save_first_step save_safetensors "
     "dynamic_checkpoint",
     different, "checkpoints are whole, checked, pruned by themselves, at the end of each epoch or by `--save-every`",
     ignored},
    {"output_dir wandb_project wandb_entity wandb_watch wandb_name wandb_run_id wandb_log_model wandb_mode "
     "use_wandb mlflow_tracking_uri mlflow_experiment_name mlflow_run_name hf_mlflow_log_artifacts use_mlflow "
     "use_comet use_trackio use_otel_metrics use_tensorboard logging_steps include_tokens_per_second include_tkps "
     "comet_api_key comet_workspace comet_project_name comet_experiment_key comet_mode comet_online "
     "comet_experiment_config trackio_project_name trackio_run_name trackio_space_id otel_metrics_host "
     "otel_metrics_port generate_samples num_generation_samples generation_max_new_tokens generation_temperature "
     "generation_top_p generation_top_k generation_prompt_ratio generation_do_sample profiler_steps "
     "profiler_steps_start gc_steps debug strict",
     different, "give the folder as `--out`; every step is in its journal", ignored},
    {"hub_model_id hub_strategy hub_revision hf_use_auth_token push_dataset_to_hub", different, "nothing is uploaded",
     ignored},
    {"gradient_checkpointing gradient_checkpointing_kwargs activation_offloading layer_offloading lora_on_cpu "
     "max_memory gpu_memory_limit low_cpu_mem_usage tiled_mlp tiled_mlp_num_shards tiled_mlp_use_original_mlp "
     "selective_checkpointing torch_empty_cache_steps gc_collect_steps ple_cpu_offload",
     different, "memory is planned within `--memory`; no plan changes a bit of the result", ignored},
    {"dataset_prepared_path dataset_processes dataset_num_proc dataset_keep_in_memory dataset_shard_num "
     "dataset_shard_idx num_dataset_shards_to_save skip_prepare_dataset shuffle_merged_datasets "
     "shuffle_before_merging_datasets dataloader_num_workers dataloader_pin_memory dataloader_prefetch_factor "
     "remove_unused_columns accelerator_config",
     different, "nothing to set: records are read once, and their order comes from `--seed`", ignored},
    {"sample_packing_group_size sample_packing_bin_size sample_packing_mp_start_method pad_to_sequence_len "
     "pad_to_multiple_of multipack_real_batches batch_flattening streaming_multipack_buffer_size max_prompt_len "
     "pretrain_multipack_buffer_size pretrain_multipack_attn sample_packing_eff_est",
     different, "nothing to set: no batch has padding", ignored},
    {"flash_attention sdp_attention xformers_attention flex_attention eager_attention sage_attention "
     "attn_implementation flash_attn_cross_entropy flash_attn_rms_norm flash_attn_fuse_qkv flash_attn_fuse_mlp "
     "flash_optimum lora_mlp_kernel lora_qkv_kernel lora_o_kernel lora_embedding_kernel unsloth_cross_entropy_loss "
     "unsloth_lora_mlp unsloth_lora_qkv unsloth_lora_o unsloth_rms_norm unsloth_rope liger_rope liger_rms_norm "
     "liger_glu_activation liger_swiglu liger_layer_norm liger_cross_entropy liger_fused_linear_cross_entropy "
     "cut_cross_entropy chunked_cross_entropy chunked_cross_entropy_num_chunks torch_compile torch_compile_backend "
     "torch_compile_mode tf32 float32 use_kernels torch_compile_options flex_attn_compile_kwargs "
     "gemma4_hybrid_attn_impl large_head_attention flash_attn_d512 sdpa_varlen fused_attn_kernel "
     "experts_implementation fp32_norms fp32_norm_classes",
     different, "nothing to set: kernels that compute the same", ignored},
    {"model_type tokenizer_type tokenizer_use_fast tokenizer_legacy processor_type trust_remote_code "
     "base_model_config revision_of_model cls_model_config is_llama_derived_model is_falcon_derived_model "
     "is_mistral_derived_model is_qwen_derived_model device device_map world_size local_rank ddp_timeout "
     "ddp_bucket_cap_mb ddp_broadcast_buffers ddp_find_unused_parameters fsdp_config fsdp_version "
     "fsdp_final_state_dict_type embeddings_skip_upcast mean_resizing_embeddings peft_autocast_adapter_dtype "
     "qlora_sharded_model_loading loraplus_lr_embedding tokenizer_save_jinja_files "
     "experimental_skip_move_to_device gradio_title gradio_share gradio_server_name gradio_server_port "
     "gradio_max_new_tokens gradio_temperature use_ray ray_run_name ray_num_workers resources_per_worker "
     "image_size image_resize_algorithm type_of_model bench_dataset bench_split freeze_mm_modules "
     "llama4_linearized_experts deepcompile heads_k_stride ring_attn_func is_preprocess preprocess_iterable "
     "total_num_tokens total_supervised_tokens axolotl_config_path merge_lora merge_method",
     different, "nothing to set: it changes no result here", ignored},
};

}  // namespace

Table unsloth_table() { return {"Unsloth", kUnsloth}; }
Table axolotl_table() { return {"axolotl", kAxolotl}; }

}  // namespace ftlib::cli::migration
