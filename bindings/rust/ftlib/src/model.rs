// SPDX-License-Identifier: Apache-2.0
use crate::adapter::{raw_or_null, Adapter};
use crate::callback::{with_tokens, with_work};
use crate::dataset::Dataset;
use crate::error::{check, Result};
use crate::evaluation::{EvaluateOptions, Evaluation};
use crate::handle::{borrowed, copied, defaults, optional_text, path, pointer, sized, sized_text, text, Handle};
use crate::tokenizer::Tokenizer;
use ftlib_sys as sys;
use std::path::Path;

/// What the linears of the decoder are in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BaseFormat {
    /// As the file has them, GGUF's quantised blocks included.
    #[default]
    Native,
    /// Single precision.
    F32,
    /// Brain float.
    Bf16,
    /// QLoRA: quantised as bitsandbytes does.
    Nf4 {
        /// Elements a block: 32, 64, ..., 4096.
        block_size: i32,
        /// Quantise the block scales too.
        double_quant: bool,
    },
}

/// The arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compute {
    /// bf16 where the processor multiplies it natively, else f32.
    #[default]
    Auto = sys::FT_COMPUTE_AUTO as isize,
    /// Single precision.
    F32 = sys::FT_COMPUTE_F32 as isize,
    /// Brain float; refused where the processor does not have it.
    Bf16 = sys::FT_COMPUTE_BF16 as isize,
}

/// How a model is opened.
#[derive(Clone, Debug, Default)]
pub struct ModelOptions {
    /// What the linears are in memory.
    pub base: BaseFormat,
    /// The arithmetic.
    pub compute: Compute,
    /// Jinja text in place of the model's own template.
    pub chat_template: Option<String>,
    /// What the template's strftime_now sees, YYYY-MM-DD.
    pub date: Option<String>,
}

impl ModelOptions {
    fn with<T>(&self, open: impl FnOnce(&sys::ft_model_options) -> Result<T>) -> Result<T> {
        let template = optional_text("chat_template", self.chat_template.as_deref())?;
        let date = optional_text("date", self.date.as_deref())?;
        let mut raw = defaults!(sys::ft_model_options, sys::ft_model_options_init);
        raw.compute = self.compute as i32;
        raw.chat_template = pointer(&template);
        raw.date = pointer(&date);
        match self.base {
            BaseFormat::Native => raw.base = sys::FT_BASE_NATIVE,
            BaseFormat::F32 => raw.base = sys::FT_BASE_F32,
            BaseFormat::Bf16 => raw.base = sys::FT_BASE_BF16,
            BaseFormat::Nf4 { block_size, double_quant } => {
                raw.base = sys::FT_BASE_NF4;
                raw.block_size = block_size;
                raw.double_quant = i32::from(double_quant);
            }
        }
        open(&raw)
    }
}

/// Facts of a model, with the names of Hugging Face's config.json.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ModelInfo {
    pub model_type: String,
    pub compute: Compute,
    pub digest: String,
    pub tie_word_embeddings: bool,
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

/// How answers are made.
#[derive(Clone, Debug)]
pub struct GenerateOptions {
    /// New tokens a prompt; 128.
    pub max_tokens: i64,
    /// 0: the likeliest token.
    pub temperature: f64,
    /// The k likeliest; 0: all.
    pub top_k: i64,
    /// The smallest set whose probability reaches it; 1.
    pub top_p: f64,
    /// Of the sampling.
    pub seed: u64,
    /// `None`: the tokenizer's end token and end-of-turn tokens.
    pub stop_tokens: Option<Vec<i32>>,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        GenerateOptions { max_tokens: 128, temperature: 0.0, top_k: 0, top_p: 1.0, seed: 0, stop_tokens: None }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Without control tokens.
    pub text: String,
    /// Without the stop token.
    pub tokens: Vec<i32>,
    /// By a stop token, not by max_tokens.
    pub stopped: bool,
    /// Tokens of the prompt.
    pub prompt_tokens: i64,
}

/// Frozen weights with their tokenizer. Immutable: any number of threads and trainers share it.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/example.rs"));
/// # fn main() -> ftlib::Result<()> {
/// # files();
/// use ftlib::{GenerateOptions, Message, Model};
/// let model = Model::open("model.gguf", &Default::default())?;
/// let prompt = model.tokenizer()?.encode_messages(&[Message::new("user", "Hi")], true)?;
/// let options = GenerateOptions { max_tokens: 8, ..Default::default() };
/// let answers = model.generate(None, &[&prompt], &options, |_prompt, _token, _text| true)?;
/// println!("{}", answers[0].text);
/// # Ok(())
/// # }
/// ```
pub struct Model {
    pub(crate) handle: Handle<sys::ft_model>,
}

// ft_model: any number of threads at once.
unsafe impl Send for Model {}
unsafe impl Sync for Model {}

impl Model {
    /// A .gguf file or a Hugging Face folder.
    pub fn open(model: impl AsRef<Path>, options: &ModelOptions) -> Result<Model> {
        let model = path("model", model)?;
        options.with(|raw| {
            let handle = Handle::make(sys::ft_model_free, |out| unsafe { sys::ft_model_open(model.as_ptr(), raw, out) })?;
            Ok(Model { handle })
        })
    }

    /// A GGUF file that lies in memory, which is read here only.
    pub fn from_memory(gguf: &[u8], options: &ModelOptions) -> Result<Model> {
        options.with(|raw| {
            let handle = Handle::make(sys::ft_model_free, |out| unsafe {
                sys::ft_model_open_memory(gguf.as_ptr().cast(), gguf.len(), raw, out)
            })?;
            Ok(Model { handle })
        })
    }

