// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "progress.h"

using namespace ftlib::cli;

TEST_CASE("durations, bytes and counts read well") {
  CHECK(duration(6.6) == "0:07");
  CHECK(duration(725) == "12:05");
  CHECK(duration(3725) == "1:02:05");
  CHECK(duration(-1) == "--:--");
  CHECK(duration(0.0 / 0.0) == "--:--");
  CHECK(human_bytes(512) == "512 B");
  CHECK(human_bytes(98362432) == "93.8 MiB");
  CHECK(human_bytes(1342177280) == "1.25 GiB");
  CHECK(human_bytes(std::int64_t{1023} << 20) == "1023 MiB");
  CHECK(grouped(7) == "7");
  CHECK(grouped(-1234567) == "-1,234,567");
  CHECK(fixed(2.005, 1) == "2.0");
}

TEST_CASE("a progress line shows share, note and the time that is left, within the terminal's width") {
  CHECK(progress_text("tune", 0, 63, 0, "", 200) == "tune [>                       ] 0/63  ETA --:--");
  CHECK(progress_text("tune", 21, 63, 40, "loss 2.51", 200) ==
        "tune [========>               ] 21/63  loss 2.51  ETA 1:20");
  CHECK(progress_text("tune", 21, 63, 40, "", 200, 11) == "tune [========>               ] 21/63  ETA 2:48");
  CHECK(progress_text("tune", 63, 63, 125, "", 200) == "tune [========================] 63/63  in 2:05");
  CHECK(progress_text("tune", 21, 63, 40, "loss 2.51", 12) == "tune [======");
}
