// SPDX-License-Identifier: Apache-2.0
use crate::adapter::{raw_or_null, Adapter};
use crate::callback::with_steps;
use crate::dataset::{Dataset, Order};
use crate::error::{check, Error, Result, Status};
use crate::handle::{defaults, optional_text, path, pointer, sized, texts, Handle, Texts};
use crate::model::Model;
use ftlib_sys as sys;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// PEFT's LoraConfig, the fields that are supported.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraOptions {
    /// The rank; 16.
    pub r: i64,
    /// The update is scaled by alpha / r; 32.
    pub lora_alpha: f64,
    /// On the adapter's input; 0.
    pub lora_dropout: f64,
    /// Scale by alpha / sqrt(r) instead.
    pub use_rslora: bool,
    /// Names, exact or the end after a dot; empty: all linears but the head.
    pub target_modules: Vec<String>,
    /// A regular expression that matches the whole path decides instead.
    pub target_regex: Option<String>,
    /// Modules with a rank of their own, by PEFT's keys.
    pub rank_pattern: Vec<(String, i64)>,
    /// Modules with an alpha of their own.
    pub alpha_pattern: Vec<(String, f64)>,
}

impl Default for LoraOptions {
    fn default() -> Self {
        LoraOptions {
            r: 16,
            lora_alpha: 32.0,
            lora_dropout: 0.0,
            use_rslora: false,
            target_modules: Vec::new(),
            target_regex: None,
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
        }
    }
}

/// The optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Optimizer {
    /// States in f32.
    #[default]
    AdamW = sys::FT_ADAMW as isize,
    /// States in blocks of 256 at 8 bits.
    AdamW8bit = sys::FT_ADAMW_8BIT as isize,
}

/// The learning rate's way, as transformers has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// Warm-up, then half a cosine.
    #[default]
    Cosine = sys::FT_SCHEDULE_COSINE as isize,
    /// Warm-up, then a line to 0.
    Linear = sys::FT_SCHEDULE_LINEAR as isize,
    /// Warm-up, then the rate.
    Constant = sys::FT_SCHEDULE_CONSTANT as isize,
}

/// What a NaN in loss or gradient does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNonFinite {
    /// An error that names the layer; everything is as before the step.
    #[default]
    Stop = sys::FT_NONFINITE_STOP as isize,
    /// The step changes nothing, and training goes on.
    Skip = sys::FT_NONFINITE_SKIP as isize,
}

/// The options of `ftlib tune`, with its defaults.
#[derive(Clone)]
pub struct TrainOptions<'a> {
    /// Times over the records; 1.
    pub epochs: i64,
    /// Exactly so many optimiser steps, wrapping epochs; 0: by epochs.
    pub steps: i64,
    /// Packed tokens of a micro-batch at most; 2048.
    pub batch_tokens: i64,
    /// So many examples a micro-batch instead; 0: by tokens.
    pub batch_examples: i64,
    /// Micro-batches of a step; 1.
    pub accumulate: i64,
    /// The order of the records.
    pub order: Order,
    /// Of order, initialisation and dropout.
    pub seed: u64,
    /// The learning rate; 2e-4.
    pub lr: f64,
    /// The learning rate's way.
    pub schedule: Schedule,
    /// Below 1 a share of all steps, else steps; 0.05.
    pub warmup: f64,
    /// Decoupled; 0.
    pub weight_decay: f64,
    /// Global norm of the gradient; 1; 0: no clipping.
    pub clip: f64,
    /// Of AdamW; 0.9.
    pub beta1: f64,
    /// Of AdamW; 0.999.
    pub beta2: f64,
    /// Of AdamW; 1e-8.
    pub eps: f64,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// What a NaN does.
    pub on_nonfinite: OnNonFinite,
    /// A bound on the process's peak memory; 0: 80 % of what the machine has.
    pub memory_bytes: i64,
    /// Steps between validations; 0: at the end of each epoch.
    pub valid_every: i64,
    /// Stop after so many validations without improvement; 0: never.
    pub patience: i64,
    /// Begin from this adapter, whose LoRA options win: give none then.
    pub init_adapter: Option<&'a Adapter>,
}

