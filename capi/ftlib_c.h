/* SPDX-License-Identifier: Apache-2.0 */
/* ftlib in C: fine-tune a language model inside your own program, whatever language it is written in.
 *
 * The ten rules of this header
 *
 *  1. Everything begins with ft_ or FT_. A handle is an opaque pointer; its bits are a number, never an address, so a
 *     handle that is NULL, freed, of another type or made up is refused with FT_ERROR_INVALID_ARGUMENT, not followed.
 *  2. Every function returns ft_status, but for the few that give a constant or the last error's text and cannot fail.
 *     A result comes by a pointer, always last. On an error a handle's pointer is set to NULL, a count to 0; other
 *     results are left alone. A function that fails has changed nothing, unless it says so. Neither a pointer nor what
 *     an array of pointers holds may be NULL (FT_ERROR_INVALID_ARGUMENT), unless its description says what NULL means.
 *     Any function may return FT_ERROR_OUT_OF_MEMORY, and FT_ERROR_INTERNAL where this library is at fault; the other
 *     errors stand with each.
 *  3. ft_last_error() is the sentence for the person, with the next step where there is one; ft_last_error_reason()
 *     what is wrong with a file. Both belong to the calling thread and to its latest call: fetch them on the same
 *     thread before the next call (a Go program locks the goroutine to its thread around both).
 *  4. Options and views are structs whose first field is struct_size. Fill options with their _init function, then set
 *     what differs. NULL options are the defaults. Structs grow at their end only: an older program on a newer library
 *     gets the defaults for what it does not know, a newer program on an older library FT_ERROR_UNSUPPORTED as soon as
 *     it sets something that the library does not know. Set struct_size = sizeof of a struct that a function fills; it
 *     fills as much as fits.
 *  5. ft_x_free(NULL) does nothing. The order of frees does not matter: what a handle needs lives as long as it does. A
 *     handle may be freed while another thread's call uses it; the memory goes when that call ends.
 *  6. Text in is UTF-8 and ends with a NUL, unless a size is given. Text out is borrowed, and valid as long as its
 *     handle, or is copied into your buffer: with capacity 0 and a NULL buffer such a function only says how much there
 *     is, and with too little it fills nothing, says how much there is and returns FT_ERROR_BUFFER_TOO_SMALL. No memory
 *     crosses the boundary otherwise; nothing here is given to the host's free().
 *  7. Work happens in the call and on the caller's thread, with help of a pool that never calls back. A callback runs
 *     on the thread that made the call, before it returns. Return 0 from it to go on; anything else ends the call with
 *     FT_ERROR_CANCELLED. A C++ exception that leaves a callback ends the call in the same way.
 *  8. Nothing throws, prints, exits, aborts, opens a socket, installs a signal handler, changes the locale, the working
 *     folder, the signal mask or the floating-point environment of the host. What the host has set of them changes no
 *     result. Rounding, flushing of subnormals, traps and exception flags are after a call, and in its callbacks, what
 *     the host made them: a call raises no flag and no trap, and what a callback sets stays set.
 *  9. fork() leaves the pool's threads behind. In a child that was forked while there were any, every function that
 *     computes returns FT_ERROR_UNSUPPORTED, however little there is to do: those that open models and datasets;
 *     ft_trainer_create, _step, _run and _resume; ft_merge, ft_evaluate, ft_evaluation_compare, ft_generate; the
 *     primitives; and ft_shutdown. What the caller's thread does alone works: reading what is in memory, tokenising,
 *     appending, saving. Start a new process (Python: the "spawn" method), or call ft_shutdown before the fork: the
 *     child may then do everything.
 * 10. Numbers of enums never change, retired ones stay as comments, and only ft_*@@FTLIB_0 is exported. A change that
 *     breaks this gets a new SONAME: libftlib_c.so.N, with N = FT_ABI_VERSION.
 *
 * Threads
 *
 *   ft_model, ft_tokenizer, ft_adapter,      do not change once made: any number of threads at once
 *   ft_evaluation, ft_generation
 *   ft_dataset                               any number of threads; an append waits for other calls on it, and what was
 *                                            made of it before (trainers, batches) does not see it
 *   ft_batches                               one call at a time; a second one meanwhile gets FT_ERROR_BUSY
 *   ft_trainer                               one call at a time, a second one gets FT_ERROR_BUSY; ft_trainer_cancel and
 *                                            ft_trainer_progress from any thread and any callback at any time
 *   functions without a handle               any number of threads; ft_backend_force and ft_shutdown: see there
 *
 * Results do not depend on the number of threads, ours or yours: the same inputs on the same type of machine give the
 * same bits.
 *
 * Shapes use the letters T tokens of a packed batch, N rows of a weight (out), K columns (in), R LoRA rank, V
 * vocabulary, S supervised tokens. Matrices are row-major. Sizes of memory are bytes, times seconds, losses nats.
 */
#ifndef FTLIB_C_H
#define FTLIB_C_H

#include <stddef.h>
#include <stdint.h>

#if defined(FTLIB_C_BUILD)
#define FT_API __attribute__((visibility("default")))
#else
#define FT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- Status --- */

/* The number of the ABI: that of the SONAME. */
#define FT_ABI_VERSION 0

/* What became of a call. The FORCE32 constants make every enum 32 bits wide; they are no values. */
typedef enum ft_status {
  FT_OK = 0,
  FT_ERROR_INVALID_ARGUMENT = 1, /* something was passed that cannot work: out of range, or no handle */
  FT_ERROR_UNSUPPORTED = 2,      /* understood, but not offered by this library, build or processor */
  FT_ERROR_OUT_OF_MEMORY = 3,
  FT_ERROR_INVALID_FILE = 4,     /* a file's content is wrong; ft_last_error_reason() says how */
  FT_ERROR_IO = 5,               /* the operating system refused; the text carries its words */
  FT_ERROR_NOT_FOUND = 6,
  FT_ERROR_BUSY = 7,             /* another call, thread or process holds it: wait and try again */
  FT_ERROR_MISMATCH = 8,         /* two valid things do not belong together: an adapter and a base, a state and a run */
  FT_ERROR_NON_FINITE = 9,       /* NaN or infinity where a number is needed */
  FT_ERROR_CANCELLED = 10,       /* a callback or ft_trainer_cancel asked for it */
  FT_ERROR_INTERNAL = 11,        /* a fault of this library: please report it */
  FT_ERROR_BUFFER_TOO_SMALL = 12,
  FT_STATUS_FORCE32 = 0x7fffffff
} ft_status;

/* What is wrong with a file; FT_REASON_NONE for errors that no file caused. docs/errors.md has an entry for each. */
typedef enum ft_reason {
  FT_REASON_NONE = 0,
  FT_REASON_TRUNC = 1,       /* it ends too early */
  FT_REASON_LIMIT = 2,       /* larger, deeper or longer than this library reads */
  FT_REASON_OVERFLOW = 3,    /* sizes whose product does not fit 64 bits */
  FT_REASON_MAGIC = 4,       /* another type of file */
  FT_REASON_VERSION = 5,     /* of a newer version */
  FT_REASON_UTF8 = 6,        /* text that is not UTF-8 */
  FT_REASON_JSON = 7,        /* text that is not JSON */
  FT_REASON_DUP = 8,         /* a key or a name twice */
  FT_REASON_SCHEMA = 9,      /* a field is missing, unknown or of another type */
  FT_REASON_DTYPE = 10,      /* a tensor of another element type */
  FT_REASON_SHAPE = 11,      /* a tensor of another shape */
  FT_REASON_RANGE = 12,      /* a number out of its range */
  FT_REASON_LAYOUT = 13,     /* pieces that overlap, or lie where they may not */
  FT_REASON_MISMATCH = 14,   /* pieces that do not belong together; a digest that differs */
  FT_REASON_UNSUPPORTED = 15,
  FT_REASON_CHANGED = 16,    /* somebody changed it meanwhile */
  FT_REASON_IO = 17,
  FT_REASON_FORCE32 = 0x7fffffff
} ft_reason;

/* "0.1.0", the version of the library that runs. Never NULL, never freed. Any thread. Since 0.1. */
FT_API const char* ft_version(void);

/* FT_ABI_VERSION of the library that runs; compare it with the header's where a library is loaded by hand. Any thread.
 * Since 0.1. */
