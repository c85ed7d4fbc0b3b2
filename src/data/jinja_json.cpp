// SPDX-License-Identifier: Apache-2.0
// json.dumps, as transformers' tojson filter calls it: no HTML escapes, non-ASCII letters as they are.
#include <algorithm>
#include <cmath>

#include "data/jinja_interpreter.h"

namespace ftlib::inline FTLIB_ABI::jinja {
namespace {

void append_unit(char32_t unit, std::string& out) {
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += "0123456789abcdef"[(unit >> shift) & 15];
}

std::string json_string(std::string_view text, bool ascii) {
  constexpr std::string_view kControls = "\b\f\n\r\t", kLetters = "bfnrt";
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size(); at += point_bytes(static_cast<unsigned char>(text[at]))) {
    const char32_t point = point_at(text, at);
    const std::size_t control = point < 0x20 ? kControls.find(static_cast<char>(point)) : kControls.npos;
    if (point == '"' || point == '\\') out.append({'\\', static_cast<char>(point)});
    else if (control != kControls.npos) out.append({'\\', kLetters[control]});
    else if (point < 0x20 || (ascii && point >= 0x7F && point < 0x10000)) append_unit(point, out);
    else if (ascii && point >= 0x10000) {
      append_unit(0xD800 + ((point - 0x10000) >> 10), out);
      append_unit(0xDC00 + ((point - 0x10000) & 0x3FF), out);
    } else append_point(point, out);
  }
  return out + '"';
}

std::string json_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return repr(value);
}

std::string json_key(const Value& key) {
  switch (key.kind()) {
    case Kind::text: return key.text().bytes;
    case Kind::boolean: return key.boolean() ? "true" : "false";
    case Kind::none: return "null";
    case Kind::integer: return concat(key.integer());
    case Kind::real: return json_number(key.real());
    default: raise("keys must be str, int, float, bool or None, not ", key.type_name());
  }
}

}  // namespace

void append_json(Heap& heap, const Value& value, const JsonOptions& options, int level, TextBuilder& out) {
  const auto line = [&](int depth) {
    if (!options.indent) return;
    out.append("\n");
    for (int i = 0; i < depth; ++i) out.append(*options.indent);
  };
  heap.step();
  switch (value.kind()) {
    case Kind::none: return out.append("null");
    case Kind::boolean: return out.append(value.boolean() ? "true" : "false");
    case Kind::integer: return out.append(concat(value.integer()));
    case Kind::real: return out.append(json_number(value.real()));
    case Kind::text: {
      const Value printed = make_derived(heap, json_string(value.text().bytes, options.ascii), value.text());
      return out.append(printed.text());
    }
    case Kind::sequence: {
      if (value.sequence().flavour > Sequence::tuple) break;
      const auto& elements = value.sequence().elements;
      out.append("[");
      for (std::size_t i = 0; i < elements.size(); ++i) {
        if (i != 0) out.append(options.comma);
        line(level + 1);
        append_json(heap, elements[i], options, level + 1, out);
      }
      if (!elements.empty()) line(level);
      return out.append("]");
    }
    case Kind::dict: {
      auto items = value.dict().items;
      if (options.sort)
        std::ranges::stable_sort(items, [](const auto& a, const auto& b) { return less(a.first, b.first); });
      out.append("{");
      for (std::size_t i = 0; i < items.size(); ++i) {
        if (i != 0) out.append(options.comma);
        line(level + 1);
        const std::string key = json_string(json_key(items[i].first), options.ascii);
        const bool marked = items[i].first.is(Kind::text) && !items[i].first.text().marks.empty();
        out.append(marked ? make_marked(heap, key) : make_text(heap, key));
        out.append(options.colon);
        append_json(heap, items[i].second, options, level + 1, out);
      }
      if (!items.empty()) line(level);
      return out.append("}");
    }
    default: break;
  }
  raise("Object of type ", value.type_name(), " is not JSON serializable");
}

}  // namespace ftlib::jinja
