/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of the C ABI are written in C: a test is a function, and each file lists its own at its end. */
#ifndef CHECK_H
#define CHECK_H

#include "ftlib_c.h"

typedef struct test_case {
  const char* name;
  void (*run)(void);
} test_case;

extern const test_case process_tests[], floating_point_tests[], fork_tests[], tokenizer_tests[], model_tests[],
    dataset_tests[], training_tests[], evaluation_tests[], primitive_tests[], pointer_tests[], refusal_tests[];

/* Notes a failure and goes on; a test ends where it cannot. */
void note_failure(const char* file, int line, const char* text);
int note_status(ft_status got, ft_status want, const char* file, int line, const char* text);

#define CHECK(condition) ((condition) ? (void)0 : note_failure(__FILE__, __LINE__, #condition))
#define OK(call) note_status((call), FT_OK, __FILE__, __LINE__, #call)
#define FAILS(status, call) note_status((call), (status), __FILE__, __LINE__, #call)
#define SAYS(text) (strstr(ft_last_error(), (text)) ? (void)0 : note_failure(__FILE__, __LINE__, ft_last_error()))

/* Files: the model of tests/tiny_gguf.h, a file of records, and a name of its own for each test's output. */
const char* tiny_path(void);
const char* records_path(void);
const char* work_path(const char* name);

/* Fresh handles; the caller frees them. */
ft_tokenizer* tiny_tokenizer(void);
ft_model* tiny_model(ft_compute compute);
ft_dataset* tiny_records(void); /* four conversations */
ft_trainer* tiny_trainer(const ft_model* model, const ft_dataset* records, int64_t steps);
ft_adapter* tiny_adapter(const ft_model* model); /* trained for three steps */
double tiny_loss(void);                          /* of the first step of a training, everything opened for it */

#endif
