// SPDX-License-Identifier: Apache-2.0
// Parses and checks the JSON header of a safetensors file.
#pragma once
#include "io/json_reader.h"
#include "io/safetensors_dtypes.h"

namespace ftlib::inline FTLIB_ABI {

class SafetensorsHeader {
 public:
  /// `data_begin`: byte of the file at which data begins; `data_bytes`: how many follow. Throws as SafetensorsFile.
  SafetensorsHeader(const std::string& path, std::string_view text, std::int64_t data_begin, std::int64_t data_bytes);

  SafetensorsMetadata metadata;
  std::vector<SafetensorsTensor> tensors;  ///< sorted by name

 private:
  enum class State {
    header,
    names,
    metadata,
    metadata_key,
    metadata_value,
    entry,
    fields,
    dtype,
    shape,
    extents,
    offsets,
    numbers,
    skipped
  };
  struct Seen {
    bool dtype = false, shape = false, offsets = false;
  };

  void take(JsonToken token);
  void take_name();
  void take_metadata(JsonToken token);
  void take_field();
  void take_dtype(JsonToken token);
  void take_extent(JsonToken token);
  void take_number(JsonToken token);
  void begin(JsonToken got, JsonToken wanted, State next, Reason reason, std::string_view what);
  void end_metadata();
  void end_entry();
  void end_numbers();
  void check_size(const SafetensorsTensor& tensor);
  void check_names() const;
  void check_layout() const;
  void want(bool good, Reason reason, std::string_view what) const {
    if (!good) in_.fail(reason, concat("want ", what));
  }
  void once(bool& seen, std::string_view key) const;

  std::string what_;
  JsonReader in_;
  std::int64_t data_begin_, data_bytes_;
  State state_ = State::header;
  bool seen_metadata_ = false;
  Seen seen_;                          // of the present tensor
  std::vector<std::int64_t> numbers_;  // of its data_offsets
};

}  // namespace ftlib
