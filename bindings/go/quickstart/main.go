// SPDX-License-Identifier: Apache-2.0

// quickstart MODEL TRAIN.jsonl DIR tunes a LoRA adapter and writes it as PEFT and as GGUF.
package main

import (
	"ftlib"
	"log"
	"os"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	model := must(ftlib.OpenModel(os.Args[1], ftlib.ModelOptions{}))
	data := must(ftlib.OpenDataset(must(model.Tokenizer()), os.Args[2], ftlib.DatasetOptions{}))
	trainer := must(ftlib.NewTrainer(model, data, nil, ftlib.LoraOptions{}, ftlib.TrainOptions{Steps: 12}))
	for now := (ftlib.Progress{}); !now.Finished; log.Printf("loss %.3f", now.Loss) {
		now = must(trainer.Step())
	}
	adapter := must(trainer.Adapter())
	must(0, adapter.SavePEFT(os.Args[3]))
	must(0, adapter.SaveGGUF(os.Args[3]+"/adapter.gguf"))
}