FT_API uint32_t ft_abi_version(void);

/* "FT_ERROR_BUSY"; "unknown status" for a number that is none. Never NULL, never freed. Any thread. Since 0.1. */
FT_API const char* ft_status_name(ft_status status);

/* "TRUNC", the word that the documentation lists; "unknown reason" for a number that is none. Never NULL, never freed.
 * Any thread. Since 0.1. */
FT_API const char* ft_reason_name(ft_reason reason);

/* The sentence of the latest call on this thread, UTF-8, at most 1,023 bytes; "" after a call that returned FT_OK.
 * Borrowed until this thread's next call. It may hold paths and text of files: mind where you show it. Never NULL.
 * Functions that return no ft_status leave it alone. Since 0.1. */
FT_API const char* ft_last_error(void);

/* What was wrong with the file, after FT_ERROR_INVALID_FILE, FT_ERROR_IO or FT_ERROR_UNSUPPORTED; else FT_REASON_NONE.
 * Of the latest call on this thread. Since 0.1. */
FT_API ft_reason ft_last_error_reason(void);

/* --- The process --- */

/* Told of what a person should know though nothing failed: an adapter of another base, a damaged checkpoint that was
 * passed over, records left out. `message` is borrowed for the call, UTF-8, one line. Runs on the thread whose call it
 * is about; it must not call ft_set_log. */
typedef void (*ft_log_callback)(const char* message, void* user);

/* Where warnings go, for the whole process; NULL, which is the default: nowhere. `user` is handed back and may be NULL.
 * It waits for the callback before where that is running in another thread: once it returns, that one will not run
 * again. FT_ERROR_BUSY from within a log callback. Any thread. Since 0.1. */
FT_API ft_status ft_set_log(ft_log_callback callback, void* user);

/* How many backends this build has, best first, whether this processor can run them or not.
 *
 * count  receives the number; not NULL (FT_ERROR_INVALID_ARGUMENT). Any thread. Since 0.1. */
FT_API ft_status ft_backend_count(size_t* count);

/* One backend: "onednn", "avx512bf16", "avx2", "portable" or "ref".
 *
 * index      from 0 to ft_backend_count - 1, else FT_ERROR_INVALID_ARGUMENT
 * name       receives a constant that is never freed; not NULL
 * available  receives 1 where this processor can run it, else 0; may be NULL
 * Any thread. Since 0.1. */
FT_API ft_status ft_backend_name(size_t index, const char** name, int32_t* available);

/* Forces one backend for the whole process; what it does not offer falls to "ref". The environment's
 * FTLIB_FORCE_BACKEND does the same. Different backends differ in the last bits of results.
 *
 * name  of an available one; NULL or "": choose for each op again
 * FT_ERROR_UNSUPPORTED with the names that there are. Any thread, but not while another one computes. Since 0.1. */
FT_API ft_status ft_backend_force(const char* name);

/* Which backend ran the last op of this name on this thread: ft_backend_used("linear", &name).
 *
 * op    "linear", "matmul", "attention", "nf4_quantize", ...; not NULL
 * name  receives a constant; "" where no such op ran here yet; not NULL
 * FT_ERROR_INVALID_ARGUMENT for NULL. Any thread, each asks for its own. Since 0.1. */
FT_API ft_status ft_backend_used(const char* op, const char** name);

/* How many threads a call may use, the caller's among them. By default as many as the process may use CPUs: affinity
 * and cgroup quota count. FT_ERROR_INVALID_ARGUMENT for NULL. Any thread. Since 0.1. */
FT_API ft_status ft_get_threads(int32_t* count);

/* Sets it, 1 to 1024 (else FT_ERROR_INVALID_ARGUMENT); holds for work that begins afterwards. Any thread. Since 0.1. */
FT_API ft_status ft_set_threads(int32_t count);

/* Joins the pool's threads; the next call that needs them starts them again. For hosts that unload the library or look
 * for leaks at their end, or are about to fork(). FT_ERROR_UNSUPPORTED in a forked child, where there is nothing to
 * join. Any thread, but only while no other call computes. Since 0.1. */
FT_API ft_status ft_shutdown(void);

/* --- Tokenizer and chat template --- */

/* A vocabulary with the chat template that belongs to it. Immutable. */
typedef struct ft_tokenizer ft_tokenizer;

typedef struct ft_tokenizer_options {
  uint32_t struct_size;
  uint32_t reserved;         /* 0 */
  const char* chat_template; /* Jinja text in place of the model's own; NULL: the model's. Copied */
  const char* date;          /* what the template's strftime_now sees, YYYY-MM-DD; NULL: it is undefined. Copied */
} ft_tokenizer_options;

/* Fills in the defaults above. struct_size: sizeof *options. FT_ERROR_INVALID_ARGUMENT for NULL, or an impossible size.
 * The same holds for every _init function. Any thread. Since 0.1. */
FT_API ft_status ft_tokenizer_options_init(ft_tokenizer_options* options, size_t struct_size);

/* Reads a model's tokenizer and template, and none of its weights.
 *
 * model  a .gguf file, or a Hugging Face folder with tokenizer.json; not NULL
 * out    receives a handle that ft_tokenizer_free frees
 * FT_ERROR_NOT_FOUND, FT_ERROR_IO, FT_ERROR_INVALID_FILE with path and field, or the line of a template that is none;
 * FT_ERROR_UNSUPPORTED naming what is not offered. Any thread. Since 0.1. */
FT_API ft_status ft_tokenizer_open(const char* model, const ft_tokenizer_options* options, ft_tokenizer** out);

/* Frees the handle; NULL does nothing. FT_ERROR_INVALID_ARGUMENT for a handle that is none any more: a second free is
 * an error value, no crash. The same holds for every _free function. Any thread. Since 0.1. */
FT_API ft_status ft_tokenizer_free(ft_tokenizer* tokenizer);

typedef struct ft_tokenizer_info {
  uint32_t struct_size;
  int32_t vocab_size;        /* ids are 0 to vocab_size - 1 */
  int32_t bos_id;            /* -1: there is none; likewise below */
  int32_t eos_id;
  int32_t pad_id;
  int32_t adds_bos;          /* 1: plain text begins with bos_id in training */
  const char* chat_template; /* the Jinja text in use; NULL: none. Borrowed from the tokenizer; likewise below */
  const char* digest;        /* SHA-256 of all that decides ids, 64 hex digits */
} ft_tokenizer_info;

/* Facts of a tokenizer. info: not NULL, struct_size set (FT_ERROR_INVALID_ARGUMENT). Any thread. Since 0.1. */
FT_API ft_status ft_tokenizer_get_info(const ft_tokenizer* tokenizer, ft_tokenizer_info* info);

/* For ft_tokenizer_encode: control tokens such as <|im_end|> in the text become themselves. Without it they stay text,
 * so that data cannot forge a turn. */
#define FT_ENCODE_SPECIAL 1u

/* Token ids of a text, without begin and end token; those of Hugging Face's tokenizers.
 *
 * text         [text_bytes], any bytes; may be NULL where text_bytes is 0
 * flags        0 or FT_ENCODE_SPECIAL
 * tokens       [capacity], receives the ids; NULL with capacity 0 asks for the count only
 * token_count  receives how many there are; not NULL
 * FT_ERROR_BUFFER_TOO_SMALL, FT_ERROR_UNSUPPORTED for other flags, FT_ERROR_INVALID_ARGUMENT for 2 GiB and more.
 * Any thread. Since 0.1. */
FT_API ft_status ft_tokenizer_encode(const ft_tokenizer* tokenizer, const char* text, size_t text_bytes, uint32_t flags,
                                     int32_t* tokens, size_t capacity, size_t* token_count);

/* For ft_tokenizer_decode: control tokens give nothing. */
#define FT_DECODE_SKIP_SPECIAL 1u

/* The bytes of tokens, joined. They may end inside a UTF-8 character.
 *
 * tokens      [token_count], each below vocab_size (else FT_ERROR_INVALID_ARGUMENT); may be NULL where the count is 0
 * flags       0 or FT_DECODE_SKIP_SPECIAL
 * text        [capacity], receives the bytes, without a NUL; NULL with capacity 0 asks for their number only
 * text_bytes  receives how many there are; not NULL
 * FT_ERROR_BUFFER_TOO_SMALL, FT_ERROR_UNSUPPORTED for other flags. Any thread. Since 0.1. */
