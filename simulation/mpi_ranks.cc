#include "simulation/mpi_ranks.h"

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace dure::simulation {
namespace {

// What launchers tell the processes that they start: Open MPI, PMIx (Slurm), PMI (MPICH).
constexpr const char* kLaunched[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"};

// MPI counts in int.
constexpr size_t kMostElements = size_t{1} << 28;

template <typename Word>
void SumWords(std::span<Word> words, MPI_Datatype type) {
  while (!words.empty()) {
    const auto now = words.first(std::min(words.size(), kMostElements));
    MPI_Allreduce(MPI_IN_PLACE, now.data(), static_cast<int>(now.size()), type, MPI_SUM,
                  MPI_COMM_WORLD);
    words = words.subspan(now.size());
  }
}

class MpiRanks final : public Ranks {
 public:
  MpiRanks() {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
  }
  ~MpiRanks() override { MPI_Finalize(); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void Sum(std::span<uint32_t> words) override { SumWords(words, MPI_UINT32_T); }
  void Sum(std::span<uint64_t> words) override { SumWords(words, MPI_UINT64_T); }
  void Broadcast(std::string* bytes) override {
    uint64_t size = bytes->size();
    MPI_Bcast(&size, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    bytes->resize(size);
    for (size_t done = 0; done < size; done += kMostElements) {
      const size_t now = std::min(size - done, kMostElements);
      MPI_Bcast(bytes->data() + done, static_cast<int>(now), MPI_BYTE, 0, MPI_COMM_WORLD);
    }
  }
  std::vector<std::string> Gather(const std::string& bytes) override {
    constexpr int kTag = 1;
    std::vector<std::string> all;
    if (rank_ != 0) {
      uint64_t size = bytes.size();
      MPI_Send(&size, 1, MPI_UINT64_T, 0, kTag, MPI_COMM_WORLD);
      for (size_t done = 0; done < size; done += kMostElements) {
        MPI_Send(bytes.data() + done, static_cast<int>(std::min(size - done, kMostElements)),
                 MPI_BYTE, 0, kTag, MPI_COMM_WORLD);
      }
      return all;
    }
    for (int rank = 1; rank < size_; ++rank) {
      uint64_t size = 0;
      MPI_Recv(&size, 1, MPI_UINT64_T, rank, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      std::string& part = all.emplace_back(size, '\0');
      for (size_t done = 0; done < size; done += kMostElements) {
        MPI_Recv(part.data() + done, static_cast<int>(std::min(size - done, kMostElements)),
                 MPI_BYTE, rank, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      }
    }
    return all;
  }

 private:
  int rank_ = 0, size_ = 1;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Ranks>> JoinRanks() {
  const bool launched = std::any_of(std::begin(kLaunched), std::end(kLaunched),
                                    [](const char* name) { return std::getenv(name) != nullptr; });
  if (!launched) return std::make_unique<OneRank>();
  // The thread that joined makes all calls.
  int provided = 0;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS ||
      provided < MPI_THREAD_FUNNELED) {
    return absl::UnavailableError(
        "MPI cannot be begun here: start the program with mpirun, or without a launcher");
  }
  return std::make_unique<MpiRanks>();
}

void AbortRanks(int exit_code) {
  int begun = 0;
  MPI_Initialized(&begun);
  if (begun != 0) MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

}  // namespace dure::simulation
