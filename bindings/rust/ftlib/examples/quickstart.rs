// SPDX-License-Identifier: Apache-2.0
//! quickstart MODEL TRAIN.jsonl DIR: tunes a LoRA adapter and writes it as PEFT and as GGUF.
use ftlib::{Dataset, LoraOptions, Model, TrainOptions, Trainer};

fn main() -> ftlib::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let (model, records, folder) = match &arguments[..] {
        [_, model, records, folder] => (model, records, folder),
        _ => panic!("usage: quickstart MODEL TRAIN.jsonl DIR"),
    };
    let model = Model::open(model, &Default::default())?;
    let data = Dataset::open(&model.tokenizer()?, records, &Default::default())?;
    let options = TrainOptions { steps: 12, ..Default::default() };
    let mut trainer = Trainer::new(&model, &data, None, &LoraOptions::default(), &options)?;
    for progress in trainer.steps() {
        println!("loss {:.3}", progress?.loss);
    }
    let adapter = trainer.adapter()?;
    adapter.save_peft(folder)?;
    adapter.save_gguf(format!("{folder}/adapter.gguf"))
}
