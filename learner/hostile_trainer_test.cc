// What a trainer that somebody has taken over can do to the client that starts it, and to the files
// around it: learner/hostile_trainer_main.cc tries, and this says what must stop each attempt.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "learner/sandbox.h"
#include "learner/trainer_process.h"

namespace dure {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class HostileTrainerTest : public ::testing::Test {
 protected:
  HostileTrainerTest() {
    fs::remove_all(root_);
    for (const char* folder : {"/node/private", "/data", "/tmp"}) {
      fs::create_directories(root_ + folder);
    }
    Write("/node/private/member.key", "secret");
    Write("/node/ledger", "spent");
    // Two grey pictures of 2 x 2, labels 0 and 1.
    Write("/data/images-idx3-ubyte",
          std::string("\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x02", 16) + std::string(8, '\x07'));
    Write("/data/labels-idx1-ubyte", std::string("\0\0\x08\x01\0\0\0\x02\0\x01", 10));
    options_.program = DURE_BINARY_DIR "/bin/hostile-trainer";
    options_.data_folder = root_ + "/data";
    options_.background = true;
    options_.model.set_architecture(ModelSection::MLP);
    options_.model.set_loss(ModelSection::CROSS_ENTROPY);
    for (uint32_t extent : {1, 2, 2}) options_.model.mutable_input()->add_shape(extent);
    options_.model.mutable_input()->set_classes(2);
  }
  ~HostileTrainerTest() override { fs::remove_all(root_); }

  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomic(root_ + name, text, 0600).ok());
  }
  std::string Read(const std::string& name) { return ReadFile(root_ + name, 1 << 20).value_or(""); }

  absl::Status Run(uint64_t mode) {
    options_.model.set_seed(mode);
    return TrainerProcess::Start(options_).status();
  }
  // What it tried, and the number of the error that stopped it.
  std::map<std::string, int> Tried(uint64_t mode) {
    const absl::Status status = Run(mode);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    std::map<std::string, int> tried;
    for (absl::string_view word : absl::StrSplit(status.message(), ' ', absl::SkipEmpty())) {
      const std::vector<std::string> parts = absl::StrSplit(word, '=');
      int number = -1;
      if (parts.size() == 2 && absl::SimpleAtoi(parts[1], &number)) tried[parts[0]] = number;
    }
    return tried;
  }
  // All that is not in `others` must fail with `usual`.
  void ExpectStopped(const std::map<std::string, int>& tried, size_t least, int usual,
                     const std::map<std::string, int>& others) {
    EXPECT_GE(tried.size(), least);
    for (const auto& [name, number] : tried) {
      const auto other = others.find(name);
      EXPECT_EQ(number, other == others.end() ? usual : other->second) << name;
    }
  }

  const std::string root_ = ::testing::TempDir() + "hostile_trainer_test";
  TrainerOptions options_;
};

// The filter says EPERM to what it does not list; whoever asks for clone3 is told that there is
// none.
TEST_F(HostileTrainerTest, ReachesNobody) {
  ExpectStopped(Tried(1), 36, EPERM, {{"clone3", ENOSYS}});
}

// EACCES: the filter, for whatever opens files. EBADF, and EACCES of mmap: the data were opened for
// reading only. EMFILE: the limit of descriptors.
TEST_F(HostileTrainerTest, TouchesNoFile) {
  std::map<std::string, int> others = {{"write", EBADF}, {"map", EACCES}, {"dup", EMFILE}};
  for (const char* opening : {"key", "ledger", "control", "home", "passwd", "data", "again",
                              "environ", "mem", "parent", "openat2", "create", "shm"}) {
    others[opening] = EACCES;
  }
  ExpectStopped(Tried(2), 28, EPERM, others);
  EXPECT_EQ(Read("/node/private/member.key"), "secret");
  EXPECT_EQ(Read("/node/ledger"), "spent");
  EXPECT_EQ(Read("/data/images-idx3-ubyte").size(), 24u);
  EXPECT_TRUE(fs::is_empty(root_ + "/tmp"));
  EXPECT_FALSE(fs::exists("/dev/shm/dure-left-behind"));
}

TEST_F(HostileTrainerTest, HoldsNobodyUp) {
  options_.load_timeout = absl::Seconds(2);
  const absl::Status status = Run(3);
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
}

TEST_F(HostileTrainerTest, TakesNoMoreMemoryThanTheClientGives) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer of this build needs more";
  options_.memory_bytes = uint64_t{512} << 20;
  ExpectStopped(Tried(4), 1, ENOMEM, {{"above-1GB", -1}});
}

}  // namespace
}  // namespace dure
