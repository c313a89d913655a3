// SPDX-License-Identifier: Apache-2.0
//
// Metrics that functions declare: what processes say of them, and what stands at the metrics endpoint.
#include "backend/user_metrics.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "backend/metrics_port.h"
#include "core/failure.h"
#include "fake_worker.h"
#include "metric_writer.h"
#include "support.h"

namespace pytriton {

namespace {

using testing::Contains;
using testing::FakeWorker;
using testing::MetricWriter;
using testing::TemporaryDirectory;
using testing::TheHost;

constexpr auto kCounter = TRITONSERVER_METRIC_KIND_COUNTER;
constexpr auto kGauge = TRITONSERVER_METRIC_KIND_GAUGE;
constexpr auto kHistogram = TRITONSERVER_METRIC_KIND_HISTOGRAM;

double Value(const std::string& name, const std::string& labels = "") {
  return TheHost().At(name, labels).value;
}

bool IsShown(const std::string& series) {
  const std::vector<std::string> names = TheHost().SeriesNames();
  return std::find(names.begin(), names.end(), series) != names.end();
}

// A process that talks to a port.
class Reporter {
 public:
  Reporter(const std::string& path, uint64_t process) : peer_(path) {
    peer_.Send(BytesOf(MetricsHello{kMetricsMagic, process}));
  }
  explicit Reporter(const std::string& path) : peer_(path) {}

  void Send(const testing::Bytes& packet) const { peer_.Send(packet); }
  // What is said to a packet; "the end" when the connection has ended.
  std::string Reply() const {
    std::array<std::byte, 1024> packet;
    size_t size = 0;
    peer_.socket().SetReceiveTimeout(20000);
    if (peer_.socket().Receive(packet, size) != Socket::Received::kPacket) {
      return "the end";
    }
    return std::string(reinterpret_cast<const char*>(packet.data()), size).substr(1);
  }