FT_API ft_status ft_tokenizer_decode(const ft_tokenizer* tokenizer, const int32_t* tokens, size_t token_count,
                                     uint32_t flags, char* text, size_t capacity, size_t* text_bytes);

/* For the two functions below: end with what an assistant's answer follows; train the last assistant turn only. */
#define FT_CHAT_GENERATION_PROMPT 1u
#define FT_CHAT_SUPERVISE_LAST 2u

/* A conversation as the text that the model was trained to read: transformers' apply_chat_template, in a sandbox.
 *
 * roles, contents  [message_count] "system", "user", "assistant" or what else the template knows, and what they say;
 *                  at least one message
 * flags            0 or FT_CHAT_GENERATION_PROMPT
 * text             [capacity], receives the bytes, without a NUL; NULL with capacity 0 asks for their number only
 * text_bytes       receives how many there are; not NULL
 * FT_ERROR_UNSUPPORTED where the model has no template and for other flags, FT_ERROR_INVALID_ARGUMENT with the
 * template's line where it raises, FT_ERROR_INVALID_FILE (LIMIT) where it runs too long, FT_ERROR_BUFFER_TOO_SMALL.
 * Any thread. Since 0.1. */
FT_API ft_status ft_tokenizer_render(const ft_tokenizer* tokenizer, const char* const* roles,
                                     const char* const* contents, size_t message_count, uint32_t flags, char* text,
                                     size_t capacity, size_t* text_bytes);

/* The same as tokens, and which of them training would teach: of each assistant turn its content as the template
 * printed it, and the end-of-turn token after it. Text of messages never becomes a control token.
 *
 * flags       0, FT_CHAT_GENERATION_PROMPT (nothing is supervised then), FT_CHAT_SUPERVISE_LAST
 * tokens      [capacity], receives the ids; NULL with capacity 0 asks for the count only
 * supervised  [capacity], receives 1 where the token is a target, else 0; may be NULL
 * token_count receives how many there are; not NULL
 * Errors as ft_tokenizer_render; FT_ERROR_INVALID_FILE (SCHEMA) where a turn's content is not found in the rendering.
 * Any thread. Since 0.1. */
FT_API ft_status ft_tokenizer_encode_messages(const ft_tokenizer* tokenizer, const char* const* roles,
                                              const char* const* contents, size_t message_count, uint32_t flags,
                                              int32_t* tokens, uint8_t* supervised, size_t capacity,
                                              size_t* token_count);

/* --- Models --- */

/* Frozen weights with their tokenizer. Immutable: any number of trainers and generations share it. */
typedef struct ft_model ft_model;

/* What the linears of the decoder are in memory. Embeddings, head and norms keep the format of the file. */
typedef enum ft_base_format {
  FT_BASE_NATIVE = 0, /* as the file has them, GGUF's quantised blocks included */
  FT_BASE_F32 = 1,
  FT_BASE_BF16 = 2,
  FT_BASE_NF4 = 3,    /* QLoRA: quantised as bitsandbytes does */
  FT_BASE_FORMAT_FORCE32 = 0x7fffffff
} ft_base_format;

typedef enum ft_compute {
  FT_COMPUTE_AUTO = 0, /* bf16 where the processor multiplies it natively, else f32 */
  FT_COMPUTE_F32 = 1,
  FT_COMPUTE_BF16 = 2, /* FT_ERROR_UNSUPPORTED where the processor does not */
  FT_COMPUTE_FORCE32 = 0x7fffffff
} ft_compute;

typedef struct ft_model_options {
  uint32_t struct_size;
  ft_base_format base;       /* FT_BASE_NATIVE */
  ft_compute compute;        /* FT_COMPUTE_AUTO */
  int32_t block_size;        /* 64; elements a block of FT_BASE_NF4: 32, 64, ..., 4096 */
  int32_t double_quant;      /* 0; 1: FT_BASE_NF4 quantises the block scales too */
  uint32_t reserved;         /* 0 */
  const char* chat_template; /* NULL; as ft_tokenizer_options */
  const char* date;          /* NULL; as ft_tokenizer_options */
} ft_model_options;

/* Fills in the defaults above. As ft_tokenizer_options_init. Since 0.1. */
FT_API ft_status ft_model_options_init(ft_model_options* options, size_t struct_size);

/* Reads a model. Weights are read into memory, never mapped: the file may be replaced afterwards.
 *
 * path  a .gguf file, or a Hugging Face folder (config.json, *.safetensors, tokenizer.json); not NULL
 * out   receives a handle that ft_model_free frees
 * FT_ERROR_NOT_FOUND, FT_ERROR_IO, FT_ERROR_INVALID_FILE with path and field or tensor, FT_ERROR_UNSUPPORTED naming
 * what is not offered, FT_ERROR_NON_FINITE naming the tensor, FT_ERROR_INVALID_ARGUMENT for options out of range,
 * FT_ERROR_OUT_OF_MEMORY. Any thread. Since 0.1. */
FT_API ft_status ft_model_open(const char* path, const ft_model_options* options, ft_model** out);

/* The same for a GGUF file that is in memory, for programs that keep their model in a resource or decrypt it.
 *
 * data  [data_bytes], the file; read during the call only, may be freed after it; may be NULL where data_bytes is 0
 * out   receives a handle that ft_model_free frees
 * Errors as ft_model_open, which name the file "memory". Any thread. Since 0.1. */
FT_API ft_status ft_model_open_memory(const void* data, size_t data_bytes, const ft_model_options* options,
                                      ft_model** out);

/* Frees the handle; trainers, adapters and tokenizers made of it live on. As ft_tokenizer_free. Since 0.1. */
FT_API ft_status ft_model_free(ft_model* model);

typedef struct ft_model_info {
  uint32_t struct_size;
  ft_compute compute;              /* what FT_COMPUTE_AUTO became */
  ft_base_format base;
  int32_t tie_word_embeddings;     /* 1: head and embedding are one */
  const char* model_type;          /* "llama". Borrowed from the model; likewise below */
  const char* digest;              /* SHA-256 of what decides the weights, 64 hex digits */
  int64_t vocab_size;
  int64_t hidden_size;
  int64_t intermediate_size;
  int64_t num_hidden_layers;
  int64_t num_attention_heads;
  int64_t num_key_value_heads;
  int64_t head_dim;
  int64_t max_position_embeddings; /* tokens */
  int64_t weight_bytes;            /* in memory */
} ft_model_info;

/* Facts of a model, with the names of Hugging Face's config.json. The first call may read the model's files once more
 * for the digest. info: not NULL, struct_size set (FT_ERROR_INVALID_ARGUMENT). FT_ERROR_IO, FT_ERROR_NOT_FOUND and
 * FT_ERROR_INVALID_FILE where these files are not what they were. Any thread. Since 0.1. */
FT_API ft_status ft_model_get_info(const ft_model* model, ft_model_info* info);

/* The model's tokenizer as a handle of its own.
 *
 * out  receives a handle that ft_tokenizer_free frees; not NULL (FT_ERROR_INVALID_ARGUMENT)
 * Any thread. Since 0.1. */
FT_API ft_status ft_model_tokenizer(const ft_model* model, ft_tokenizer** out);

/* --- Records --- */

/* Records as tokens, each with a flag: is it a target of training? */
typedef struct ft_dataset ft_dataset;

typedef struct ft_dataset_options {
  uint32_t struct_size;
  int32_t supervise_last; /* 0: every assistant turn is trained; 1: the last one of each record only */
  int64_t max_length;     /* 1024 tokens of a record */
  int32_t truncate;       /* 0: longer records are left out and counted; 1: they are cut */
  uint32_t reserved;      /* 0 */
  int64_t limit;          /* 0; else only the first so many records of the file */
} ft_dataset_options;

/* Fills in the defaults above. As ft_tokenizer_options_init. Since 0.1. */
FT_API ft_status ft_dataset_options_init(ft_dataset_options* options, size_t struct_size);

