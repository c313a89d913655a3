// SPDX-License-Identifier: Apache-2.0
#include "backend/metric_records.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/failure.h"

namespace pytriton {

namespace {

bool IsLetter(char character) {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') || character == '_';
}

bool IsDigit(char character) {
  return character >= '0' && character <= '9';
}

bool IsName(const std::string& text, bool colons) {
  const auto fits = [&](char character) { return IsLetter(character) || (colons && character == ':'); };
  return !text.empty() && fits(text[0]) && std::all_of(text.begin(), text.end(), [&](char character) {
    return fits(character) || IsDigit(character);
  });
}

// Bytes of the character that a byte begins; 0 for one that begins none.
size_t CharacterLength(unsigned char first) {
  if (first < 0x80) {
    return first == 0 ? 0 : 1;
  }
  if (first < 0xc2) {
    return 0;
  }
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

// The second byte says whether a character is written longer than need be, is a surrogate or none at all.
bool IsSecond(unsigned char first, unsigned char second) {
  const unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  return second >= least && second <= most;
}

// UTF-8 without zeros: a page with anything else could not be read.
bool IsText(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const auto byte = [&](size_t index) { return static_cast<unsigned char>(text[at + index]); };
    const size_t length = CharacterLength(byte(0));
    if (length == 0 || text.size() - at < length || (length > 1 && !IsSecond(byte(0), byte(1)))) {
      return false;
    }
    for (size_t index = 2; index < length; ++index) {
      if ((byte(index) & 0xc0) != 0x80) {
        return false;
      }
    }
    at += length;
  }
  return true;
}

void CheckBuckets(const FamilyRecord& family) {
  const bool histogram = family.kind == TRITONSERVER_METRIC_KIND_HISTOGRAM;
  const auto& buckets = family.buckets;
  const bool ascending =
      std::adjacent_find(buckets.begin(), buckets.end(), std::greater_equal<>()) == buckets.end();
  const bool finite =
      std::all_of(buckets.begin(), buckets.end(), [](double bound) { return std::isfinite(bound); });
  if (histogram == buckets.empty() || buckets.size() > kMaxBuckets || !ascending || !finite) {
    throw ProtocolError("metric \"" + family.name + "\" has buckets that do not fit it");
  }
}

}  // namespace

template <typename T>
T MetricRecords::Read() {
  if (rest_.size() < sizeof(T)) {
    throw ProtocolError("a record of metrics ends early");
  }
  T value;
  std::memcpy(&value, rest_.data(), sizeof(T));
  rest_ = rest_.subspan(sizeof(T));
  return value;
}
template uint8_t MetricRecords::Read<uint8_t>();
template uint32_t MetricRecords::Read<uint32_t>();
template double MetricRecords::Read<double>();

std::string MetricRecords::ReadString(size_t most) {
  const size_t length = Read<uint16_t>();
  if (length > most || length > rest_.size()) {
    throw ProtocolError("a text of " + std::to_string(length) + " bytes in a record of metrics");
  }
  std::string text(reinterpret_cast<const char*>(rest_.data()), length);
  rest_ = rest_.subspan(length);
  if (!IsText(text)) {
    throw ProtocolError("a text in a record of metrics is not UTF-8");
  }
  return text;
}

std::string MetricRecords::ReadName(bool colons) {
  std::string name = ReadString(kMaxMetricName);
  if (!IsName(name, colons)) {
    throw ProtocolError("\"" + name + "\" is no name of a metric or label");
  }
  return name;
}

FamilyRecord MetricRecords::ReadFamily() {
  FamilyRecord family;
  const auto kind = Read<uint8_t>();
  const auto across = Read<uint8_t>();
  if (kind > TRITONSERVER_METRIC_KIND_HISTOGRAM || across > static_cast<uint8_t>(Across::kMean)) {
    throw ProtocolError("a metric of a kind that there is not");
  }
  family.kind = static_cast<TRITONSERVER_MetricKind>(kind);
  family.across = static_cast<Across>(across);
  family.name = ReadName(true);
  family.help = ReadString(kMaxMetricText);
  const auto label_count = Read<uint8_t>();
  if (label_count > kMaxLabels) {
    throw ProtocolError("metric \"" + family.name + "\" has " + std::to_string(label_count) + " labels");
  }
  for (uint8_t index = 0; index < label_count; ++index) {
    std::string label = ReadName(false);
    if (label.starts_with("__") || label == "le" || std::ranges::count(family.labels, label) > 0) {
      throw ProtocolError("\"" + label + "\" cannot be a label of metric \"" + family.name + "\"");
    }
    family.labels.push_back(std::move(label));
  }
  for (auto left = Read<uint8_t>(); left > 0; --left) {
    family.buckets.push_back(Read<double>());
  }
  CheckBuckets(family);
  return family;
}

SeriesRecord MetricRecords::ReadSeries(uint32_t family, size_t label_count) {
  SeriesRecord series{family, {}};
  for (size_t index = 0; index < label_count; ++index) {
    series.values.push_back(ReadString(kMaxMetricText));
  }
  return series;
}

AddRecord MetricRecords::ReadAdd() {
  const AddRecord add{Read<uint32_t>(), Read<double>()};
  if (!std::isfinite(add.change) || add.change < 0) {
    throw ProtocolError("a counter cannot change by " + std::to_string(add.change));
  }
  return add;
}

ObserveRecord MetricRecords::ReadObserve() {
  const ObserveRecord observe{Read<uint32_t>(), Read<double>(), Read<uint32_t>()};
  if (std::isnan(observe.value) || observe.times > kMaxObservations - observations_) {
    throw ProtocolError("a histogram cannot observe " + std::to_string(observe.value) + ", " +
                        std::to_string(observe.times) + " times");
  }
  observations_ += observe.times;
  return observe;
}

void MetricRecords::ThrowUnknown() {
  throw ProtocolError("a record of metrics of an unknown kind");
}

}  // namespace pytriton
