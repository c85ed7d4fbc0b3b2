// SPDX-License-Identifier: Apache-2.0
mod common;
use common::*;
use ftlib::*;
use std::sync::{Arc, Mutex};

#[test]
fn errors_have_status_reason_and_sentence() {
    let error = Model::open("/nowhere/%n%s.gguf", &Default::default()).err().unwrap();
    assert_eq!(error.status(), Status::NotFound);
    assert!(error.to_string().contains("/nowhere/%n%s.gguf"));
    let error = Model::from_memory(b"GGUF", &Default::default()).err().unwrap();
    assert_eq!((error.status(), error.reason()), (Status::InvalidFile, "TRUNC"));
    assert_eq!(error.status().name(), "FT_ERROR_INVALID_FILE");
    assert_eq!(Status::BufferTooSmall.name(), "FT_ERROR_BUFFER_TOO_SMALL");
}

#[test]
fn the_process_is_told_and_set() {
    assert_eq!(version(), "0.1.0");
    assert!(backends().unwrap().iter().any(|backend| backend.name == "ref" && backend.available));
    assert_eq!(force_backend(Some("tpu")).unwrap_err().status(), Status::Unsupported);
    force_backend(None).unwrap();
    assert_eq!(backend_used("no such op").unwrap(), "");
    let before = threads().unwrap();
    set_threads(before).unwrap();
    assert_eq!(set_threads(0).unwrap_err().status(), Status::InvalidArgument);
}

#[test]
fn warnings_go_to_the_log() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = heard.clone();
    set_log(Some(Box::new(move |message| into.lock().unwrap().push(message.to_string())))).unwrap();
    let options = DatasetOptions { max_length: 64, ..Default::default() };
    let warn = || drop(Dataset::open(&model().tokenizer().unwrap(), records(), &options).unwrap());
    warn();
    set_log(None).unwrap();
    warn();
    assert_eq!(heard.lock().unwrap().iter().filter(|message| message.contains("left out")).count(), 1);

    let inside = Arc::new(Mutex::new(Vec::new()));
    let into = inside.clone();
    set_log(Some(Box::new(move |_| into.lock().unwrap().push(set_log(None).unwrap_err().status())))).unwrap();
    warn();
    warn();
    let inside = inside.lock().unwrap();
    assert!(inside.len() >= 2 && inside.iter().all(|status| *status == Status::Busy));
    set_log(Some(Box::new(|_| panic!("a warning changes nothing")))).unwrap();
    warn();
    set_log(None).unwrap();
}

#[test]
fn text_and_conversations() {
    let tokenizer = Tokenizer::open(tiny(), &Default::default()).unwrap();
    let info = tokenizer.info().unwrap();
    assert_eq!((info.vocab_size, info.bos_id, info.eos_id, info.pad_id), (97, Some(94), Some(96), None));
    assert_eq!(tokenizer.decode(&tokenizer.encode("abc def!").unwrap(), false).unwrap(), b"abc def!");
    assert!(tokenizer.encode_special("a<|im_end|>").unwrap().contains(&96));
    assert!(!tokenizer.encode("a<|im_end|>").unwrap().contains(&96));
    assert_eq!(tokenizer.encode("").unwrap(), Vec::<i32>::new());
    assert_eq!(tokenizer.decode(&[97], false).unwrap_err().status(), Status::InvalidArgument);
    let text = tokenizer.render(&hello(), false).unwrap();
    assert_eq!(text, "<|im_start|>user Hi<|im_end|><|im_start|>assistant Hello!<|im_end|>");
    let taught = tokenizer.supervision(&hello(), false).unwrap();
    let targets: Vec<i32> = taught.iter().filter(|(_, target)| *target).map(|(token, _)| *token).collect();
    assert_eq!(tokenizer.decode(&targets, false).unwrap(), b"Hello!<|im_end|>");
    assert_eq!(tokenizer.encode_messages(&hello(), false).unwrap().len(), taught.len());
    let other = TokenizerOptions { chat_template: Some("{{ strftime_now('%Y') }}".into()), date: Some("2026-01-02".into()) };
    assert_eq!(Tokenizer::open(tiny(), &other).unwrap().render(&hello(), true).unwrap(), "2026");
}