/* Reads a file of records, one JSON object a line (docs/data.md): messages, prompt and completion, or text.
 *
 * path  a JSONL file; NULL: begin without records, to be appended
 * out   receives a handle that ft_dataset_free frees
 * FT_ERROR_INVALID_FILE with path, line and column, FT_ERROR_NOT_FOUND, FT_ERROR_IO, FT_ERROR_INVALID_ARGUMENT for
 * options out of range, and of each record the errors of ft_dataset_append_messages. Any thread. Since 0.1. */
FT_API ft_status ft_dataset_open(const ft_tokenizer* tokenizer, const char* path, const ft_dataset_options* options,
                                 ft_dataset** out);

/* Frees the handle; what was made of it lives on. As ft_tokenizer_free. Since 0.1. */
FT_API ft_status ft_dataset_free(ft_dataset* dataset);

/* What may stand beside a record's text. */
typedef struct ft_record_options {
  uint32_t struct_size;
  uint32_t prompt_messages; /* 0; so many messages at the begin are prompt and never trained */
  const char* id;           /* NULL: the number of the record, from 1, in decimal. Copied */
  const char* group;        /* NULL: none. Records of one group are drawn together in comparisons. Copied */
  double weight;            /* 1; of each of its supervised tokens in the loss */
} ft_record_options;

/* Fills in the defaults above. As ft_tokenizer_options_init. Since 0.1. */
FT_API ft_status ft_record_options_init(ft_record_options* options, size_t struct_size);

/* Appends a conversation. Everything is copied. A record over max_length is left out or cut, and counted.
 *
 * roles, contents  [message_count], not NULL
 * FT_ERROR_INVALID_FILE (SCHEMA) where nothing of it is supervised or a turn is not found in the template's rendering;
 * FT_ERROR_UNSUPPORTED where there is no template; FT_ERROR_INVALID_ARGUMENT for options out of range, and where the
 * template raises. The dataset is then as before. Any thread. Since 0.1. */
FT_API ft_status ft_dataset_append_messages(ft_dataset* dataset, const char* const* roles, const char* const* contents,
                                            size_t message_count, const ft_record_options* options);

/* Appends a prompt and what should follow it, without a template; completion and end token are trained. Not NULL. As
 * ft_dataset_append_messages. Since 0.1. */
FT_API ft_status ft_dataset_append_completion(ft_dataset* dataset, const char* prompt, const char* completion,
                                              const ft_record_options* options);

/* Appends plain text, all of it trained. Not NULL. As ft_dataset_append_messages. Since 0.1. */
FT_API ft_status ft_dataset_append_text(ft_dataset* dataset, const char* text, const ft_record_options* options);

/* Appends a record as a line of a JSONL file has it. json: [json_bytes], not NULL. As ft_dataset_append_messages;
 * FT_ERROR_INVALID_FILE with the column. Since 0.1. */
FT_API ft_status ft_dataset_append_json(ft_dataset* dataset, const char* json, size_t json_bytes);

/* Appends a record that the caller has tokenised.
 *
 * tokens  [token_count], each below vocab_size
 * labels  [token_count], Hugging Face's convention: labels[i] is tokens[i] where it is a target, else -100; any other
 *         value is FT_ERROR_INVALID_ARGUMENT. The first token is never a target, whatever its label
 * As ft_dataset_append_messages. Since 0.1. */
FT_API ft_status ft_dataset_append_tokens(ft_dataset* dataset, const int32_t* tokens, const int32_t* labels,
                                          size_t token_count, const ft_record_options* options);

typedef struct ft_dataset_info {
  uint32_t struct_size;
  uint32_t reserved;
  int64_t examples;          /* records that are there to train on */
  int64_t records;           /* read or appended, those left out among them */
  int64_t left_out;          /* longer than max_length */
  int64_t truncated;
  int64_t tokens;
  int64_t supervised_tokens;
} ft_dataset_info;

/* Counts of a dataset. info: not NULL, struct_size set (FT_ERROR_INVALID_ARGUMENT). Any thread. Since 0.1. */
FT_API ft_status ft_dataset_get_info(const ft_dataset* dataset, ft_dataset_info* info);

/* One example as it will be trained.
 *
 * index       from 0 to examples - 1, else FT_ERROR_INVALID_ARGUMENT
 * tokens      [capacity], receives the ids; NULL with capacity 0 asks for the count only
 * labels      [capacity], as in ft_dataset_append_tokens; may be NULL
 * token_count receives how many there are; not NULL
 * FT_ERROR_BUFFER_TOO_SMALL. Any thread. Since 0.1. */
FT_API ft_status ft_dataset_example(const ft_dataset* dataset, int64_t index, int32_t* tokens, int32_t* labels,
                                    size_t capacity, size_t* token_count);

/* --- Batches --- */

/* Walks a dataset in packed micro-batches, in the order in which a trainer with the same options does: for training
 * loops of your own. */
typedef struct ft_batches ft_batches;

typedef enum ft_order {
  FT_ORDER_SHUFFLE = 0,
  FT_ORDER_GIVEN = 1,
  FT_ORDER_FORCE32 = 0x7fffffff
} ft_order;

typedef struct ft_batch_options {
  uint32_t struct_size;
  ft_order order;         /* FT_ORDER_SHUFFLE */
  int64_t batch_tokens;   /* 2048; packed tokens of a micro-batch at most */
  int64_t batch_examples; /* 0; > 0: so many examples a micro-batch instead */
  int64_t accumulate;     /* 1; micro-batches of a step */
  uint64_t seed;          /* 0 */
  int64_t epochs;         /* 1 */
} ft_batch_options;

/* Fills in the defaults above. As ft_tokenizer_options_init. Since 0.1. */
FT_API ft_status ft_batch_options_init(ft_batch_options* options, size_t struct_size);

/* A micro-batch: T tokens of one or more segments, one behind another, without padding. Pointers are borrowed until the
 * next call with these batches. */
typedef struct ft_batch {
  uint32_t struct_size;
  uint32_t reserved;
  int64_t epoch;                  /* from 0 */
  int64_t step;                   /* of the epoch, from 0 */
  int64_t micro_step;             /* of the step, from 0 */
  int64_t token_count;            /* T; 0: there is no further batch, and nothing else is set */
  int64_t segment_count;
  int64_t supervised_tokens;
  const int32_t* tokens;          /* [T] */
  const int32_t* labels;          /* [T] the token that row t has to predict, already shifted; -100: none */
  const float* weights;           /* [T] of the label in the loss */
  const int32_t* positions;       /* [T] within the segment */
  const int32_t* segment_offsets; /* [segment_count + 1] where each begins; the last one is T */
} ft_batch;

/* Begins to walk. The dataset may be appended to or freed afterwards; this walk does not see it.
 *
 * out  receives a handle that ft_batches_free frees; not NULL
 * FT_ERROR_INVALID_ARGUMENT for an empty dataset, options out of range or an example longer than batch_tokens;
 * FT_ERROR_UNSUPPORTED for an order that is none. Any thread. Since 0.1. */
FT_API ft_status ft_batches_create(const ft_dataset* dataset, const ft_batch_options* options, ft_batches** out);

/* Frees the handle, and with it the memory of its last batch. As ft_tokenizer_free. Since 0.1. */
FT_API ft_status ft_batches_free(ft_batches* batches);

/* The next micro-batch. batch: not NULL, struct_size set (FT_ERROR_INVALID_ARGUMENT); token_count 0 at the end. One
 * call at a time, else FT_ERROR_BUSY. Since 0.1. */
FT_API ft_status ft_batches_next(ft_batches* batches, ft_batch* batch);

/* Where a walk is: what the next call of ft_batches_next gives. Three numbers to keep beside your own checkpoint. */
typedef struct ft_batch_position {
  uint32_t struct_size;
  uint32_t reserved;
  int64_t epoch;
  int64_t step;
  int64_t micro_step;
} ft_batch_position;

/* Saves the position. position: not NULL, struct_size set (FT_ERROR_INVALID_ARGUMENT). One call at a time, else
 * FT_ERROR_BUSY. Since 0.1. */
FT_API ft_status ft_batches_get_position(const ft_batches* batches, ft_batch_position* position);

/* Goes on from a position, of this walk or of another one over the same records with the same options; nothing is
 * replayed. position: not NULL, struct_size set. FT_ERROR_MISMATCH for one outside this walk. One call at a time, else
 * FT_ERROR_BUSY. Since 0.1. */