impl Default for TrainOptions<'_> {
    fn default() -> Self {
        TrainOptions {
            epochs: 1,
            steps: 0,
            batch_tokens: 2048,
            batch_examples: 0,
            accumulate: 1,
            order: Order::Shuffle,
            seed: 0,
            lr: 2e-4,
            schedule: Schedule::Cosine,
            warmup: 0.05,
            weight_decay: 0.0,
            clip: 1.0,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            optimizer: Optimizer::AdamW,
            on_nonfinite: OnNonFinite::Stop,
            memory_bytes: 0,
            valid_every: 0,
            patience: 0,
            init_adapter: None,
        }
    }
}

impl TrainOptions<'_> {
    fn native(&self) -> Result<sys::ft_train_options> {
        let mut raw = defaults!(sys::ft_train_options, sys::ft_train_options_init);
        raw.epochs = self.epochs;
        raw.steps = self.steps;
        raw.batch_tokens = self.batch_tokens;
        raw.batch_examples = self.batch_examples;
        raw.accumulate = self.accumulate;
        raw.order = self.order as i32;
        raw.seed = self.seed;
        raw.lr = self.lr;
        raw.schedule = self.schedule as i32;
        raw.warmup = self.warmup;
        raw.weight_decay = self.weight_decay;
        raw.clip = self.clip;
        raw.beta1 = self.beta1;
        raw.beta2 = self.beta2;
        raw.eps = self.eps;
        raw.optimizer = self.optimizer as i32;
        raw.on_nonfinite = self.on_nonfinite as i32;
        raw.memory_bytes = self.memory_bytes;
        raw.valid_every = self.valid_every;
        raw.patience = self.patience;
        raw.init_adapter = raw_or_null(self.init_adapter);
        Ok(raw)
    }
}

/// What a step was, and where the run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: i64,
    /// Of the run.
    pub total_steps: i64,
    /// Of the step, from 0.
    pub epoch: i64,
    /// Its mean over its supervised tokens, before its update.
    pub loss: f64,
    /// Before the clip.
    pub grad_norm: f64,
    /// The learning rate.
    pub lr: f64,
    /// Of that step.
    pub tokens: i64,
    /// Of that step.
    pub supervised_tokens: i64,
    /// Of that step.
    pub seconds: f64,
    /// It was not finite and changed nothing.
    pub skipped: bool,
    /// Measured after that step.
    pub valid_loss: Option<f64>,
    /// The lowest.
    pub best_valid_loss: Option<f64>,
    /// Of the adapter with the lowest.
    pub best_step: i64,
    /// Mean over all supervised tokens so far.
    pub train_loss: f64,
    /// All steps are done, or patience has run out.
    pub finished: bool,
}

impl Progress {
    fn from(raw: &sys::ft_progress) -> Progress {
        Progress {
            step: raw.step,
            total_steps: raw.total_steps,
            epoch: raw.epoch,
            loss: raw.loss,
            grad_norm: raw.grad_norm,
            lr: raw.lr,
            tokens: raw.tokens,
            supervised_tokens: raw.supervised_tokens,
            seconds: raw.seconds,
            skipped: raw.skipped == 1,
            valid_loss: if raw.validated == 1 { Some(raw.valid_loss) } else { None },
            best_valid_loss: if raw.best_valid_loss.is_nan() { None } else { Some(raw.best_valid_loss) },
            best_step: raw.best_step,
            train_loss: raw.train_loss,
            finished: raw.finished == 1,
        }
    }
}

/// What the run takes, as planned before its first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Of the whole process.
    pub peak_bytes: i64,
    /// Of that, what the trainer added.
    pub trainer_bytes: i64,
    /// The bound.
    pub budget_bytes: i64,
    /// Plan A: every product's output is kept.
    pub layers_kept_whole: i64,
    /// Plan B: gate and up are computed again.
    pub layers_without_mlp: i64,
    /// Plan C: the whole layer is computed again.
    pub layers_input_only: i64,
}