#[test]
fn records_come_from_a_file_and_from_calls() {
    let model = model();
    let data = Dataset::empty(&model.tokenizer().unwrap(), &Default::default()).unwrap();
    let plain = RecordOptions::default();
    data.append_json(r#"{"prompt": "Hi", "completion": "Hello!"}"#).unwrap();
    data.append_completion("Hi", "Hello!", &plain).unwrap();
    data.append_messages(&hello(), &RecordOptions { id: Some("mine".into()), weight: 2.0, ..Default::default() }).unwrap();
    data.append_text("Hello!", &plain).unwrap();
    data.append_tokens(&[1, 2, 3], &[-100, -100, 3], &plain).unwrap();
    assert_eq!(data.example(0).unwrap(), data.example(1).unwrap());
    assert_eq!(data.example(4).unwrap().labels, [-100, -100, 3]);
    assert_eq!(data.info().unwrap().examples, 5);
    assert_eq!(data.append_json("{}").unwrap_err().status(), Status::InvalidFile);
    assert_eq!(data.append_tokens(&[1], &[], &plain).unwrap_err().status(), Status::InvalidArgument);
    assert_eq!(dataset(&model).info().unwrap().examples, 4);
}

#[test]
fn batches_go_on_from_a_position() {
    let data = dataset(&model());
    let options = BatchOptions { batch_examples: 1, accumulate: 2, epochs: 3, seed: 5, ..Default::default() };
    let mut walk = data.batches(&options).unwrap();
    let (mut positions, mut tokens) = (Vec::new(), Vec::new());
    loop {
        positions.push(walk.position().unwrap());
        match walk.next_batch().unwrap() {
            Some(batch) => {
                assert_eq!(Some(&batch.position), positions.last());
                assert_eq!(batch.segment_offsets, [0, batch.tokens.len() as i32]);
                tokens.push(batch.tokens.to_vec());
            }
            None => break,
        }
    }
    assert_eq!(tokens.len(), 12);
    for start in 0..12 {
        walk.set_position(positions[start]).unwrap();
        for want in &tokens[start..] {
            assert_eq!(walk.next_batch().unwrap().unwrap().tokens, want);
        }
    }
    let outside = Position { epoch: 3, step: 0, micro_step: 1 };
    assert_eq!(walk.set_position(outside).unwrap_err().status(), Status::Mismatch);
}

#[test]
fn models_open_in_each_form() {
    let data = std::fs::read(tiny()).unwrap();
    let info = model().info().unwrap();
    assert_eq!(Model::from_memory(&data, &Default::default()).unwrap().info().unwrap().digest, info.digest);
    let nf4 = BaseFormat::Nf4 { block_size: 64, double_quant: true };
    for base in [BaseFormat::Native, BaseFormat::F32, BaseFormat::Bf16, nf4] {
        Model::open(tiny(), &ModelOptions { base, ..Default::default() }).unwrap();
    }
}

#[test]
fn generation_streams_what_it_returns() {
    let model = model();
    let prompt = model.tokenizer().unwrap().encode_messages(&hello()[..1], true).unwrap();
    let options = GenerateOptions { max_tokens: 8, ..Default::default() };
    let mut streamed = Vec::new();
    let answers = model
        .generate(None, &[&prompt, &[1, 2, 3]], &options, |prompt, _, text| {
            if prompt == 1 {
                streamed.extend_from_slice(text);
            }
            true
        })
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&streamed), answers[1].text);
    assert_eq!(answers[0].prompt_tokens, prompt.len() as i64);
    let error = model.generate(None, &[&prompt], &options, |_, _, _| false).unwrap_err();
    assert_eq!(error.status(), Status::Cancelled);
}

#[test]
fn a_panic_in_a_callback_goes_on_after_the_call() {
    let model = model();
    let options = GenerateOptions { max_tokens: 8, ..Default::default() };
    let caught = std::panic::catch_unwind(|| model.generate(None, &[&[1]], &options, |_, _, _| panic!("mine")));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"mine"));
    let mut trainer = trainer(4);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| trainer.run(|_| panic!("mine"))));
    assert!(caught.is_err());
    assert_eq!(trainer.progress().unwrap().step, 1);
    assert!(trainer.run(|_| true).unwrap());
}

#[test]
fn evaluation_and_comparison() {
    let model = model();
    let data = dataset(&model);
    let mut trainer = trainer(8);
    assert!(trainer.run(|_| true).unwrap());
    let adapter = trainer.adapter().unwrap();
    let with_metrics = EvaluateOptions { metrics: vec!["exact".into(), "rouge-l".into()], max_tokens: 4, ..Default::default() };
    let base = model.evaluate(None, &data, &with_metrics, |_, _| true).unwrap();
    let tuned = model.evaluate(Some(&adapter), &data, &Default::default(), |_, _| true).unwrap();
    assert!((base.perplexity().unwrap() - base.loss().unwrap().exp()).abs() < 1e-9);
    assert_eq!(base.metrics().unwrap()[1].0, "rouge-l");
    let examples = base.examples().unwrap();
    assert!(examples.len() == 4 && examples[0].output.is_some() && examples[0].scores.len() == 2);
    assert!(base.compare(&tuned, None).unwrap().high < 0.0);
    let error = model.evaluate(None, &data, &Default::default(), |_, _| false).err().unwrap();
    assert_eq!(error.status(), Status::Cancelled);
}