FT_API ft_status ft_batches_set_position(ft_batches* batches, const ft_batch_position* position);

/* --- Adapters --- */

/* A LoRA adapter. Immutable. */
typedef struct ft_adapter ft_adapter;

typedef enum ft_dtype {
  FT_F32 = 0,
  FT_BF16 = 1,
  FT_F16 = 2,
  FT_DTYPE_FORCE32 = 0x7fffffff
} ft_dtype;

/* A view of memory. Strides count elements; the last axis is contiguous. */
typedef struct ft_tensor {
  uint32_t struct_size;
  ft_dtype dtype;
  void* data;        /* not NULL where it has elements */
  int32_t rank;      /* 1 or 2 */
  uint32_t reserved; /* 0 */
  int64_t shape[2];  /* [n], or [rows, columns] */
  int64_t stride[2]; /* elements from one row to the next, and 1; {0, 0}: contiguous */
} ft_tensor;

/* Reads a PEFT folder or a GGUF adapter. Tells the log where it was trained on another base, or on another form of this
 * one.
 *
 * path  not NULL
 * out   receives a handle that ft_adapter_free frees
 * FT_ERROR_INVALID_FILE naming field or tensor, FT_ERROR_NOT_FOUND, FT_ERROR_IO, FT_ERROR_NON_FINITE, and where it has
 * to be compared with the model's files the errors of ft_model_get_info. Any thread. Since 0.1. */
FT_API ft_status ft_adapter_open(const ft_model* model, const char* path, ft_adapter** out);

/* Frees the handle; borrowed tensors end with it. As ft_tokenizer_free. Since 0.1. */
FT_API ft_status ft_adapter_free(ft_adapter* adapter);

/* Writes adapter_config.json and adapter_model.safetensors as PEFT does, creating `folder`, which is not NULL; each
 * file atomically. FT_ERROR_IO, FT_ERROR_NOT_FOUND where no folder can be. Any thread. Since 0.1. */
FT_API ft_status ft_adapter_save_peft(const ft_adapter* adapter, const char* folder);

/* Writes the file that llama.cpp reads, atomically. path: not NULL. Errors as ft_adapter_save_peft. Any thread.
 * Since 0.1. */
FT_API ft_status ft_adapter_save_gguf(const ft_adapter* adapter, const char* path);

typedef struct ft_adapter_info {
  uint32_t struct_size;
  int32_t use_rslora;
  int64_t r;
  double lora_alpha;
  double lora_dropout;
  int64_t parameter_count;
  size_t tensor_count;     /* two a module: A, then B */
  const char* digest;      /* SHA-256 of its numbers, 64 hex digits; borrowed from the adapter, likewise below */
  const char* base_digest; /* of the base it was trained on; "": it does not say */
} ft_adapter_info;

/* Facts of an adapter, with the names of PEFT's LoraConfig. info: not NULL, struct_size set
 * (FT_ERROR_INVALID_ARGUMENT). Any thread. Since 0.1. */
FT_API ft_status ft_adapter_get_info(const ft_adapter* adapter, ft_adapter_info* info);

/* One of its tensors, in the order of the computation: A [R, K], then B [N, R] of the first adapted module, and so on.
 *
 * index   from 0 to tensor_count - 1, else FT_ERROR_INVALID_ARGUMENT
 * name    receives "model.layers.0.self_attn.q_proj.lora_A"; borrowed from the adapter; may be NULL
 * scale   receives what B A is multiplied by, alpha / r or alpha / sqrt(r); may be NULL
 * tensor  not NULL, struct_size set; receives f32 memory of the adapter's, to be read only, valid as long as the
 *         adapter
 * Any thread. Since 0.1. */
FT_API ft_status ft_adapter_tensor(const ft_adapter* adapter, size_t index, const char** name, float* scale,
                                   ft_tensor* tensor);

/* Told how far a long call is; `done` of `total` bytes or tokens. Non-zero ends it with FT_ERROR_CANCELLED. */
typedef int32_t (*ft_work_callback)(int64_t done, int64_t total, void* user);

/* Writes base + adapter as a model of its own: a GGUF file where `out` ends in ".gguf", else a Hugging Face folder.
 * Merges into the codes that the adapter was trained on; needs memory for about the largest tensor.
 *
 * model     opened from a path (FT_ERROR_UNSUPPORTED otherwise): its files are read again
 * out       not NULL; a GGUF file that is there is replaced, if it is not the base; a folder must not be there, or be
 *           empty (FT_ERROR_INVALID_ARGUMENT otherwise)
 * format    "f32", "bf16", "f16" or, for GGUF, "q8_0"; not NULL. FT_ERROR_INVALID_ARGUMENT for another format,
 *           FT_ERROR_UNSUPPORTED for none that this library knows
 * callback  may be NULL; told of bytes
 * FT_ERROR_MISMATCH where the adapter is of another base, FT_ERROR_NON_FINITE, FT_ERROR_IO, FT_ERROR_CANCELLED, and
 * those of ft_model_open. On an error `out` is as before. Any thread. Since 0.1. */
FT_API ft_status ft_merge(const ft_model* model, const ft_adapter* adapter, const char* out, const char* format,
                          ft_work_callback callback, void* user);

/* --- Training --- */

/* One training run: an adapter, its optimiser, its place in the records. */
typedef struct ft_trainer ft_trainer;

/* PEFT's LoraConfig, the fields that are supported. */
typedef struct ft_lora_options {
  uint32_t struct_size;
  int32_t use_rslora;                 /* 0; 1: scale by alpha / sqrt(r) in place of alpha / r */
  int64_t r;                          /* 16 */
  double lora_alpha;                  /* 32 */
  double lora_dropout;                /* 0; 0 to below 1 */
  const char* const* target_modules;  /* names, exact or the end after a dot; NULL: all linears but the head. Copied */
  size_t target_module_count;         /* 0 */
  const char* target_regex;           /* NULL; else a regular expression that matches the whole path decides. Copied */
  const char* const* rank_pattern;    /* NULL; keys of modules with a rank of their own, as PEFT's. Copied */
  const int64_t* rank_pattern_r;      /* their ranks */
  size_t rank_pattern_count;          /* 0 */
  const char* const* alpha_pattern;   /* NULL; keys of modules with an alpha of their own. Copied */
  const double* alpha_pattern_alpha;  /* their alphas */
  size_t alpha_pattern_count;         /* 0 */
} ft_lora_options;

/* Fills in the defaults above. As ft_tokenizer_options_init. Since 0.1. */
FT_API ft_status ft_lora_options_init(ft_lora_options* options, size_t struct_size);

typedef enum ft_optimizer {
  FT_ADAMW = 0,
  FT_ADAMW_8BIT = 1, /* states in blocks of 256 at 8 bits; tensors under 4,096 elements stay f32 */
  FT_OPTIMIZER_FORCE32 = 0x7fffffff
} ft_optimizer;

/* Those of transformers' get_*_schedule_with_warmup. */
typedef enum ft_schedule {
  FT_SCHEDULE_COSINE = 0,
  FT_SCHEDULE_LINEAR = 1,
  FT_SCHEDULE_CONSTANT = 2,
  FT_SCHEDULE_FORCE32 = 0x7fffffff
} ft_schedule;

typedef enum ft_on_nonfinite {
  FT_NONFINITE_STOP = 0, /* FT_ERROR_NON_FINITE naming the layer; parameters and state are as before the step */
  FT_NONFINITE_SKIP = 1, /* the step changes nothing, and training goes on */
  FT_ON_NONFINITE_FORCE32 = 0x7fffffff
} ft_on_nonfinite;

