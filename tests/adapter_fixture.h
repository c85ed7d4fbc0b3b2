// SPDX-License-Identifier: Apache-2.0
// The tiny adapters of tests/golden as values that a test can change and write again.
#pragma once
#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "ftlib/io/atomic_file.h"
#include "ftlib/io/file.h"
#include "ftlib/io/json.h"
#include "ftlib/io/safetensors.h"
#include "ftlib/model/adapter.h"

inline std::string tiny_llama(const std::string& name) {
  return std::string(FTLIB_TESTS_DIR "/golden/tiny_llama/") + name;
}

inline ftlib::ModelConfig tiny_config(const std::string& model) {
  const std::string path = tiny_llama(model) + "/config.json";
  return ftlib::model_config_from_json(ftlib::parse_json(ftlib::read_file(path), path), path);
}

/// adapter_config.json and the tensors of adapter_model.safetensors, unchecked.
struct RawAdapter {
  struct Tensor {
    ftlib::SafetensorsDType dtype = ftlib::SafetensorsDType::f32;
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };
  ftlib::Json config;
  std::map<std::string, Tensor> tensors;
  ftlib::SafetensorsMetadata metadata;

  static RawAdapter read(const std::string& folder) {
    RawAdapter raw;
    raw.config = ftlib::parse_json(ftlib::read_file(folder + "/adapter_config.json"), folder);
    const ftlib::SafetensorsFile file(folder + "/adapter_model.safetensors");
    raw.metadata = file.metadata();
    for (const auto& stored : file.tensors()) {
      Tensor& tensor = raw.tensors[stored.name];
      tensor.shape = stored.shape;
      tensor.values.resize(static_cast<std::size_t>(stored.numel()));
      file.read(stored, tensor.values.data());
    }
    return raw;
  }

  void write(const std::string& folder) const {
    std::vector<ftlib::SafetensorsSource> sources;
    std::vector<std::vector<char>> halves;
    for (const auto& [name, tensor] : tensors) {
      std::vector<char>& bytes = halves.emplace_back(tensor.values.size() * 8);
      encode(tensor, bytes);
      sources.push_back({name, tensor.dtype, tensor.shape, nullptr, {}});
    }
    for (std::size_t i = 0; i < sources.size(); ++i) sources[i].data = halves[i].data();
    ftlib::write_safetensors(folder + "/adapter_model.safetensors", sources, metadata);
    ftlib::write_file_atomic(folder + "/adapter_config.json", ftlib::dump_json(config));
  }

 private:
  static void encode(const Tensor& tensor, std::vector<char>& bytes) {
    const auto put = [&](std::size_t i, auto value) { std::memcpy(&bytes[i * sizeof value], &value, sizeof value); };
    for (std::size_t i = 0; i < tensor.values.size(); ++i) switch (tensor.dtype) {
        case ftlib::SafetensorsDType::f16: put(i, ftlib::to_f16(tensor.values[i])); break;
        case ftlib::SafetensorsDType::bf16: put(i, ftlib::to_bf16(tensor.values[i])); break;
        case ftlib::SafetensorsDType::i64: put(i, static_cast<std::int64_t>(tensor.values[i])); break;
        default: put(i, tensor.values[i]);
      }
  }
};

inline std::vector<float> values(const float* begin, std::int64_t count) { return {begin, begin + count}; }

inline bool same_parameters(const ftlib::LoraAdapter& a, const ftlib::LoraAdapter& b) {
  return std::ranges::equal(a.modules, b.modules, [](const ftlib::LoraModule& x, const ftlib::LoraModule& y) {
    return x.name == y.name && x.r == y.r && x.alpha == y.alpha && x.scale == y.scale &&
           values(x.a, x.r * x.in) == values(y.a, y.r * y.in) && values(x.b, x.out * x.r) == values(y.b, y.out * y.r);
  });
}
