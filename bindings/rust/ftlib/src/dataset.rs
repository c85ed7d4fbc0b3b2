// SPDX-License-Identifier: Apache-2.0
use crate::error::{check, Error, Result};
use crate::handle::{borrowed, defaults, optional_text, path, pointer, sized, text, Handle};
use crate::tokenizer::{arrays, Message, Tokenizer};
use ftlib_sys as sys;
use std::marker::PhantomData;
use std::path::Path;

/// Which assistant turns are trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Supervise {
    /// Every one.
    #[default]
    All,
    /// The last of each record.
    Last,
}

/// How records are read.
#[derive(Clone, Debug)]
pub struct DatasetOptions {
    /// Which assistant turns are trained.
    pub supervise: Supervise,
    /// Tokens of a record; 1024.
    pub max_length: i64,
    /// Cut longer records instead of leaving them out.
    pub truncate: bool,
    /// Only the first so many records of the file; 0: all.
    pub limit: i64,
}

impl Default for DatasetOptions {
    fn default() -> Self {
        DatasetOptions { supervise: Supervise::All, max_length: 1024, truncate: false, limit: 0 }
    }
}

/// What may stand beside a record's text.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// `None`: the number of the record, from 1.
    pub id: Option<String>,
    /// Records of one group are drawn together in comparisons.
    pub group: Option<String>,
    /// Of each of its supervised tokens in the loss; 1.
    pub weight: f64,
    /// So many messages at the begin are prompt and never trained.
    pub prompt_messages: u32,
}

impl Default for RecordOptions {
    fn default() -> Self {
        RecordOptions { id: None, group: None, weight: 1.0, prompt_messages: 0 }
    }
}

/// Counts of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatasetInfo {
    /// Records that are there to train on.
    pub examples: i64,
    /// Read or appended, those left out among them.
    pub records: i64,
    /// Longer than max_length.
    pub left_out: i64,
    /// Cut to max_length.
    pub truncated: i64,
    /// In all.
    pub tokens: i64,
    /// Of them, the targets.
    pub supervised_tokens: i64,
}

/// A record as it is trained: tokens, and Hugging Face's labels (the token where it is a target, else -100).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Token ids.
    pub tokens: Vec<i32>,
    /// One a token.
    pub labels: Vec<i32>,
}

/// Records as tokens.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/example.rs"));
/// # fn main() -> ftlib::Result<()> {
/// # files();
/// let tokenizer = ftlib::Tokenizer::open("model.gguf", &Default::default())?;
/// let data = ftlib::Dataset::open(&tokenizer, "train.jsonl", &Default::default())?;
/// data.append_completion("Hi", "Hello!", &Default::default())?;
/// println!("{} records", data.info()?.records);
/// # Ok(())
/// # }
/// ```
pub struct Dataset {
    pub(crate) handle: Handle<sys::ft_dataset>,
}

// ft_dataset: any number of threads; an append waits for other calls on it.
unsafe impl Send for Dataset {}
unsafe impl Sync for Dataset {}

impl Dataset {
    /// A JSONL file of records.
    pub fn open(tokenizer: &Tokenizer, file: impl AsRef<Path>, options: &DatasetOptions) -> Result<Dataset> {
        let file = path("file", file)?;
        Dataset::create(tokenizer, file.as_ptr(), options)
    }

    /// No records yet.
    pub fn empty(tokenizer: &Tokenizer, options: &DatasetOptions) -> Result<Dataset> {
        Dataset::create(tokenizer, std::ptr::null(), options)
    }

    fn create(tokenizer: &Tokenizer, file: *const std::os::raw::c_char, options: &DatasetOptions) -> Result<Dataset> {
        let mut raw = defaults!(sys::ft_dataset_options, sys::ft_dataset_options_init);
        raw.supervise_last = i32::from(options.supervise == Supervise::Last);
        raw.max_length = options.max_length;
        raw.truncate = i32::from(options.truncate);
        raw.limit = options.limit;
        let handle =
            Handle::make(sys::ft_dataset_free, |out| unsafe { sys::ft_dataset_open(tokenizer.handle.raw, file, &raw, out) })?;
        Ok(Dataset { handle })
    }