typedef struct ft_train_options {
  uint32_t struct_size;
  ft_order order;                 /* FT_ORDER_SHUFFLE */
  int64_t epochs;                 /* 1 */
  int64_t steps;                  /* 0; > 0: exactly so many optimiser steps, wrapping epochs */
  int64_t batch_tokens;           /* 2048; packed tokens of a micro-batch at most */
  int64_t batch_examples;         /* 0; > 0: so many examples a micro-batch instead */
  int64_t accumulate;             /* 1; micro-batches of a step */
  uint64_t seed;                  /* 0; of order, initialisation and dropout */
  double lr;                      /* 2e-4 */
  ft_schedule schedule;           /* FT_SCHEDULE_COSINE */
  ft_optimizer optimizer;         /* FT_ADAMW */
  double warmup;                  /* 0.05; below 1 a share of all steps, else steps */
  double weight_decay;            /* 0; decoupled */
  double clip;                    /* 1; global norm of the gradient; 0: no clipping */
  double beta1;                   /* 0.9 */
  double beta2;                   /* 0.999 */
  double eps;                     /* 1e-8 */
  ft_on_nonfinite on_nonfinite;   /* FT_NONFINITE_STOP */
  uint32_t reserved;              /* 0 */
  int64_t memory_bytes;           /* 0: within 80 % of what the machine has; else a bound on the process's peak */
  int64_t valid_every;            /* 0: at the end of each epoch; else steps between validations */
  int64_t patience;               /* 0: never; else stop after so many validations without improvement */
  const ft_adapter* init_adapter; /* NULL: A as PEFT draws it, B zero; else begin from this one, whose options win */
} ft_train_options;

/* Fills in the defaults above. As ft_tokenizer_options_init. Since 0.1. */
FT_API ft_status ft_train_options_init(ft_train_options* options, size_t struct_size);

/* What a step was, and where the run is. */
typedef struct ft_progress {
  uint32_t struct_size;
  int32_t finished;           /* 1: all steps are done, or patience has run out */
  int64_t step;               /* steps done; 0: none yet, and the next five are 0 */
  int64_t total_steps;
  int64_t epoch;              /* of that step, from 0 */
  double loss;                /* its mean over its supervised tokens, before its update */
  double grad_norm;           /* before the clip */
  double lr;
  int64_t tokens;             /* of that step; likewise the next two */
  int64_t supervised_tokens;
  double seconds;
  int32_t skipped;            /* 1: it was not finite and changed nothing */
  int32_t validated;          /* 1: valid_loss was measured after it */
  double valid_loss;          /* the latest; NaN: none yet */
  double best_valid_loss;     /* the lowest; NaN: none yet */
  int64_t best_step;          /* of the adapter with the lowest; 0: none yet */
  double train_loss;          /* mean over all supervised tokens so far */
} ft_progress;

/* Called after each step on the thread that called ft_trainer_run; `progress` is borrowed for the call. Non-zero
 * cancels. May call ft_trainer_save, ft_trainer_adapter, ft_trainer_cancel and ft_trainer_progress with this trainer;
 * any other function returns FT_ERROR_BUSY for it. */
typedef int32_t (*ft_progress_callback)(const ft_progress* progress, void* user);

/* Prepares a run and takes all the memory that it needs; nothing is written anywhere.
 *
 * train    not empty
 * valid    held-out records; the adapter of the lowest loss on them is kept. NULL: the last one is
 * lora     NULL: the defaults, and must be NULL with init_adapter
 * options  NULL: the defaults
 * out      receives a handle that ft_trainer_free frees
 * FT_ERROR_INVALID_ARGUMENT naming the option, or the least memory and what to lower; FT_ERROR_UNSUPPORTED for a value
 * of an enum that is none; FT_ERROR_MISMATCH where init_adapter is of another base; FT_ERROR_OUT_OF_MEMORY; and those
 * of ft_model_get_info, whose digest a run keeps. Any thread. Since 0.1. */
FT_API ft_status ft_trainer_create(const ft_model* model, const ft_dataset* train, const ft_dataset* valid,
                                   const ft_lora_options* lora, const ft_train_options* options, ft_trainer** out);

/* Frees the handle. A call that runs in another thread is cancelled first, and keeps what it needs until it has ended.
 * As ft_tokenizer_free. Since 0.1. */
FT_API ft_status ft_trainer_free(ft_trainer* trainer);

/* One optimiser step, and the validation that is due after it.
 *
 * progress  may be NULL; else struct_size set
 * FT_ERROR_CANCELLED by ft_trainer_cancel, FT_ERROR_INVALID_ARGUMENT where the run is finished, FT_ERROR_NON_FINITE,
 * FT_ERROR_OUT_OF_MEMORY. The trainer can be saved and stepped again after each of them. One call at a time, else
 * FT_ERROR_BUSY. Since 0.1. */
FT_API ft_status ft_trainer_step(ft_trainer* trainer, ft_progress* progress);

/* Steps until the run is finished.
 *
 * callback  after each step; may be NULL. A callback that returns non-zero, or lets a C++ exception out, cancels
 * FT_OK when the run is finished (at once where it was before), FT_ERROR_CANCELLED with everything kept: call again to
 * go on. Errors as ft_trainer_step. One call at a time. Since 0.1. */
FT_API ft_status ft_trainer_run(ft_trainer* trainer, ft_progress_callback callback, void* user);

/* Ends the step or run that is in progress: that call returns FT_ERROR_CANCELLED after the micro-batch that it is at (a
 * step that was cut short changes nothing), or the batch of a validation; past its last one it ends as it would have.
 * Where no step or run is in progress it does nothing: a cancel that comes too late for one run does not end the next.
 * A host that may want to cancel before its call has begun, or between two steps, keeps a flag of its own and asks it
 * before each step and in the callback of ft_trainer_run. Returns at once; does not wait. Calling it twice is calling
 * it once. FT_ERROR_INVALID_ARGUMENT for NULL and what else is no trainer. Any thread, any callback; not a signal
 * handler. Since 0.1. */
FT_API ft_status ft_trainer_cancel(ft_trainer* trainer);

/* Where the run is, without waiting for the step in progress. progress: not NULL, struct_size set
 * (FT_ERROR_INVALID_ARGUMENT). Any thread, any callback. Since 0.1. */
FT_API ft_status ft_trainer_progress(const ft_trainer* trainer, ft_progress* progress);

/* What the run takes, as planned before its first step. */
typedef struct ft_memory_plan {
  uint32_t struct_size;
  uint32_t reserved;
  int64_t peak_bytes;         /* of the whole process */
  int64_t trainer_bytes;      /* of that, what the trainer added */
  int64_t budget_bytes;
  int64_t layers_kept_whole;  /* plan A: every product's output is kept for the backward pass */
  int64_t layers_without_mlp; /* plan B: gate and up are computed again */
  int64_t layers_input_only;  /* plan C: the whole layer is computed again */
} ft_memory_plan;

/* The memory plan. plan: not NULL, struct_size set (FT_ERROR_INVALID_ARGUMENT). Any thread. Since 0.1. */
FT_API ft_status ft_trainer_get_plan(const ft_trainer* trainer, ft_memory_plan* plan);

/* Saves the whole state as folder/step-N: parts with digests, brought to the disk, renamed into place. Two are kept. A
 * crash or a full disk leaves the one before.
 *
 * folder  created; not NULL (FT_ERROR_NOT_FOUND where no folder can be)
 * FT_ERROR_IO with the bytes needed and free, FT_ERROR_BUSY while another process saves there, or another call of this
 * trainer is in progress. One call at a time, the callback of ft_trainer_run may. Since 0.1. */
FT_API ft_status ft_trainer_save(ft_trainer* trainer, const char* folder);

/* Goes on from the newest valid state in a folder, with the bits of a run that never stopped. Damaged ones are told to
 * the log and passed over.
 *
 * folder  of ft_trainer_save; not NULL
 * FT_ERROR_NOT_FOUND where there is none, FT_ERROR_MISMATCH where it belongs to other options, records or weights, with
 * the difference; FT_ERROR_INVALID_FILE, FT_ERROR_IO. The trainer is then as before. One call at a time, else
 * FT_ERROR_BUSY. Since 0.1. */
FT_API ft_status ft_trainer_resume(ft_trainer* trainer, const char* folder);

/* The adapter as it is now; of a run with held-out records that is finished, the best one. A copy, which later steps do
 * not change.
 *
 * out  receives a handle that ft_adapter_free frees; not NULL
 * FT_ERROR_BUSY while another call of this trainer is in progress, but the callback of ft_trainer_run may. One call at
 * a time. Since 0.1. */
FT_API ft_status ft_trainer_adapter(const ft_trainer* trainer, ft_adapter** out);

/* --- Evaluation --- */