/// One training run. One call at a time; a [`CancelToken`] works from any thread.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/example.rs"));
/// # fn main() -> ftlib::Result<()> {
/// # files();
/// use ftlib::{Dataset, Model, TrainOptions, Trainer};
/// let model = Model::open("model.gguf", &Default::default())?;
/// let data = Dataset::open(&model.tokenizer()?, "train.jsonl", &Default::default())?;
/// let options = TrainOptions { steps: 4, ..Default::default() };
/// let mut trainer = Trainer::new(&model, &data, None, &Default::default(), &options)?;
/// let finished = trainer.run(|now| {
///     println!("step {} of {}: loss {:.3}", now.step, now.total_steps, now.loss);
///     now.step < 2
/// })?;
/// assert!(!finished);
/// trainer.save("state")?; // resume() goes on from there
/// # Ok(())
/// # }
/// ```
///
/// It may go to another thread, but two may not share it:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<ftlib::Trainer>();
/// ```
pub struct Trainer {
    handle: Handle<sys::ft_trainer>,
    asked: Arc<AtomicBool>, // to end the steps that are in progress
    _not_sync: PhantomData<std::cell::Cell<()>>,
}

// ft_trainer: one call at a time, from any thread.
unsafe impl Send for Trainer {}

/// Ends what a trainer is doing from anywhere; of use as long as the trainer lives, and harmless afterwards.
#[derive(Clone)]
pub struct CancelToken {
    raw: *mut sys::ft_trainer,
    asked: Arc<AtomicBool>,
}

// ft_trainer_cancel and ft_trainer_progress: any thread, and a handle that is freed is refused.
unsafe impl Send for CancelToken {}
unsafe impl Sync for CancelToken {}

impl CancelToken {
    /// The step, the run or the [`Steps`] in progress end with [`Status::Cancelled`], a step after its micro-batch.
    /// Where there are none it does nothing.
    pub fn cancel(&self) -> Result<()> {
        self.asked.store(true, Ordering::Relaxed); // between two of the steps the library has nothing to end
        check(unsafe { sys::ft_trainer_cancel(self.raw) })
    }

    /// Where the run is, without waiting for its step.
    pub fn progress(&self) -> Result<Progress> {
        progress_of(self.raw)
    }
}

fn progress_of(trainer: *const sys::ft_trainer) -> Result<Progress> {
    let mut raw = sized!(sys::ft_progress);
    check(unsafe { sys::ft_trainer_progress(trainer, &mut raw) })?;
    Ok(Progress::from(&raw))
}

impl Trainer {
    /// Prepares a run and takes all memory that it needs. `valid`: held-out records that choose the best adapter.
    pub fn new(
        model: &Model,
        train: &Dataset,
        valid: Option<&Dataset>,
        lora: &LoraOptions,
        options: &TrainOptions<'_>,
    ) -> Result<Trainer> {
        let targets = texts(|i| format!("target_modules[{i}]"), lora.target_modules.iter().map(String::as_str))?;
        let regex = optional_text("target_regex", lora.target_regex.as_deref())?;
        let (rank_keys, ranks) = (keys("rank_pattern", &lora.rank_pattern)?, values(&lora.rank_pattern));
        let (alpha_keys, alphas) = (keys("alpha_pattern", &lora.alpha_pattern)?, values(&lora.alpha_pattern));
        let mut raw = defaults!(sys::ft_lora_options, sys::ft_lora_options_init);
        raw.r = lora.r;
        raw.lora_alpha = lora.lora_alpha;
        raw.lora_dropout = lora.lora_dropout;
        raw.use_rslora = i32::from(lora.use_rslora);
        raw.target_modules = targets.pointers.as_ptr();
        raw.target_module_count = targets.pointers.len();
        raw.target_regex = pointer(&regex);
        raw.rank_pattern = rank_keys.pointers.as_ptr();
        raw.rank_pattern_r = ranks.as_ptr();
        raw.rank_pattern_count = ranks.len();
        raw.alpha_pattern = alpha_keys.pointers.as_ptr();
        raw.alpha_pattern_alpha = alphas.as_ptr();
        raw.alpha_pattern_count = alphas.len();
        // Other options than the defaults reach the library, which refuses them beside an adapter.
        let none = options.init_adapter.is_some() && *lora == LoraOptions::default();
        let lora_pointer = if none { std::ptr::null() } else { &raw as *const _ };
        let native = options.native()?;
        let valid = valid.map_or(std::ptr::null(), |valid| valid.handle.raw as *const _);
        let handle = Handle::make(sys::ft_trainer_free, |out| unsafe {
            sys::ft_trainer_create(model.handle.raw, train.handle.raw, valid, lora_pointer, &native, out)
        })?;
        Ok(Trainer { handle, asked: Arc::default(), _not_sync: PhantomData })
    }

