// SPDX-License-Identifier: Apache-2.0
//! FTLIB_TINY, FTLIB_RECORDS and FTLIB_WORK name the tiny model, a file of records and a folder for output.
#![allow(dead_code)]
use ftlib::*;
use std::path::PathBuf;

pub fn tiny() -> String {
    std::env::var("FTLIB_TINY").expect("FTLIB_TINY names the tiny model")
}

pub fn records() -> String {
    std::env::var("FTLIB_RECORDS").expect("FTLIB_RECORDS names a file of records")
}

pub fn work(name: &str) -> PathBuf {
    PathBuf::from(std::env::var("FTLIB_WORK").expect("FTLIB_WORK names a folder")).join(name)
}

pub fn model() -> Model {
    Model::open(tiny(), &ModelOptions { compute: Compute::F32, ..Default::default() }).unwrap()
}

pub fn dataset(model: &Model) -> Dataset {
    Dataset::open(&model.tokenizer().unwrap(), records(), &Default::default()).unwrap()
}

pub fn options(steps: i64) -> TrainOptions<'static> {
    TrainOptions { steps, batch_examples: 2, lr: 0.01, ..Default::default() }
}

pub fn trainer(steps: i64) -> Trainer {
    let model = model();
    let data = dataset(&model);
    Trainer::new(&model, &data, None, &Default::default(), &options(steps)).unwrap()
}

pub fn digest(trainer: &Trainer) -> String {
    trainer.adapter().unwrap().info().unwrap().digest
}

pub fn hello() -> Vec<Message> {
    vec![Message::new("user", "Hi"), Message::new("assistant", "Hello!")]
}