/* What a model, with or without an adapter, scored on records. Immutable. */
typedef struct ft_evaluation ft_evaluation;

typedef struct ft_evaluate_options {
  uint32_t struct_size;
  uint32_t reserved;
  const char* metrics;  /* NULL: the loss only; else "exact,f1,rouge-l,regex=PATTERN" of greedy answers, regex last */
  int64_t max_tokens;   /* 128; new tokens of an answer */
  int64_t batch_tokens; /* 2048; packed tokens of a batch of the loss */
} ft_evaluate_options;

/* Fills in the defaults above. As ft_tokenizer_options_init. Since 0.1. */
FT_API ft_status ft_evaluate_options_init(ft_evaluate_options* options, size_t struct_size);

/* Loss, and scores of answers, example by example.
 *
 * adapter   NULL: the base by itself
 * callback  may be NULL; told of tokens of the loss, or of answers begun
 * out       receives a handle that ft_evaluation_free frees
 * FT_ERROR_INVALID_ARGUMENT for a metric that is none, metrics over records without prompt, an empty dataset;
 * FT_ERROR_MISMATCH where the adapter is of another model; FT_ERROR_NON_FINITE; FT_ERROR_CANCELLED.
 * Any thread. Since 0.1. */
FT_API ft_status ft_evaluate(const ft_model* model, const ft_adapter* adapter, const ft_dataset* dataset,
                             const ft_evaluate_options* options, ft_work_callback callback, void* user,
                             ft_evaluation** out);

/* Frees the handle. As ft_tokenizer_free. Since 0.1. */
FT_API ft_status ft_evaluation_free(ft_evaluation* evaluation);

typedef struct ft_evaluation_info {
  uint32_t struct_size;
  uint32_t reserved;
  double loss;       /* sum(weight nll) / sum(weight) over all supervised tokens */
  double perplexity; /* exp(loss) */
  int64_t tokens;
  int64_t supervised_tokens;
  size_t example_count;
  size_t answer_count; /* examples that have a prompt; 0 without metrics */
  size_t metric_count;
} ft_evaluation_info;

/* The whole in numbers. info: not NULL, struct_size set (FT_ERROR_INVALID_ARGUMENT). Any thread. Since 0.1. */
FT_API ft_status ft_evaluation_get_info(const ft_evaluation* evaluation, ft_evaluation_info* info);

/* One metric over all answers.
 *
 * index  from 0 to metric_count - 1, else FT_ERROR_INVALID_ARGUMENT
 * name   receives the metric's name, borrowed from the evaluation; may be NULL
 * mean   receives the mean score, 0 to 1; not NULL
 * Any thread. Since 0.1. */
FT_API ft_status ft_evaluation_metric(const ft_evaluation* evaluation, size_t index, const char** name, double* mean);

typedef struct ft_example_result {
  uint32_t struct_size;
  uint32_t reserved;
  const char* id;            /* borrowed from the evaluation; likewise below */
  double nll;                /* sum over its supervised tokens, unweighted */
  int64_t supervised_tokens;
  const char* output;        /* the answer, UTF-8 as far as the model wrote it; NULL: none was asked for */
  size_t output_bytes;
  const double* scores;      /* [metric_count]; NULL: there is no answer */
} ft_example_result;

/* One example. index: from 0 to example_count - 1, else FT_ERROR_INVALID_ARGUMENT. result: not NULL, struct_size set.
 * Any thread. Since 0.1. */
FT_API ft_status ft_evaluation_example(const ft_evaluation* evaluation, size_t index, ft_example_result* result);

/* A difference with its 95 % interval, by 10,000 paired bootstrap resamples. */
typedef struct ft_interval {
  uint32_t struct_size;
  uint32_t reserved;
  double estimate;
  double low;
  double high;
} ft_interval;

/* How much `after` differs from `before` on the same records; an interval that excludes 0 is a difference.
 *
 * metric    a name of ft_evaluation_metric; NULL: the loss
 * interval  not NULL, struct_size set
 * FT_ERROR_MISMATCH where the two are not of the same records; FT_ERROR_NOT_FOUND for a metric that one of them has
 * not. Any thread. Since 0.1. */
FT_API ft_status ft_evaluation_compare(const ft_evaluation* before, const ft_evaluation* after, const char* metric,
                                       ft_interval* interval);

/* --- Generation --- */

/* Answers to one or more prompts. Immutable. */
typedef struct ft_generation ft_generation;

typedef struct ft_generate_options {
  uint32_t struct_size;
  uint32_t reserved;
  int64_t max_tokens;         /* 128; new tokens a prompt */
  double temperature;         /* 0: the likeliest token, the lowest id on a tie */
  int64_t top_k;              /* 0: all; else the k likeliest */
  double top_p;               /* 1; the smallest set whose probability reaches it */
  uint64_t seed;              /* 0; sampling is a function of seed, prompt number and position */
  const int32_t* stop_tokens; /* NULL: the tokenizer's end token and end-of-turn tokens. Copied */
  size_t stop_token_count;    /* 0 */
} ft_generate_options;

/* Fills in the defaults above. As ft_tokenizer_options_init. Since 0.1. */
FT_API ft_status ft_generate_options_init(ft_generate_options* options, size_t struct_size);

/* Told of each new token: its number, and the bytes that it adds to the answer (none for a control token), borrowed for
 * the call. `prompt` counts from 0. Non-zero ends all answers: the call returns FT_ERROR_CANCELLED. */
typedef int32_t (*ft_token_callback)(size_t prompt, int32_t token, const char* text, size_t text_bytes, void* user);

/* Answers prompts. An answer does not depend on the other prompts; what all prompts begin with is computed once.
 *
 * adapter        NULL: the base answers
 * prompts        [prompt_count] of [prompt_lengths[i]] tokens each, not empty: as ft_tokenizer_encode_messages with
 *                FT_CHAT_GENERATION_PROMPT gives them
 * callback       may be NULL
 * out            receives a handle that ft_generation_free frees
 * FT_ERROR_INVALID_ARGUMENT for no prompt or an empty one, one that is too long for the model, options out of range;
 * FT_ERROR_MISMATCH where the adapter is of another model; FT_ERROR_NON_FINITE; FT_ERROR_CANCELLED. Any thread.
 * Since 0.1. */
FT_API ft_status ft_generate(const ft_model* model, const ft_adapter* adapter, const int32_t* const* prompts,
                             const size_t* prompt_lengths, size_t prompt_count, const ft_generate_options* options,
                             ft_token_callback callback, void* user, ft_generation** out);

/* Frees the handle. As ft_tokenizer_free. Since 0.1. */
FT_API ft_status ft_generation_free(ft_generation* generation);

typedef struct ft_answer {
  uint32_t struct_size;
  int32_t stopped;         /* 1: by a stop token; 0: by max_tokens */
  const int32_t* tokens;   /* [token_count], without the stop token; borrowed from the generation, likewise text */
  size_t token_count;
  const char* text;        /* [text_bytes] and a NUL after them; control tokens give nothing */
  size_t text_bytes;
  int64_t prompt_tokens;
} ft_answer;

/* One answer. prompt: from 0 to prompt_count - 1, else FT_ERROR_INVALID_ARGUMENT. answer: not NULL, struct_size set.
 * Any thread. Since 0.1. */
FT_API ft_status ft_generation_answer(const ft_generation* generation, size_t prompt, ft_answer* answer);

/* --- Primitives: each on the caller's buffers, nothing kept --- */

/* Quantises to NF4, in the bits of bitsandbytes (Dettmers et al., "QLoRA", 2023, section 3).
 *
 * values      [count] of dtype, contiguous, finite; not NULL where count > 0
 * block_size  32, 64, ..., 4096; the last block may be partial
 * codes       [(count + 1) / 2], receives two codes a byte, the even element in the high half
 * absmax      [ceil(count / block_size)], receives the scale of each block
 * FT_ERROR_INVALID_ARGUMENT, FT_ERROR_UNSUPPORTED for a dtype that is none, FT_ERROR_NON_FINITE (buffers are then
 * undefined). Any thread, on buffers of its own. Since 0.1. */
FT_API ft_status ft_nf4_quantize(const void* values, ft_dtype dtype, int64_t count, int32_t block_size, uint8_t* codes,
                                 float* absmax);

