/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static void versions_and_names(void) {
  CHECK(strcmp(ft_version(), "0.1.0") == 0);
  CHECK(ft_abi_version() == FT_ABI_VERSION);
  CHECK(strcmp(ft_status_name(FT_OK), "FT_OK") == 0);
  CHECK(strcmp(ft_status_name(FT_ERROR_BUFFER_TOO_SMALL), "FT_ERROR_BUFFER_TOO_SMALL") == 0);
  CHECK(strcmp(ft_status_name((ft_status)99), "unknown status") == 0);
  CHECK(strcmp(ft_status_name((ft_status)-1), "unknown status") == 0);
  CHECK(strcmp(ft_reason_name(FT_REASON_TRUNC), "TRUNC") == 0);
  CHECK(strcmp(ft_reason_name(FT_REASON_IO), "IO") == 0);
  CHECK(strcmp(ft_reason_name((ft_reason)99), "unknown reason") == 0);
}

static void an_error_stays_until_the_next_call_of_its_thread(void) {
  ft_tokenizer* tokenizer = (ft_tokenizer*)&tokenizer;
  FAILS(FT_ERROR_NOT_FOUND, ft_tokenizer_open("/nowhere/%n%s%d.gguf", NULL, &tokenizer));
  CHECK(tokenizer == NULL);
  SAYS("/nowhere/%n%s%d.gguf"); /* no format string */
  CHECK(strcmp(ft_version(), "0.1.0") == 0);
  SAYS("/nowhere");
  OK(ft_set_log(NULL, NULL));
  CHECK(ft_last_error()[0] == '\0');
  CHECK(ft_last_error_reason() == FT_REASON_NONE);
  FAILS(FT_ERROR_INVALID_FILE, ft_tokenizer_open(records_path(), NULL, &tokenizer));
  CHECK(ft_last_error_reason() == FT_REASON_MAGIC);
}

static void a_long_error_is_cut_between_characters(void) {
  char path[4001];
  size_t i, n;
  ft_tokenizer* tokenizer;
  for (i = 0; i + 2 < sizeof path; i += 2) memcpy(path + i, "\xc3\xa9", 2);
  path[i] = '\0';
  CHECK(ft_tokenizer_open(path, NULL, &tokenizer) != FT_OK);
  n = strlen(ft_last_error());
  CHECK(n > 1000 && n < 1024);
  CHECK((unsigned char)ft_last_error()[n - 1] == 0xa9);
}

static void backends_are_listed_forced_and_told(void) {
  size_t count = 0, i;
  int seen_ref = 0;
  const char* name = NULL;
  int32_t available = 0;
  const float x[32] = {1.0f};
  uint8_t codes[16];
  float absmax;
  OK(ft_backend_count(&count));
  for (i = 0; i < count; ++i) {
    OK(ft_backend_name(i, &name, &available));
    seen_ref |= strcmp(name, "ref") == 0 && available == 1;
  }
  CHECK(seen_ref);
  OK(ft_backend_name(0, &name, NULL));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_backend_name(count, &name, NULL));
  FAILS(FT_ERROR_UNSUPPORTED, ft_backend_force("tpu"));
  SAYS("ref");
  OK(ft_backend_force("ref"));
  OK(ft_nf4_quantize(x, FT_F32, 32, 32, codes, &absmax));
  OK(ft_backend_used("nf4_quantize", &name));
  CHECK(strcmp(name, "ref") == 0);
  OK(ft_backend_used("no such op", &name));
  CHECK(name[0] == '\0');
  OK(ft_backend_force(NULL));
}

static void threads_are_read_and_set(void) {
  int32_t before = 0, now = 0;
  OK(ft_get_threads(&before));
  CHECK(before >= 1);
  OK(ft_set_threads(3));
  OK(ft_get_threads(&now));
  CHECK(now == 3);
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_set_threads(0));
  FAILS(FT_ERROR_INVALID_ARGUMENT, ft_set_threads(1025));
  OK(ft_set_threads(before));
  OK(ft_shutdown());
  OK(ft_shutdown());
}

static void hear(const char* message, void* user) {
  char* heard = user;
  snprintf(heard, 512, "%s", message);
  CHECK(ft_set_log(NULL, NULL) == FT_ERROR_BUSY);
}

static void warnings_go_to_the_log_and_nowhere_without_one(void) {
  char heard[512] = "";
  ft_tokenizer* tokenizer = tiny_tokenizer();
  ft_dataset_options options;
  ft_dataset* dataset = NULL;
  OK(ft_dataset_options_init(&options, sizeof options));
  options.max_length = 64;
  OK(ft_set_log(hear, heard));
  OK(ft_dataset_open(tokenizer, records_path(), &options, &dataset));
  CHECK(strstr(heard, "left out") != NULL);
  OK(ft_set_log(NULL, NULL));
  heard[0] = '\0';
  OK(ft_dataset_free(dataset));
  OK(ft_dataset_open(tokenizer, records_path(), &options, &dataset));
  CHECK(heard[0] == '\0');
  OK(ft_dataset_free(dataset));
  OK(ft_tokenizer_free(tokenizer));
}

static void the_hosts_locale_changes_nothing_and_is_not_changed(void) {
  const double loss = tiny_loss();
  char command[1200];
  double other;
  snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 '%s/de_DE.UTF-8' >/dev/null 2>&1", work_path("."));
  CHECK(system(command) != -1); /* its status says little: warnings count */
  setenv("LOCPATH", work_path("."), 1);
  CHECK(setlocale(LC_ALL, "de_DE.UTF-8") != NULL && *localeconv()->decimal_point == ',');
  other = tiny_loss();
  CHECK(*localeconv()->decimal_point == ',');
  CHECK(memcmp(&loss, &other, sizeof loss) == 0);
  setlocale(LC_ALL, "C");
  unsetenv("LOCPATH");
}

const test_case process_tests[] = {
    {"versions and names", versions_and_names},
    {"an error stays until the next call of its thread", an_error_stays_until_the_next_call_of_its_thread},
    {"a long error is cut between characters", a_long_error_is_cut_between_characters},
    {"backends are listed, forced and told", backends_are_listed_forced_and_told},
    {"threads are read and set", threads_are_read_and_set},
    {"warnings go to the log, and nowhere without one", warnings_go_to_the_log_and_nowhere_without_one},
    {"the host's locale changes nothing and is not changed", the_hosts_locale_changes_nothing_and_is_not_changed},
    {NULL, NULL}};
