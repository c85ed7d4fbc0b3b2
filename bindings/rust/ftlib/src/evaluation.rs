// SPDX-License-Identifier: Apache-2.0
use crate::error::{check, Result};
use crate::handle::{borrowed, copied, optional_text, pointer, sized, sized_text, Handle};
use ftlib_sys as sys;

/// What is evaluated besides the loss.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// "exact", "f1", "rouge-l", "regex=PATTERN" (last) of greedy answers; none: the loss only.
    pub metrics: Vec<String>,
    /// New tokens of an answer; 128.
    pub max_tokens: i64,
    /// Packed tokens of a batch of the loss; 2048.
    pub batch_tokens: i64,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        EvaluateOptions { metrics: Vec::new(), max_tokens: 128, batch_tokens: 2048 }
    }
}

/// One example of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct ExampleResult {
    /// Of the record.
    pub id: String,
    /// Sum over its supervised tokens, nats.
    pub nll: f64,
    /// Targets.
    pub supervised_tokens: i64,
    /// The answer; `None`: none was asked for.
    pub output: Option<String>,
    /// One a metric, where there is an answer.
    pub scores: Vec<f64>,
}

/// A difference with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The difference.
    pub estimate: f64,
    /// The interval's begin.
    pub low: f64,
    /// The interval's end.
    pub high: f64,
}

/// What a model scored on records. Immutable.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/example.rs"));
/// # fn main() -> ftlib::Result<()> {
/// # files();
/// let model = ftlib::Model::open("model.gguf", &Default::default())?;
/// let data = ftlib::Dataset::open(&model.tokenizer()?, "train.jsonl", &Default::default())?;
/// let scored = model.evaluate(None, &data, &Default::default(), |_done, _total| true)?;
/// println!("loss {:.3}", scored.loss()?);
/// # Ok(())
/// # }
/// ```
pub struct Evaluation {
    pub(crate) handle: Handle<sys::ft_evaluation>,
}

// ft_evaluation: any number of threads at once.
unsafe impl Send for Evaluation {}
unsafe impl Sync for Evaluation {}

impl Evaluation {
    fn info(&self) -> Result<sys::ft_evaluation_info> {
        let mut raw = sized!(sys::ft_evaluation_info);
        check(unsafe { sys::ft_evaluation_get_info(self.handle.raw, &mut raw) })?;
        Ok(raw)
    }

    /// sum(weight nll) / sum(weight) over all supervised tokens.
    pub fn loss(&self) -> Result<f64> {
        Ok(self.info()?.loss)
    }

    /// exp(loss).
    pub fn perplexity(&self) -> Result<f64> {
        Ok(self.info()?.perplexity)
    }

    /// Targets in all.
    pub fn supervised_tokens(&self) -> Result<i64> {
        Ok(self.info()?.supervised_tokens)
    }

    /// Name and mean of each metric.
    pub fn metrics(&self) -> Result<Vec<(String, f64)>> {
        (0..self.info()?.metric_count)
            .map(|index| {
                let (mut name, mut mean) = (std::ptr::null(), 0.0);
                check(unsafe { sys::ft_evaluation_metric(self.handle.raw, index, &mut name, &mut mean) })?;
                Ok((unsafe { copied(name) }, mean))
            })
            .collect()
    }

    /// Each example.
    pub fn examples(&self) -> Result<Vec<ExampleResult>> {
        let info = self.info()?;
        (0..info.example_count)
            .map(|index| {
                let mut raw = sized!(sys::ft_example_result);
                check(unsafe { sys::ft_evaluation_example(self.handle.raw, index, &mut raw) })?;
                unsafe {
                    Ok(ExampleResult {
                        id: copied(raw.id),
                        nll: raw.nll,
                        supervised_tokens: raw.supervised_tokens,
                        output: (!raw.output.is_null()).then(|| sized_text(raw.output, raw.output_bytes)),
                        scores: borrowed(raw.scores, info.metric_count as i64).to_vec(),
                    })
                }
            })
            .collect()
    }

    /// How much `after` differs from this one on the same records; `None`: in the loss.
    pub fn compare(&self, after: &Evaluation, metric: Option<&str>) -> Result<Interval> {
        let metric = optional_text("metric", metric)?;
        let mut raw = sized!(sys::ft_interval);
        check(unsafe { sys::ft_evaluation_compare(self.handle.raw, after.handle.raw, pointer(&metric), &mut raw) })?;
        Ok(Interval { estimate: raw.estimate, low: raw.low, high: raw.high })
    }
}