 private:
  FakeWorker peer_;
};

}  // namespace

TEST_CASE("what processes count adds up, and stays when they go") {
  UserMetrics metrics;
  auto one = metrics.Open(1);
  auto two = metrics.Open(2);
  MetricWriter declared;
  declared.Family(kCounter, "words", {"language"}).Series(0, {"de"}).Add(0, 3);
  CHECK(one->Apply(declared.bytes()).empty());
  CHECK(two->Apply(declared.bytes()).empty());
  CHECK(two->Apply(MetricWriter().Series(0, {"en"}).Add(1, 2).Add(0, 0.5).bytes()).empty());
  one.reset();
  CHECK(Value("words", "{language=\"de\"}") == 6.5);
  CHECK(Value("words", "{language=\"en\"}") == 2);
}

TEST_CASE("gauges of processes are put together as declared, and go with them") {
  UserMetrics metrics;
  auto one = metrics.Open(1);
  auto two = metrics.Open(2);
  MetricWriter declared;
  uint32_t family = 0;
  for (const auto& [name, across] : {std::pair{"g_sum", Across::kSum},
                                     {"g_max", Across::kMax},
                                     {"g_min", Across::kMin},
                                     {"g_mean", Across::kMean}}) {
    declared.Family(kGauge, name, {}, {}, across).Series(family++);
  }
  for (const auto& [source, value] : {std::pair{one.get(), 1.0}, {two.get(), -4.0}}) {
    CHECK(source->Apply(declared.bytes()).empty());
    CHECK(source->Apply(MetricWriter().Set(0, value).Set(1, value).Set(2, value).Set(3, value).bytes())
              .empty());
  }
  CHECK(Value("g_sum") == -3);
  CHECK(Value("g_max") == 1);
  CHECK(Value("g_min") == -4);
  CHECK(Value("g_mean") == -1.5);
  two.reset();
  CHECK(Value("g_sum") == 1);
  CHECK(Value("g_min") == 1);
  one.reset();
  CHECK_FALSE(IsShown("g_sum"));
  auto three = metrics.Open(3);
  CHECK(three->Apply(MetricWriter().Family(kGauge, "g_sum").Series(0).Set(0, 7).bytes()).empty());
  CHECK(Value("g_sum") == 7);
}

TEST_CASE("histograms observe a value as often as they are told") {
  UserMetrics metrics;
  auto source = metrics.Open(1);
  MetricWriter writer;
  writer.Family(kHistogram, "sizes", {}, {1, 10}).Series(0).Observe(0, 0.5, 2).Observe(0, 20, 1);
  CHECK(source->Apply(writer.bytes()).empty());
  CHECK(TheHost().At("sizes", "").observed == std::vector<double>{0.5, 0.5, 20});
}

TEST_CASE("what contradicts another declaration is refused, and all else is shown") {
  UserMetrics metrics;
  auto source = metrics.Open(1);
  CHECK(source->Apply(MetricWriter().Family(kHistogram, "h", {"a"}, {1}).Family(kCounter, "c").bytes())
            .empty());
  MetricWriter writer;
  SUBCASE("kind") {
    writer.Family(kGauge, "c").Series(2).Set(0, 1);
  }
  SUBCASE("labels") {
    writer.Family(kHistogram, "h", {"b"}, {1}).Series(2, {"x"}).Observe(0, 1, 1);
  }
  SUBCASE("buckets") {
    writer.Family(kHistogram, "h", {"a"}, {1, 2}).Series(2, {"x"}).Observe(0, 1, 1);
  }
  SUBCASE("a name that a histogram has") {
    writer.Family(kCounter, "h_sum").Series(2).Add(0, 1);
  }
  SUBCASE("a name of Triton's") {
    writer.Family(kCounter, "nv_energy_consumption").Series(2).Add(0, 1);
  }
  SUBCASE("a name of ours") {
    writer.Family(kCounter, "pytriton_workers").Series(2).Add(0, 1);
  }
  writer.Series(1).Add(1, 5);
  const std::string refused = source->Apply(writer.bytes());
  CHECK_FALSE(refused.empty());
  CHECK(Value("c") == 5);
  CHECK_FALSE(IsShown("nv_energy_consumption"));
  CHECK_FALSE(IsShown("pytriton_workers"));
}

TEST_CASE("unsound records are told from sound ones") {
  UserMetrics metrics;
  auto source = metrics.Open(1);
  source->Apply(MetricWriter()
                    .Family(kCounter, "c")
                    .Series(0)
                    .Family(kGauge, "g")
                    .Series(1)
                    .Family(kHistogram, "hh", {}, {1})
                    .Series(2)
                    .bytes());
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<MetricWriter> unsound = {
      MetricWriter().Put(uint8_t{9}),
      MetricWriter().Put(MetricRecord::kAdd).Put(uint16_t{0}),
      MetricWriter().Family(kCounter, ""),
      MetricWriter().Family(kCounter, "9a"),
      MetricWriter().Family(kCounter, "a b"),
      MetricWriter().Family(kCounter, "a\n# TYPE x counter"),
      MetricWriter().Family(kCounter, std::string(201, 'a')),
      MetricWriter().Family(kCounter, "x", {"a:b"}),
      MetricWriter().Family(kCounter, "x", {"__a"}),
      MetricWriter().Family(kCounter, "x", {"le"}),
      MetricWriter().Family(kCounter, "x", {"a", "a"}),
      MetricWriter().Family(kCounter, "x", std::vector<std::string>(17, "a")),
      MetricWriter().Family(kCounter, "x", {}, {1}),
      MetricWriter().Family(kHistogram, "x"),
      MetricWriter().Family(kHistogram, "x", {}, {2, 1}),
      MetricWriter().Family(kHistogram, "x", {}, {1, 1}),
      MetricWriter().Family(kHistogram, "x", {}, {1, infinity}),
      MetricWriter().Family(kHistogram, "x", {}, {nan}),
      MetricWriter().Family(static_cast<TRITONSERVER_MetricKind>(3), "x"),
      MetricWriter().Family(kGauge, "x", {}, {}, static_cast<Across>(4)),
      MetricWriter().Series(3),
      MetricWriter().Add(3, 1),
      MetricWriter().Add(0, -1),
      MetricWriter().Add(0, infinity),
      MetricWriter().Add(1, 1),
      MetricWriter().Set(0, 1),
      MetricWriter().Observe(1, 1, 1),
      MetricWriter().Observe(2, nan, 1),
      MetricWriter().Observe(2, 1, kMaxObservations + 1),
      MetricWriter().Observe(2, 1, kMaxObservations).Observe(2, 1, 1),
  };
  for (size_t index = 0; index + 1 < unsound.size(); ++index) {
    CAPTURE(index);
    CHECK_THROWS_AS(source->Apply(unsound[index].bytes()), ProtocolError);
  }
  for (const std::string text :
       {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xe2\x82", "\xf5\x80\x80\x80", "\xf0\x80\x80\x80"}) {
    auto another = metrics.Open(2);
    CHECK_THROWS_AS(another->Apply(MetricWriter().Family(kCounter, "t", {"a"}).Series(0, {text}).bytes()),
                    ProtocolError);
  }
  auto another = metrics.Open(2);
  CHECK(
      another
          ->Apply(MetricWriter().Family(kCounter, "t", {"a"}).Series(0, {"\u00e4 \u20ac \U0001f600"}).bytes())
          .empty());
}

TEST_CASE("labels without end are refused at a limit") {
  UserMetrics metrics;
  auto source = metrics.Open(1);
  source->Apply(MetricWriter().Family(kCounter, "many", {"id"}).bytes());
  std::string refused;
  for (int number = 0; number <= 10000; ++number) {
    refused = source->Apply(MetricWriter().Series(0, {std::to_string(number)}).bytes());
  }
  CHECK(Contains(refused, "too many values"));
}

TEST_CASE("processes report at a port, each on one connection, and bad ones are let go") {
  const TemporaryDirectory directory;
  MetricsPorts ports;
  auto kept = ports.Open(directory / "1");
  auto also = ports.Open(directory / "2");
  const std::string path = directory / "metrics";
  const Reporter one(path, 1);
  CHECK(one.Reply().empty());
  {
    const Reporter again(path, 1);
    CHECK(again.Reply() == "this process reports already");
    CHECK(again.Reply() == "the end");
  }
  one.Send(MetricWriter().Family(kCounter, "at_port").Series(0).Add(0, 1).bytes());
  CHECK(one.Reply().empty());
  one.Send(MetricWriter().Family(kGauge, "at_port").bytes());
  CHECK(Contains(one.Reply(), "declared before"));
  const Reporter bad(path, 2);
  CHECK(bad.Reply().empty());
  bad.Send(MetricWriter().Add(7, 1).bytes());
  CHECK(bad.Reply() == "the end");
  const Reporter silent(path);
  const Reporter rude(path);
  rude.Send(testing::Bytes(100));
  CHECK(rude.Reply() == "the end");
  const Reporter huge(path, 3);
  CHECK(huge.Reply().empty());
  huge.Send(testing::Bytes(kMaxMetricsPacket + 1));
  CHECK(huge.Reply() == "the end");
  kept.reset();
  one.Send(MetricWriter().Add(0, 1).bytes());
  CHECK(one.Reply().empty());
  CHECK(Value("at_port") == 2);
  also.reset();
  CHECK(one.Reply() == "the end");
  CHECK_FALSE(std::filesystem::exists(path));
  kept = ports.Open(directory / "1");
  const Reporter anew(path, 1);
  CHECK(anew.Reply().empty());
  TheHost().TakeLog();
}

TEST_CASE("models are served where no port can be") {
  MetricsPorts ports;
  CHECK(ports.Open("/no/such/directory/1") == nullptr);
  TheHost().TakeLog();
}

}  // namespace pytriton