/* Quantises the scales of NF4 again: the offset is their mean, what is left goes to 8 bits in blocks of 256 (QLoRA,
 * section 3).
 *
 * absmax         [count], finite
 * codes          [count], receives; like the other arrays not NULL where count > 0
 * nested_scales  [ceil(count / 256)], receives
 * offset         receives; not NULL
 * FT_ERROR_INVALID_ARGUMENT, FT_ERROR_NON_FINITE. Any thread, on buffers of its own. Since 0.1. */
FT_API ft_status ft_nf4_double_quantize(const float* absmax, int64_t count, uint8_t* codes, float* nested_scales,
                                        float* offset);

typedef enum ft_weight_format {
  FT_WEIGHT_F32 = 0,
  FT_WEIGHT_BF16 = 1,
  FT_WEIGHT_F16 = 2,
  FT_WEIGHT_NF4 = 3,
  FT_WEIGHT_FORMAT_FORCE32 = 0x7fffffff
} ft_weight_format;

/* A frozen weight [N, K] in the caller's memory. */
typedef struct ft_weight {
  uint32_t struct_size;
  ft_weight_format format;
  int64_t out_features;        /* N */
  int64_t in_features;         /* K */
  const void* data;            /* [N * K] elements; of NF4 the codes, [(N * K + 1) / 2] bytes */
  const void* absmax;          /* NF4: f32 of each block, or the u8 codes of ft_nf4_double_quantize; else NULL */
  const float* nested_scales;  /* NF4 double quantised: as made there; else NULL */
  float nested_offset;         /* likewise; else 0 */
  int32_t block_size;          /* NF4: as quantised; else 0 */
} ft_weight;

/* What an NF4 weight stands for.
 *
 * weight  FT_WEIGHT_NF4, single or double quantised; not NULL, struct_size set
 * values  [N * K] of dtype, receives; must not overlap the weight; not NULL where it has elements
 * FT_ERROR_INVALID_ARGUMENT for another format, block size or shape; FT_ERROR_UNSUPPORTED for a dtype or a format that
 * is none. Any thread, on buffers of its own. Since 0.1. */
FT_API ft_status ft_nf4_dequantize(const ft_weight* weight, void* values, ft_dtype dtype);

/* A frozen linear with its low-rank update (Hu et al., "LoRA", 2021, equation 3): y = x W^T + bias + scale (x A^T) B^T.
 * */
typedef struct ft_lora_linear_args {
  uint32_t struct_size;
  float scale;             /* alpha / r */
  const ft_weight* weight; /* W [N, K] */
  const ft_tensor* x;      /* [T, K]  f32 or bf16 */
  const ft_tensor* bias;   /* [N]     f32; NULL: none */
  const ft_tensor* a;      /* [R, K]  dtype of x */
  const ft_tensor* b;      /* [N, R]  dtype of x */
  const ft_tensor* u;      /* [T, R]  dtype of x; receives x A^T, which the backward pass needs */
  const ft_tensor* y;      /* [T, N]  f32, or bf16 where x is; receives; must not overlap x */
} ft_lora_linear_args;

/* The forward pass: f32 accumulation, one rounding. Every struct has its struct_size set, and none is NULL but the
 * bias. FT_ERROR_INVALID_ARGUMENT naming the shapes, FT_ERROR_UNSUPPORTED for a dtype or a format that is none. Any
 * thread, on buffers of its own. Since 0.1. */
FT_API ft_status ft_lora_linear(const ft_lora_linear_args* args);

typedef struct ft_lora_linear_backward_args {
  uint32_t struct_size;
  float scale;             /* as in the forward pass */
  const ft_weight* weight; /* W [N, K] */
  const ft_tensor* dy;     /* [T, N]  f32 or bf16: the gradient of y */
  const ft_tensor* x;      /* [T, K]  dtype of dy */
  const ft_tensor* a;      /* [R, K]  dtype of dy */
  const ft_tensor* b;      /* [N, R]  dtype of dy */
  const ft_tensor* u;      /* [T, R]  dtype of dy: as the forward pass left it */
  const ft_tensor* du;     /* [T, R]  dtype of dy; workspace */
  const ft_tensor* d_a;    /* [R, K]  f32; du^T x is added, with du = scale dy B */
  const ft_tensor* d_b;    /* [N, R]  f32; scale dy^T u is added */
  const ft_tensor* dx;     /* [T, K]  dtype of dy; receives dy W + du A; NULL: not wanted */
} ft_lora_linear_backward_args;

/* The backward pass; the frozen weight gets no gradient. NULL only for dx. As ft_lora_linear. Since 0.1. */
FT_API ft_status ft_lora_linear_backward(const ft_lora_linear_backward_args* args);

typedef struct ft_adamw_options {
  uint32_t struct_size;
  uint32_t reserved;
  double lr;           /* 2e-4 */
  double beta1;        /* 0.9 */
  double beta2;        /* 0.999 */
  double eps;          /* 1e-8 */
  double weight_decay; /* 0 */
} ft_adamw_options;

/* Fills in the defaults above. As ft_tokenizer_options_init. Since 0.1. */
FT_API ft_status ft_adamw_options_init(ft_adamw_options* options, size_t struct_size);

/* One step of AdamW in torch's order of operations (Loshchilov & Hutter, 2019, algorithm 2).
 *
 * parameter       [count], changed
 * gradient        [count], multiplied by gradient_scale
 * exp_avg         [count], first moment, changed; begins as zeros
 * exp_avg_sq      [count], second moment, changed; begins as zeros
 * step            from 1
 * gradient_scale  of the clip, or 1
 * FT_ERROR_INVALID_ARGUMENT for numbers out of range, and for NULL where count > 0. Any thread, on buffers of its own.
 * Since 0.1. */
FT_API ft_status ft_adamw_step(float* parameter, const float* gradient, float* exp_avg, float* exp_avg_sq,
                               int64_t count, const ft_adamw_options* options, int64_t step, float gradient_scale);

/* The same with states of 8 bits (Dettmers et al., "8-bit Optimizers via Block-wise Quantization", 2022).
 *
 * exp_avg, exp_avg_sq                [count] codes, changed; begin as zeros
 * exp_avg_absmax, exp_avg_sq_absmax  [ceil(count / 256)], changed; begin as zeros
 * As ft_adamw_step. Since 0.1. */
FT_API ft_status ft_adamw_8bit_step(float* parameter, const float* gradient, uint8_t* exp_avg, uint8_t* exp_avg_sq,
                                    float* exp_avg_absmax, float* exp_avg_sq_absmax, int64_t count,
                                    const ft_adamw_options* options, int64_t step, float gradient_scale);

/* Clips as torch.nn.utils.clip_grad_norm_ does: multiplies all gradients by min(1, max_norm / (norm + 1e-6)).
 *
 * gradients  [tensor_count] of [counts[i]] each, changed; not NULL where there are any, nor counts
 * max_norm   0: only measure
 * norm       receives the global norm before; NaN or infinity where a gradient has one, and nothing is changed then
 * FT_ERROR_INVALID_ARGUMENT for a max_norm that is negative or not finite. Any thread, on buffers of its own.
 * Since 0.1. */
FT_API ft_status ft_clip_grad_norm(float* const* gradients, const int64_t* counts, size_t tensor_count, double max_norm,
                                   double* norm);

/* Cross-entropy of logits and its gradient.
 *
 * logits    [S, V] f32, contiguous
 * targets   [S], each 0 to V - 1 (else FT_ERROR_INVALID_ARGUMENT)
 * weights   [S]; NULL: 1 each
 * nll       [S], receives the unweighted loss of each row; like logits and targets not NULL where there are rows
 * d_logits  [S, V], receives weights * gradient_scale * (softmax - onehot); may be `logits` itself; NULL: not wanted
 * FT_ERROR_INVALID_ARGUMENT for such a target, or sizes that cannot be. Any thread, on buffers of its own.
 * Since 0.1. */
FT_API ft_status ft_cross_entropy(const float* logits, const int32_t* targets, const float* weights, int64_t rows,
                                  int64_t vocabulary, float gradient_scale, float* nll, float* d_logits);

#ifdef __cplusplus
}
#endif

#endif /* FTLIB_C_H */
