// A federation file for tests: the setting of the demo. Header only, for tests.
#ifndef DURE_TESTS_SUPPORT_DEMO_SPEC_H_
#define DURE_TESTS_SUPPORT_DEMO_SPEC_H_

#include <string>

namespace dure::testing {

inline std::string DemoToml() {
  return R"([federation]
name = "fashion"
purpose = "Classify clothing photographs"
license = "Apache-2.0"
address = "coordinator.example.org:7443"

[model]
architecture = "cnn"

[model.input]
shape = [1, 28, 28]
classes = 10

[rounds]
count = 300
cohort = 10
minimum = 8
max_attempts = 340
deadline = "5m"

[local]
mode = "gradient"
sampling_rate = 0.01

[server]
optimizer = "fedadam"
learning_rate = 0.01
beta1 = 0.9
beta2 = 0.99
tau = 1e-3

[privacy]
unit = "record"
clip_norm = 1.0
noise_multiplier = 1.0
delta = 1e-5
max_epsilon = 4.0
total_records = 60000
max_records_per_member = 15000

[secure_aggregation]
max_corrupt = 0.2
max_dropout = 0.1

[evaluation]
every = 20
)";
}

// The demo with other sections in place of [local] and what follows [server].
inline std::string DemoWithUnit(const std::string& local, const std::string& privacy,
                                const std::string& secure_aggregation = "") {
  std::string toml = DemoToml();
  toml.resize(toml.find("[local]"));
  return toml + "[local]\n" + local + "\n[privacy]\n" + privacy + "\n[secure_aggregation]\n" +
         secure_aggregation + "\n";
}

// Unit client with every key that it can have.
inline std::string ClientToml(const std::string& secure_aggregation = "") {
  return DemoWithUnit(
      "mode = \"epochs\"\nweighting = \"records\"\nweight_max = 6000\nweight_mean = 3000",
      "unit = \"client\"\nmax_epsilon = 1000.0\nclipping = \"adaptive\"\nrotation = true",
      secure_aggregation);
}
inline std::string DpSgdToml(const std::string& secure_aggregation = "") {
  return DemoWithUnit("mode = \"dp_sgd\"\nsampling_rate = 0.01\nsteps = 5",
                      "max_epsilon = 100.0\ntotal_records = 60000\nmax_records_per_member = 15000",
                      secure_aggregation);
}
inline std::string NoneToml(const std::string& secure_aggregation = "") {
  return DemoWithUnit("mode = \"epochs\"\nweighting = \"records\"\nweight_max = 6000",
                      "unit = \"none\"", secure_aggregation);
}

// The demo's file with one line, which must be there, replaced by another.
inline std::string DemoWith(const std::string& line, const std::string& other) {
  std::string toml = DemoToml();
  size_t at = toml.find(line + "\n");
  if (at == std::string::npos) return "no line: " + line;
  return toml.replace(at, line.size(), other);
}

}  // namespace dure::testing

#endif  // DURE_TESTS_SUPPORT_DEMO_SPEC_H_