    fn with_options(&self, options: &RecordOptions, append: impl FnOnce(&sys::ft_record_options) -> sys::ft_status) -> Result<()> {
        let id = optional_text("id", options.id.as_deref())?;
        let group = optional_text("group", options.group.as_deref())?;
        let mut raw = defaults!(sys::ft_record_options, sys::ft_record_options_init);
        raw.id = pointer(&id);
        raw.group = pointer(&group);
        raw.weight = options.weight;
        raw.prompt_messages = options.prompt_messages;
        check(append(&raw))
    }

    /// Appends a conversation. Trainers and batches made before do not see it.
    pub fn append_messages(&self, messages: &[Message], options: &RecordOptions) -> Result<()> {
        let (roles, contents) = arrays(messages)?;
        self.with_options(options, |raw| unsafe {
            sys::ft_dataset_append_messages(self.handle.raw, roles.pointers.as_ptr(), contents.pointers.as_ptr(), messages.len(), raw)
        })
    }

    /// Appends a prompt and what should follow it.
    pub fn append_completion(&self, prompt: &str, completion: &str, options: &RecordOptions) -> Result<()> {
        let (prompt, completion) = (text("prompt", prompt)?, text("completion", completion)?);
        self.with_options(options, |raw| unsafe {
            sys::ft_dataset_append_completion(self.handle.raw, prompt.as_ptr(), completion.as_ptr(), raw)
        })
    }

    /// Appends plain text, all of it trained.
    pub fn append_text(&self, content: &str, options: &RecordOptions) -> Result<()> {
        let content = text("content", content)?;
        self.with_options(options, |raw| unsafe { sys::ft_dataset_append_text(self.handle.raw, content.as_ptr(), raw) })
    }

    /// Appends a record as a line of a JSONL file has it.
    pub fn append_json(&self, line: &str) -> Result<()> {
        check(unsafe { sys::ft_dataset_append_json(self.handle.raw, line.as_ptr().cast(), line.len()) })
    }

    /// Appends a record that the caller has tokenised, with Hugging Face's labels.
    pub fn append_tokens(&self, tokens: &[i32], labels: &[i32], options: &RecordOptions) -> Result<()> {
        if tokens.len() != labels.len() {
            return Err(Error::invalid(format!("{} tokens, but {} labels", tokens.len(), labels.len())));
        }
        self.with_options(options, |raw| unsafe {
            sys::ft_dataset_append_tokens(self.handle.raw, tokens.as_ptr(), labels.as_ptr(), tokens.len(), raw)
        })
    }

    /// Its counts.
    pub fn info(&self) -> Result<DatasetInfo> {
        let mut raw = sized!(sys::ft_dataset_info);
        check(unsafe { sys::ft_dataset_get_info(self.handle.raw, &mut raw) })?;
        Ok(DatasetInfo {
            examples: raw.examples,
            records: raw.records,
            left_out: raw.left_out,
            truncated: raw.truncated,
            tokens: raw.tokens,
            supervised_tokens: raw.supervised_tokens,
        })
    }

    /// One example, from 0.
    pub fn example(&self, index: i64) -> Result<Example> {
        let mut count = 0;
        let null = std::ptr::null_mut();
        check(unsafe { sys::ft_dataset_example(self.handle.raw, index, null, null, 0, &mut count) })?;
        let (mut tokens, mut labels) = (vec![0; count], vec![0; count]);
        check(unsafe {
            sys::ft_dataset_example(self.handle.raw, index, tokens.as_mut_ptr(), labels.as_mut_ptr(), count, &mut count)
        })?;
        Ok(Example { tokens, labels })
    }

    /// Micro-batches in the order of a trainer with the same options.
    pub fn batches(&self, options: &BatchOptions) -> Result<Batches> {
        let mut raw = defaults!(sys::ft_batch_options, sys::ft_batch_options_init);
        raw.order = options.order as i32;
        raw.batch_tokens = options.batch_tokens;
        raw.batch_examples = options.batch_examples;
        raw.accumulate = options.accumulate;
        raw.seed = options.seed;
        raw.epochs = options.epochs;
        let handle = Handle::make(sys::ft_batches_free, |out| unsafe { sys::ft_batches_create(self.handle.raw, &raw, out) })?;
        Ok(Batches { handle, _not_sync: PhantomData })
    }
}

/// The order of the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Anew in each epoch, by the seed.
    #[default]
    Shuffle = sys::FT_ORDER_SHUFFLE as isize,
    /// As they were given.
    Given = sys::FT_ORDER_GIVEN as isize,
}

