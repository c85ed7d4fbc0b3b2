// SPDX-License-Identifier: Apache-2.0
//! Written by tools/capi_bindings.py from capi/abi/ftlib_c-0.layout: Rust lays every struct out as C does.
use ftlib_sys::*;
use std::mem::{align_of, size_of, MaybeUninit};
use std::ptr::addr_of;

fn size_of_field<T>(_: *const T) -> usize {
    size_of::<T>()
}

macro_rules! facts {
    ($out:ident, $kind:ident: $($field:ident)*) => {
        $out.push(format!("struct {} {} {}", stringify!($kind), size_of::<$kind>(), align_of::<$kind>()));
        let place = MaybeUninit::<$kind>::uninit();
        $(
            let field = unsafe { addr_of!((*place.as_ptr()).$field) };
            let offset = field as usize - place.as_ptr() as usize;
            $out.push(format!("field {} {} {} {}", stringify!($kind), stringify!($field), offset, size_of_field(field)));
        )*
    };
}

#[test]
fn structs_lie_as_the_golden_layout_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../capi/abi/ftlib_c-0.layout");
    let golden = std::fs::read_to_string(path).unwrap();
    let mut facts: Vec<String> = Vec::new();
    facts!(facts, ft_tokenizer_options: struct_size reserved chat_template date);
    facts!(facts, ft_tokenizer_info: struct_size vocab_size bos_id eos_id pad_id adds_bos chat_template digest);
    facts!(facts, ft_model_options: struct_size base compute block_size double_quant reserved chat_template date);
    facts!(facts, ft_model_info: struct_size compute base tie_word_embeddings model_type digest vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim max_position_embeddings weight_bytes);
    facts!(facts, ft_dataset_options: struct_size supervise_last max_length truncate reserved limit);
    facts!(facts, ft_record_options: struct_size prompt_messages id group weight);
    facts!(facts, ft_dataset_info: struct_size reserved examples records left_out truncated tokens supervised_tokens);
    facts!(facts, ft_batch_options: struct_size order batch_tokens batch_examples accumulate seed epochs);
    facts!(facts, ft_batch: struct_size reserved epoch step micro_step token_count segment_count supervised_tokens tokens labels weights positions segment_offsets);
    facts!(facts, ft_batch_position: struct_size reserved epoch step micro_step);
    facts!(facts, ft_tensor: struct_size dtype data rank reserved shape stride);
    facts!(facts, ft_adapter_info: struct_size use_rslora r lora_alpha lora_dropout parameter_count tensor_count digest base_digest);
    facts!(facts, ft_lora_options: struct_size use_rslora r lora_alpha lora_dropout target_modules target_module_count target_regex rank_pattern rank_pattern_r rank_pattern_count alpha_pattern alpha_pattern_alpha alpha_pattern_count);
    facts!(facts, ft_train_options: struct_size order epochs steps batch_tokens batch_examples accumulate seed lr schedule optimizer warmup weight_decay clip beta1 beta2 eps on_nonfinite reserved memory_bytes valid_every patience init_adapter);
    facts!(facts, ft_progress: struct_size finished step total_steps epoch loss grad_norm lr tokens supervised_tokens seconds skipped validated valid_loss best_valid_loss best_step train_loss);
    facts!(facts, ft_memory_plan: struct_size reserved peak_bytes trainer_bytes budget_bytes layers_kept_whole layers_without_mlp layers_input_only);
    facts!(facts, ft_evaluate_options: struct_size reserved metrics max_tokens batch_tokens);
    facts!(facts, ft_evaluation_info: struct_size reserved loss perplexity tokens supervised_tokens example_count answer_count metric_count);
    facts!(facts, ft_example_result: struct_size reserved id nll supervised_tokens output output_bytes scores);
    facts!(facts, ft_interval: struct_size reserved estimate low high);
    facts!(facts, ft_generate_options: struct_size reserved max_tokens temperature top_k top_p seed stop_tokens stop_token_count);
    facts!(facts, ft_answer: struct_size stopped tokens token_count text text_bytes prompt_tokens);
    facts!(facts, ft_weight: struct_size format out_features in_features data absmax nested_scales nested_offset block_size);
    facts!(facts, ft_lora_linear_args: struct_size scale weight x bias a b u y);
    facts!(facts, ft_lora_linear_backward_args: struct_size scale weight dy x a b u du d_a d_b dx);
    facts!(facts, ft_adamw_options: struct_size reserved lr beta1 beta2 eps weight_decay);
    let want: Vec<String> = golden
        .lines()
        .filter(|line| line.starts_with("struct ") || line.starts_with("field "))
        .map(|line| line.split(' ').take(if line.starts_with("struct") { 4 } else { 5 }).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(facts, want);
}