#[test]
fn steps_runs_and_resumed_runs_are_one_training() {
    let (mut by_step, mut by_run, mut first, mut second) = (trainer(6), trainer(6), trainer(6), trainer(6));
    let losses: Vec<f64> = by_step.steps().map(|progress| progress.unwrap().loss).collect();
    assert_eq!(losses.len(), 6);
    assert!(by_run.run(|_| true).unwrap());
    assert!(!first.run(|progress| progress.step < 3).unwrap());
    let folder = work("rust-state");
    first.save(&folder).unwrap();
    second.resume(&folder).unwrap();
    assert_eq!(second.progress().unwrap().step, 3);
    assert_eq!(second.steps().count(), 3);
    assert_eq!(digest(&by_step), digest(&by_run));
    assert_eq!(digest(&by_step), digest(&second));
    assert_eq!(by_step.step().unwrap_err().status(), Status::InvalidArgument);
    let error = trainer(7).resume(&folder).unwrap_err();
    assert!(error.status() == Status::Mismatch && error.to_string().contains("steps: 6 then, 7 now"));
    assert!(by_step.plan().unwrap().peak_bytes > by_step.plan().unwrap().trainer_bytes);
}

#[test]
fn a_token_cancels_from_another_thread_and_outlives_the_trainer() {
    let mut trainer = trainer(1_000_000);
    let token = trainer.cancel_token();
    let other = token.clone();
    let watcher = std::thread::spawn(move || {
        while other.progress().unwrap().step < 3 {}
        other.cancel().unwrap();
    });
    assert_eq!(trainer.run(|_| true).unwrap_err().status(), Status::Cancelled);
    watcher.join().unwrap();
    drop(trainer);
    assert_eq!(token.cancel().unwrap_err().status(), Status::InvalidArgument);
}

#[test]
fn options_reach_the_adapter_and_files_hold_it() {
    let model = model();
    let data = dataset(&model);
    let lora = LoraOptions {
        r: 4,
        lora_alpha: 8.0,
        target_modules: vec!["q_proj".into(), "v_proj".into()],
        rank_pattern: vec![("v_proj".into(), 2)],
        alpha_pattern: vec![("v_proj".into(), 3.0)],
        ..Default::default()
    };
    let adapter = Trainer::new(&model, &data, None, &lora, &options(1)).unwrap().adapter().unwrap();
    for tensor in adapter.tensors().unwrap() {
        let is_v = tensor.name.contains("v_proj");
        assert_eq!(tensor.scale, if is_v { 1.5 } else { 2.0 });
        assert_eq!(tensor.values.len(), tensor.rows * tensor.columns);
        assert_eq!(if tensor.name.ends_with("A") { tensor.rows } else { tensor.columns }, if is_v { 2 } else { 4 });
    }
    adapter.save_peft(work("rust-peft")).unwrap();
    adapter.save_gguf(work("rust.gguf")).unwrap();
    let want = adapter.info().unwrap().digest;
    assert_eq!(model.adapter(work("rust-peft")).unwrap().info().unwrap().digest, want);
    let begun = TrainOptions { init_adapter: Some(&adapter), ..options(1) };
    let trainer = Trainer::new(&model, &data, Some(&data), &Default::default(), &begun).unwrap();
    assert_eq!(digest(&trainer), want);
    model.merge(&adapter, work("rust-merged.gguf"), "f32", |_, _| true).unwrap();
    let error = model.merge(&adapter, work("rust-none.gguf"), "f32", |_, _| false).unwrap_err();
    assert_eq!(error.status(), Status::Cancelled);
}

#[test]
fn types_are_send_and_sync_as_the_contract_allows() {
    fn shared<T: Send + Sync>() {}
    fn moved<T: Send>() {}
    shared::<Model>();
    shared::<Tokenizer>();
    shared::<Dataset>();
    shared::<Adapter>();
    shared::<Evaluation>();
    shared::<CancelToken>();
    shared::<Tensor<'_>>();
    shared::<Batch<'_>>();
    shared::<primitives::Weight<'_>>();
    moved::<Trainer>(); // not shared: see its documentation, and likewise the two below
    moved::<Steps<'_>>();
    moved::<Batches>();
}

#[test]
fn two_trainers_in_two_threads_give_the_results_of_one() {
    let train = || {
        let mut trainer = trainer(20);
        trainer.run(|_| true).unwrap();
        digest(&trainer)
    };
    let alone = train();
    let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(train)).collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), alone);
    }
}