/// How records make batches.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// The order of the records.
    pub order: Order,
    /// Packed tokens of a micro-batch at most; 2048.
    pub batch_tokens: i64,
    /// So many examples a micro-batch instead; 0: by tokens.
    pub batch_examples: i64,
    /// Micro-batches of a step; 1.
    pub accumulate: i64,
    /// Of the order.
    pub seed: u64,
    /// Times over the records; 1.
    pub epochs: i64,
}

impl Default for BatchOptions {
    fn default() -> Self {
        BatchOptions { order: Order::Shuffle, batch_tokens: 2048, batch_examples: 0, accumulate: 1, seed: 0, epochs: 1 }
    }
}

/// A micro-batch: packed segments without padding, borrowed from the [`Batches`].
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Where it stands.
    pub position: Position,
    /// Targets among its rows.
    pub supervised_tokens: i64,
    /// \[T\] token ids.
    pub tokens: &'a [i32],
    /// \[T\] the token that each row has to predict, already shifted, or -100.
    pub labels: &'a [i32],
    /// \[T\] of the label in the loss.
    pub weights: &'a [f32],
    /// \[T\] within the segment.
    pub positions: &'a [i32],
    /// Where each segment begins; the last one is T.
    pub segment_offsets: &'a [i32],
}

/// Where a walk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 0.
    pub epoch: i64,
    /// Of the epoch, from 0.
    pub step: i64,
    /// Of the step, from 0.
    pub micro_step: i64,
}

/// A walk over a dataset's micro-batches, for a training loop of your own. One call at a time.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/example.rs"));
/// # fn main() -> ftlib::Result<()> {
/// # files();
/// let tokenizer = ftlib::Tokenizer::open("model.gguf", &Default::default())?;
/// let data = ftlib::Dataset::open(&tokenizer, "train.jsonl", &Default::default())?;
/// let mut batches = data.batches(&Default::default())?;
/// while let Some(batch) = batches.next_batch()? {
///     println!("{} tokens, {} of them targets", batch.tokens.len(), batch.supervised_tokens);
/// }
/// # Ok(())
/// # }
/// ```
///
/// It may go to another thread, but two may not share it, and a batch ends with the next one:
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<ftlib::Batches>();
/// ```
/// ```compile_fail,E0499
/// fn two<'a>(batches: &'a mut ftlib::Batches) -> ftlib::Result<[Option<ftlib::Batch<'a>>; 2]> {
///     Ok([batches.next_batch()?, batches.next_batch()?])
/// }
/// ```
pub struct Batches {
    handle: Handle<sys::ft_batches>,
    _not_sync: PhantomData<std::cell::Cell<()>>,
}

// ft_batches: one call at a time, from any thread.
unsafe impl Send for Batches {}

impl Batches {
    /// The next one; `None` at the end.
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>> {
        let mut raw = sized!(sys::ft_batch);
        check(unsafe { sys::ft_batches_next(self.handle.raw, &mut raw) })?;
        if raw.token_count == 0 {
            return Ok(None);
        }
        // The memory stays as it is until the next call, which needs &mut self.
        unsafe {
            Ok(Some(Batch {
                position: Position { epoch: raw.epoch, step: raw.step, micro_step: raw.micro_step },
                supervised_tokens: raw.supervised_tokens,
                tokens: borrowed(raw.tokens, raw.token_count),
                labels: borrowed(raw.labels, raw.token_count),
                weights: borrowed(raw.weights, raw.token_count),
                positions: borrowed(raw.positions, raw.token_count),
                segment_offsets: borrowed(raw.segment_offsets, raw.segment_count + 1),
            }))
        }
    }

    /// What the next call gives: three numbers to keep beside your own checkpoint.
    pub fn position(&self) -> Result<Position> {
        let mut raw = sized!(sys::ft_batch_position);
        check(unsafe { sys::ft_batches_get_position(self.handle.raw, &mut raw) })?;
        Ok(Position { epoch: raw.epoch, step: raw.step, micro_step: raw.micro_step })
    }

    /// Goes on from a position.
    pub fn set_position(&mut self, position: Position) -> Result<()> {
        let mut raw = sized!(sys::ft_batch_position);
        raw.epoch = position.epoch;
        raw.step = position.step;
        raw.micro_step = position.micro_step;
        check(unsafe { sys::ft_batches_set_position(self.handle.raw, &raw) })
    }
}