    /// Its facts.
    pub fn info(&self) -> Result<ModelInfo> {
        let mut raw = sized!(sys::ft_model_info);
        check(unsafe { sys::ft_model_get_info(self.handle.raw, &mut raw) })?;
        Ok(ModelInfo {
            model_type: unsafe { copied(raw.model_type) },
            compute: if raw.compute == sys::FT_COMPUTE_BF16 { Compute::Bf16 } else { Compute::F32 },
            digest: unsafe { copied(raw.digest) },
            tie_word_embeddings: raw.tie_word_embeddings == 1,
            vocab_size: raw.vocab_size,
            hidden_size: raw.hidden_size,
            intermediate_size: raw.intermediate_size,
            num_hidden_layers: raw.num_hidden_layers,
            num_attention_heads: raw.num_attention_heads,
            num_key_value_heads: raw.num_key_value_heads,
            head_dim: raw.head_dim,
            max_position_embeddings: raw.max_position_embeddings,
            weight_bytes: raw.weight_bytes,
        })
    }

    /// Its tokenizer, which outlives it.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let handle = Handle::make(sys::ft_tokenizer_free, |out| unsafe { sys::ft_model_tokenizer(self.handle.raw, out) })?;
        Ok(Tokenizer { handle })
    }

    /// Reads a PEFT folder or a GGUF adapter.
    pub fn adapter(&self, from: impl AsRef<Path>) -> Result<Adapter> {
        let from = path("from", from)?;
        let handle =
            Handle::make(sys::ft_adapter_free, |out| unsafe { sys::ft_adapter_open(self.handle.raw, from.as_ptr(), out) })?;
        Ok(Adapter { handle })
    }

    /// Loss, and with metrics scores of greedy answers. `progress` is told of tokens or answers done and in all; false cancels.
    pub fn evaluate(
        &self,
        adapter: Option<&Adapter>,
        dataset: &Dataset,
        options: &EvaluateOptions,
        mut progress: impl FnMut(i64, i64) -> bool,
    ) -> Result<Evaluation> {
        let metrics = if options.metrics.is_empty() { None } else { Some(text("metrics", options.metrics.join(","))?) };
        let mut raw = defaults!(sys::ft_evaluate_options, sys::ft_evaluate_options_init);
        raw.metrics = pointer(&metrics);
        raw.max_tokens = options.max_tokens;
        raw.batch_tokens = options.batch_tokens;
        let mut out = std::ptr::null_mut();
        with_work(&mut progress, |callback, user| unsafe {
            sys::ft_evaluate(self.handle.raw, raw_or_null(adapter), dataset.handle.raw, &raw, callback, user, &mut out)
        })?;
        Ok(Evaluation { handle: Handle::make(sys::ft_evaluation_free, |place| take(out, place))? })
    }

    /// An answer to each prompt (tokens); none depends on the others. `on_token` is told of each token as it comes: prompt,
    /// token, its bytes; false ends all answers with [`crate::Status::Cancelled`].
    pub fn generate(
        &self,
        adapter: Option<&Adapter>,
        prompts: &[&[i32]],
        options: &GenerateOptions,
        mut on_token: impl FnMut(usize, i32, &[u8]) -> bool,
    ) -> Result<Vec<Answer>> {
        let mut raw = defaults!(sys::ft_generate_options, sys::ft_generate_options_init);
        raw.max_tokens = options.max_tokens;
        raw.temperature = options.temperature;
        raw.top_k = options.top_k;
        raw.top_p = options.top_p;
        raw.seed = options.seed;
        if let Some(stop) = &options.stop_tokens {
            raw.stop_tokens = stop.as_ptr();
            raw.stop_token_count = stop.len();
        }
        let pointers: Vec<*const i32> = prompts.iter().map(|prompt| prompt.as_ptr()).collect();
        let lengths: Vec<usize> = prompts.iter().map(|prompt| prompt.len()).collect();
        let mut out = std::ptr::null_mut();
        with_tokens(&mut on_token, |callback, user| unsafe {
            sys::ft_generate(self.handle.raw, raw_or_null(adapter), pointers.as_ptr(), lengths.as_ptr(), prompts.len(), &raw,
                             callback, user, &mut out)
        })?;
        let generation: Handle<sys::ft_generation> = Handle::make(sys::ft_generation_free, |place| take(out, place))?;
        (0..prompts.len())
            .map(|index| {
                let mut raw = sized!(sys::ft_answer);
                check(unsafe { sys::ft_generation_answer(generation.raw, index, &mut raw) })?;
                unsafe {
                    Ok(Answer {
                        text: sized_text(raw.text, raw.text_bytes),
                        tokens: borrowed(raw.tokens, raw.token_count as i64).to_vec(),
                        stopped: raw.stopped == 1,
                        prompt_tokens: raw.prompt_tokens,
                    })
                }
            })
            .collect()
    }

    /// Base + adapter as a model of its own: a GGUF file where `out` ends in ".gguf", else a Hugging Face folder. `format`:
    /// "f32", "bf16", "f16" or, for GGUF, "q8_0". `progress` is told of bytes; false cancels.
    pub fn merge(
        &self,
        adapter: &Adapter,
        out: impl AsRef<Path>,
        format: &str,
        mut progress: impl FnMut(i64, i64) -> bool,
    ) -> Result<()> {
        let (out, format) = (path("out", out)?, text("format", format)?);
        with_work(&mut progress, |callback, user| unsafe {
            sys::ft_merge(self.handle.raw, adapter.handle.raw, out.as_ptr(), format.as_ptr(), callback, user)
        })
    }
}

/// A handle that is there already, for [`Handle::make`].
fn take<T>(from: *mut T, place: *mut *mut T) -> sys::ft_status {
    unsafe { *place = from };
    sys::FT_OK
}