    /// One optimiser step, and the validation that is due after it.
    pub fn step(&mut self) -> Result<Progress> {
        let mut raw = sized!(sys::ft_progress);
        check(unsafe { sys::ft_trainer_step(self.handle.raw, &mut raw) })?;
        Ok(Progress::from(&raw))
    }

    /// The steps that are left, one a time; ends when the run is finished, or after an error.
    pub fn steps(&mut self) -> Steps<'_> {
        self.asked.store(false, Ordering::Relaxed);
        Steps { trainer: self, ended: false }
    }

    /// Steps until the run is finished, or `on_step` says false. Says whether it is finished.
    pub fn run(&mut self, mut on_step: impl FnMut(&Progress) -> bool) -> Result<bool> {
        let mut said_no = false;
        let result = with_steps(
            &mut |raw| {
                said_no = !on_step(&Progress::from(raw));
                !said_no
            },
            |callback, user| unsafe { sys::ft_trainer_run(self.handle.raw, callback, user) },
        );
        match result {
            Err(error) if error.status() == Status::Cancelled && said_no => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// What ends this run from anywhere.
    pub fn cancel_token(&self) -> CancelToken {
        CancelToken { raw: self.handle.raw, asked: self.asked.clone() }
    }

    /// Where the run is.
    pub fn progress(&self) -> Result<Progress> {
        progress_of(self.handle.raw)
    }

    /// The memory plan.
    pub fn plan(&self) -> Result<MemoryPlan> {
        let mut raw = sized!(sys::ft_memory_plan);
        check(unsafe { sys::ft_trainer_get_plan(self.handle.raw, &mut raw) })?;
        Ok(MemoryPlan {
            peak_bytes: raw.peak_bytes,
            trainer_bytes: raw.trainer_bytes,
            budget_bytes: raw.budget_bytes,
            layers_kept_whole: raw.layers_kept_whole,
            layers_without_mlp: raw.layers_without_mlp,
            layers_input_only: raw.layers_input_only,
        })
    }

    /// The whole state, as folder/step-N. A crash leaves the one before.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = path("folder", folder)?;
        check(unsafe { sys::ft_trainer_save(self.handle.raw, folder.as_ptr()) })
    }

    /// Goes on from the newest valid state there, with the bits of a run that never stopped.
    pub fn resume(&mut self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = path("folder", folder)?;
        check(unsafe { sys::ft_trainer_resume(self.handle.raw, folder.as_ptr()) })
    }

    /// A copy of the adapter as it is now; of a finished run with held-out records, the best one.
    pub fn adapter(&self) -> Result<Adapter> {
        let handle = Handle::make(sys::ft_adapter_free, |out| unsafe { sys::ft_trainer_adapter(self.handle.raw, out) })?;
        Ok(Adapter { handle })
    }
}

fn keys<T>(name: &str, pattern: &[(String, T)]) -> Result<Texts> {
    texts(|i| format!("{name}[{i}]"), pattern.iter().map(|(key, _)| key.as_str()))
}

fn values<T: Copy>(pattern: &[(String, T)]) -> Vec<T> {
    pattern.iter().map(|(_, value)| *value).collect()
}

/// The steps of a run that are left. Like the trainer, two threads may not share them:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<ftlib::Steps<'static>>();
/// ```
pub struct Steps<'a> {
    trainer: &'a mut Trainer,
    ended: bool,
}

impl Iterator for Steps<'_> {
    type Item = Result<Progress>;

    fn next(&mut self) -> Option<Result<Progress>> {
        if self.ended {
            return None;
        }
        let now = match self.trainer.progress() {
            Ok(progress) if progress.finished => return None,
            Ok(progress) if self.trainer.asked.load(Ordering::Relaxed) => {
                Err(Error::new(Status::Cancelled, format!("the trainer was cancelled after step {}", progress.step)))
            }
            Ok(_) => self.trainer.step(),
            Err(error) => Err(error),
        };
        self.ended = now.is_err();
        Some(now)
    }
}
