// SPDX-License-Identifier: Apache-2.0
//! embedding MODEL TRAIN.jsonl DIR: what a host needs beside training: an error as a value, a worker thread, progress,
//! cancellation, a saved state. docs/embedding.md shows it beside C++, C, Python and Go, which print the same lines.
use ftlib::{Dataset, Model, Status, TrainOptions, Trainer};
use std::{thread, time::Duration};

fn show_error() {
    if let Err(error) = Model::open("no-such-model.gguf", &Default::default()) {
        let what = if error.status() == Status::NotFound { "not found" } else { "failed" };
        println!("{what}, reason {}: {error}", error.reason());
    }
}

fn embed(path: &str, records: &str, folder: &str) -> ftlib::Result<()> {
    let model = Model::open(path, &Default::default())?;
    let data = Dataset::open(&model.tokenizer()?, records, &Default::default())?;
    let options = TrainOptions { steps: 8, ..Default::default() };
    let mut trainer = Trainer::new(&model, &data, None, &Default::default(), &options)?;
    drop((model, data)); // the trainer keeps what it needs of them

    let token = trainer.cancel_token();
    let worker = thread::spawn(move || {
        let result = trainer.run(|_| true);
        (trainer, result)
    });
    while token.progress()?.step == 0 && !worker.is_finished() {
        thread::sleep(Duration::from_millis(10));
        eprint!("\rstep {} of {} ", token.progress()?.step, token.progress()?.total_steps);
    }

    token.cancel()?;
    let (mut trainer, result) = worker.join().expect("the worker does not panic");
    match result {
        Err(error) if error.status() == Status::Cancelled => {
            trainer.save(format!("{folder}/state"))?;
            println!("cancelled: the state is saved, and the run goes on");
        }
        other => assert!(other?, "the run is finished"),
    }

    trainer.run(|_| true)?;
    let now = trainer.progress()?;
    let digest = trainer.adapter()?.info()?.digest;
    println!("step {} of {}, loss {:.3}, adapter {}", now.step, now.total_steps, now.loss, &digest[..12]);
    Ok(())
}

fn main() -> ftlib::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let (model, records, folder) = match &arguments[..] {
        [_, model, records, folder] => (model, records, folder),
        _ => panic!("usage: embedding MODEL TRAIN.jsonl DIR"),
    };
    show_error();
    embed(model, records, folder)
}
