// SPDX-License-Identifier: Apache-2.0
//! What a careless or a hostile caller does.
mod common;
use common::*;
use ftlib::primitives::*;
use ftlib::*;
use std::panic::{catch_unwind, AssertUnwindSafe};

const CUT: &str = "a\0b"; // C would read "a"

fn named<T>(name: &str, result: Result<T>) {
    let error = result.err().unwrap_or_else(|| panic!("{name}: want an error"));
    assert_eq!((error.status(), error.to_string()), (Status::InvalidArgument, format!("{name} holds a NUL")));
}

fn refused<T>(status: Status, result: Result<T>) {
    assert_eq!(result.err().map(|error| error.status()), Some(status));
}

#[test]
fn a_text_that_c_would_cut_is_refused_by_name() {
    let (model, plain) = (model(), RecordOptions::default());
    let tokenizer = model.tokenizer().unwrap();
    let data = dataset(&model);
    let mut trainer = trainer(1);
    let adapter = trainer.adapter().unwrap();
    let score = |options: &EvaluateOptions| model.evaluate(None, &data, options, |_, _| true);
    let train = |lora: LoraOptions| Trainer::new(&model, &data, None, &lora, &options(1));
    let cut = || Some(CUT.to_string());
    let turn = [Message::new("user", "Hi"), Message::new("assistant", CUT)];
    let before = data.info().unwrap();
    named("name", force_backend(Some(CUT)));
    named("op", backend_used(CUT));
    named("model", Tokenizer::open(CUT, &Default::default()));
    named("chat_template", Tokenizer::open("", &TokenizerOptions { chat_template: cut(), ..Default::default() }));
    named("model", Model::open(CUT, &Default::default()));
    named("date", Model::from_memory(&[], &ModelOptions { date: cut(), ..Default::default() }));
    named("from", model.adapter(CUT));
    named("out", model.merge(&adapter, CUT, "f32", |_, _| true));
    named("format", model.merge(&adapter, work("rust-none.gguf"), CUT, |_, _| true));
    named("metrics", score(&EvaluateOptions { metrics: vec![CUT.into()], ..Default::default() }));
    let base = score(&Default::default()).unwrap();
    named("metric", base.compare(&base, Some(CUT)));
    named("messages[0].role", tokenizer.render(&[Message::new(CUT, "Hi")], true));
    named("messages[1].content", tokenizer.encode_messages(&turn, false));
    named("messages[1].content", tokenizer.supervision(&turn, false));
    named("file", Dataset::open(&tokenizer, CUT, &Default::default()));
    named("messages[1].content", data.append_messages(&turn, &plain));
    named("prompt", data.append_completion(CUT, "Hello!", &plain));
    named("completion", data.append_completion("Hi", CUT, &plain));
    named("content", data.append_text(CUT, &plain));
    named("id", data.append_text("Hi", &RecordOptions { id: cut(), ..plain.clone() }));
    named("group", data.append_tokens(&[1, 2], &[1, 2], &RecordOptions { group: cut(), ..plain.clone() }));
    named("target_modules[0]", train(LoraOptions { target_modules: vec![CUT.into()], ..Default::default() }));
    named("target_regex", train(LoraOptions { target_regex: cut(), ..Default::default() }));
    named("rank_pattern[0]", train(LoraOptions { rank_pattern: vec![(CUT.into(), 1)], ..Default::default() }));
    named("alpha_pattern[0]", train(LoraOptions { alpha_pattern: vec![(CUT.into(), 1.0)], ..Default::default() }));
    named("folder", trainer.save(CUT));
    named("folder", trainer.resume(CUT));
    named("folder", adapter.save_peft(CUT));
    named("file", adapter.save_gguf(CUT));
    assert_eq!(data.info().unwrap(), before);
    tokenizer.encode(CUT).unwrap(); // a size goes with it
    refused(Status::InvalidFile, data.append_json(CUT));
}

#[test]
fn nothing_at_all_is_no_crash() {
    let model = model();
    let tokenizer = model.tokenizer().unwrap();
    let data = Dataset::empty(&tokenizer, &Default::default()).unwrap();
    let answers = |prompts: &[&[i32]]| model.generate(None, prompts, &Default::default(), |_, _, _| true);
    assert_eq!(tokenizer.decode(&[], false).unwrap(), b"");
    refused(Status::InvalidArgument, tokenizer.render(&[], true));
    refused(Status::InvalidArgument, data.append_messages(&[], &Default::default()));
    refused(Status::InvalidFile, data.append_tokens(&[], &[], &Default::default()));
    refused(Status::InvalidArgument, data.batches(&Default::default()));
    refused(Status::InvalidArgument, Trainer::new(&model, &data, None, &Default::default(), &options(1)));
    refused(Status::InvalidArgument, answers(&[]));
    refused(Status::InvalidArgument, answers(&[&[]]));
    refused(Status::InvalidFile, Model::from_memory(&[], &Default::default()));
    nf4_quantize::<f32>(&[], 64, &mut [], &mut []).unwrap();
    assert_eq!(clip_grad_norm(&mut [], 1.0).unwrap(), 0.0);
    AdamW::default().step(1, &mut [], &[], 1.0, &mut [], &mut []).unwrap();
    cross_entropy(&Matrix::new(&[], 0, 3).unwrap(), &[], None, 1.0, &mut [], None).unwrap();
}

