// SPDX-License-Identifier: Apache-2.0

// embedding MODEL TRAIN.jsonl DIR: what a host needs beside training: an error as a value, a worker, progress,
// cancellation, a saved state. docs/embedding.md shows it beside C++, C, Python and Rust, which print the same lines.
package main

import (
	"context"
	"errors"
	"fmt"
	"ftlib"
	"log"
	"os"
	"time"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func showError() {
	_, err := ftlib.OpenModel("no-such-model.gguf", ftlib.ModelOptions{})
	var failure *ftlib.Error
	if errors.Is(err, ftlib.NotFound) && errors.As(err, &failure) {
		fmt.Printf("not found, reason %s: %v\n", failure.Reason, failure)
	}
}

func embed(path, records, folder string) {
	model := must(ftlib.OpenModel(path, ftlib.ModelOptions{}))
	data := must(ftlib.OpenDataset(must(model.Tokenizer()), records, ftlib.DatasetOptions{}))
	trainer := must(ftlib.NewTrainer(model, data, nil, ftlib.LoraOptions{}, ftlib.TrainOptions{Steps: 8}))
	defer trainer.Close()
	must(0, data.Close()) // the trainer keeps what it needs of both
	must(0, model.Close())

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- trainer.Run(ctx, nil) }()
	for len(ended) == 0 && must(trainer.Progress()).Step == 0 {
		time.Sleep(10 * time.Millisecond)
		now := must(trainer.Progress())
		fmt.Fprintf(os.Stderr, "\rstep %d of %d ", now.Step, now.TotalSteps)
	}

	cancel()
	if err := <-ended; errors.Is(err, context.Canceled) {
		must(0, trainer.Save(folder+"/state"))
		fmt.Println("cancelled: the state is saved, and the run goes on")
	} else {
		must(0, err)
	}

	must(0, trainer.Run(context.Background(), nil))
	now, adapter := must(trainer.Progress()), must(trainer.Adapter())
	defer adapter.Close()
	digest := must(adapter.Info()).Digest
	fmt.Printf("step %d of %d, loss %.3f, adapter %s\n", now.Step, now.TotalSteps, now.Loss, digest[:12])
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: embedding MODEL TRAIN.jsonl DIR")
	}
	showError()
	embed(os.Args[1], os.Args[2], os.Args[3])
}
