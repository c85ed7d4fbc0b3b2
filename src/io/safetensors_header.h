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
  struct Seen {
    bool dtype = false, shape = false, offsets = false;
  };

  void read_metadata();
  void read_entry(SafetensorsTensor& tensor);
  void read_dtype(SafetensorsTensor& tensor);
  void read_shape(SafetensorsTensor& tensor);
  void read_offsets(SafetensorsTensor& tensor);
  void check_size(const SafetensorsTensor& tensor);
  void check_names() const;
  void check_layout() const;
  void expect(JsonToken token, Reason reason, std::string_view want);
  void once(bool& seen, std::string_view key) const;

  std::string what_;
  JsonReader in_;
  std::int64_t data_begin_, data_bytes_;
};

}  // namespace ftlib
