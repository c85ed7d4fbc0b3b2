// SPDX-License-Identifier: Apache-2.0
// The whole surface in reading order: the way the data flows.
#pragma once
#include "ftlib/config.h"

#include "ftlib/core/buffer.h"
#include "ftlib/core/digest.h"
#include "ftlib/core/error.h"
#include "ftlib/core/half.h"
#include "ftlib/core/parallel.h"
#include "ftlib/core/random.h"
#include "ftlib/core/tensor.h"
#include "ftlib/core/weight.h"

#include "ftlib/io/atomic_file.h"
#include "ftlib/io/checkpoint.h"
#include "ftlib/io/file.h"
#include "ftlib/io/gguf.h"
#include "ftlib/io/json.h"
#include "ftlib/io/safetensors.h"

#include "ftlib/data/batch.h"
#include "ftlib/data/chat_template.h"
#include "ftlib/data/dataset.h"
#include "ftlib/data/loader.h"
#include "ftlib/data/record.h"
#include "ftlib/data/supervision.h"
#include "ftlib/data/tokenizer.h"

#include "ftlib/ops/backend.h"
#include "ftlib/ops/peak.h"

#include "ftlib/optim/adamw.h"
#include "ftlib/optim/schedule.h"

#include "ftlib/model/adapter.h"
#include "ftlib/model/bitsandbytes.h"
#include "ftlib/model/causal_lm.h"
#include "ftlib/model/config.h"
#include "ftlib/model/flops.h"
#include "ftlib/model/generate.h"
#include "ftlib/model/lora.h"
#include "ftlib/model/merge.h"
#include "ftlib/model/quantize.h"
#include "ftlib/model/weights.h"

#include "ftlib/track/journal.h"

#include "ftlib/eval/bootstrap.h"
#include "ftlib/eval/compare.h"
#include "ftlib/eval/evaluate.h"
#include "ftlib/eval/metrics.h"

#include "ftlib/train/plan.h"
#include "ftlib/train/resume.h"
#include "ftlib/train/run.h"
#include "ftlib/train/trainer.h"
#include "ftlib/train/validation.h"
