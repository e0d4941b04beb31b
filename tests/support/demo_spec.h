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

// The demo's file with one line, which must be there, replaced by another.
inline std::string DemoWith(const std::string& line, const std::string& other) {
  std::string toml = DemoToml();
  size_t at = toml.find(line + "\n");
  if (at == std::string::npos) return "no line: " + line;
  return toml.replace(at, line.size(), other);
}

}  // namespace dure::testing

#endif  // DURE_TESTS_SUPPORT_DEMO_SPEC_H_