/// C's int32_t would make 64 of it, and write behind the buffers; the products would overflow.
#[test]
fn numbers_that_c_cannot_hold_are_refused() {
    let (large, mut values, mut codes, mut absmax) = ((1 << 32) + 64, [0f32; 200], [0u8; 100], [0f32; 1]);
    refused(Status::InvalidArgument, nf4_quantize(&values, large, &mut codes, &mut absmax));
    let weight = Weight::nf4(&codes, Absmax::Single(&absmax), large, 10, 20).unwrap();
    refused(Status::InvalidArgument, nf4_dequantize(&weight, &mut values));
    let half = 1 << (usize::BITS / 2);
    assert!(Matrix::new(&values[..0], half, half).is_err());
    assert!(MatrixMut::new(&mut values[..0], half, half).is_err());
    assert!(Weight::dense(&values[..0], half, half).is_err());
    assert!(Weight::nf4(&codes[..0], Absmax::Single(&absmax[..0]), 64, half, half).is_err());
    assert!(Weight::nf4(&codes, Absmax::Single(&absmax), 0, 10, 20).is_err());
}

#[test]
fn d_logits_of_another_shape_are_refused() {
    let (logits, mut nll, mut d_logits) = ([0f32; 6], [0f32; 2], [0f32; 6]);
    let logits = Matrix::new(&logits, 2, 3).unwrap();
    for (rows, columns) in [(3, 2), (1, 3)] {
        let mut d_logits = MatrixMut::new(&mut d_logits[..rows * columns], rows, columns).unwrap();
        refused(Status::InvalidArgument, cross_entropy(&logits, &[0, 1], None, 1.0, &mut nll, Some(&mut d_logits)));
    }
}

#[test]
fn a_panic_comes_out_of_each_call_that_calls_back() {
    let model = model();
    let data = dataset(&model);
    let mut trainer = trainer(4);
    let adapter = trainer.adapter().unwrap();
    let mine = |call: &mut dyn FnMut()| {
        let caught = catch_unwind(AssertUnwindSafe(call)).expect_err("the panic comes out");
        assert_eq!(caught.downcast_ref::<&str>(), Some(&"mine"));
    };
    mine(&mut || drop(trainer.run(|_| panic!("mine"))));
    mine(&mut || drop(model.evaluate(None, &data, &Default::default(), |_, _| panic!("mine"))));
    mine(&mut || drop(model.merge(&adapter, work("rust-none.gguf"), "f32", |_, _| panic!("mine"))));
    mine(&mut || drop(model.generate(None, &[&[1]], &Default::default(), |_, _, _| panic!("mine"))));
    assert!(trainer.run(|_| true).unwrap());
}

#[test]
fn a_cancel_is_of_what_is_in_progress() {
    let mut trainer = trainer(8);
    let token = trainer.cancel_token();
    token.cancel().unwrap();
    assert!(!trainer.run(|now| now.step < 2).unwrap());
    token.cancel().unwrap();
    trainer.step().unwrap();
    token.cancel().unwrap();
    let mut steps = trainer.steps();
    assert_eq!(steps.next().unwrap().unwrap().step, 4);
    token.cancel().unwrap(); // between two of the steps
    refused(Status::Cancelled, steps.next().unwrap());
    assert!(steps.next().is_none());
    assert_eq!(trainer.steps().count(), 4);
}

#[test]
fn lora_options_beside_an_adapter_are_refused() {
    let model = model();
    let data = dataset(&model);
    let adapter = trainer(1).adapter().unwrap();
    let options = TrainOptions { init_adapter: Some(&adapter), ..options(1) };
    let lora = LoraOptions { r: 4, ..Default::default() };
    refused(Status::InvalidArgument, Trainer::new(&model, &data, None, &lora, &options));
}

struct SetsALogWhenItGoes;

impl Drop for SetsALogWhenItGoes {
    fn drop(&mut self) {
        set_log(None).unwrap();
    }
}

#[test]
fn what_a_log_owns_may_set_a_log_when_it_goes() {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let owned = SetsALogWhenItGoes;
        set_log(Some(Box::new(move |_| {
            let _ = &owned;
        })))
        .unwrap();
        set_log(None).unwrap();
        done.send(())
    });
    ended.recv_timeout(std::time::Duration::from_secs(10)).expect("set_log returns");
}
