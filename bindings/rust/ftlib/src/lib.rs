// SPDX-License-Identifier: Apache-2.0
//! Fine-tune language models inside your own program: LoRA and QLoRA on the CPU, on the very weights that you deploy.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/example.rs"));
//! # fn main() -> ftlib::Result<()> {
//! # files();
//! let model = ftlib::Model::open("model.gguf", &Default::default())?;
//! let data = ftlib::Dataset::open(&model.tokenizer()?, "train.jsonl", &Default::default())?;
//! let mut trainer = ftlib::Trainer::new(&model, &data, None, &Default::default(), &Default::default())?;
//! for progress in trainer.steps() {
//!     println!("loss {:.3}", progress?.loss);
//! }
//! trainer.adapter()?.save_peft("adapter")?;
//! # Ok(())
//! # }
//! ```
//!
//! Every call returns a [`Result`]; nothing panics, and a panic in a callback of yours goes on in your own code after the call
//! that it ended. What `Send` and `Sync` say of each type is the thread contract of `capi/ftlib_c.h`. A process that was forked
//! after it computed gets [`Status::Unsupported`]: start a new one instead.
#![deny(missing_docs)]

mod adapter;
mod callback;
mod dataset;
mod error;
mod evaluation;
mod handle;
mod model;
pub mod primitives;
mod process;
mod tokenizer;
mod trainer;

pub use adapter::{Adapter, AdapterInfo, Tensor};
pub use dataset::{Batch, BatchOptions, Batches, Dataset, DatasetInfo, DatasetOptions, Example, Order, Position, RecordOptions, Supervise};
pub use error::{Error, Result, Status};
pub use evaluation::{EvaluateOptions, Evaluation, ExampleResult, Interval};
pub use model::{Answer, BaseFormat, Compute, GenerateOptions, Model, ModelInfo, ModelOptions};
pub use process::{abi_version, version};
pub use process::{backend_used, backends, force_backend, set_log, set_threads, shutdown, threads, Backend};
pub use tokenizer::{Message, Tokenizer, TokenizerInfo, TokenizerOptions};
pub use trainer::{CancelToken, LoraOptions, MemoryPlan, OnNonFinite, Optimizer, Progress, Schedule, Steps, TrainOptions, Trainer};
