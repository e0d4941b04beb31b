// The processes of one simulation, usually an MPI job (simulation/mpi_ranks.h), or one alone. All
// of them run the same engine on the same random numbers and so come to the same model; what is
// divided is the training. Not thread-safe.
#ifndef DURE_SIMULATION_RANKS_H_
#define DURE_SIMULATION_RANKS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dure::simulation {

// Calls are collective: every process makes the same calls in the same order. There are no errors:
// when a process is lost, so is the run, and its launcher ends the others.
class Ranks {
 public:
  virtual ~Ranks() = default;
  virtual int rank() const = 0;  // 0 to size() - 1
  virtual int size() const = 0;
  // Each word becomes its sum over all processes, mod 2^32 and mod 2^64: exact, so that neither
  // their number nor their order changes a bit.
  virtual void Sum(std::span<uint32_t> words) = 0;
  virtual void Sum(std::span<uint64_t> words) = 0;
  // Every process gets what process 0 has.
  virtual void Broadcast(std::string* bytes) = 0;
  // What each of the others gave, at process 0; nothing at the others.
  virtual std::vector<std::string> Gather(const std::string& bytes) = 0;
};

class OneRank final : public Ranks {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void Sum(std::span<uint32_t>) override {}
  void Sum(std::span<uint64_t>) override {}
  void Broadcast(std::string*) override {}
  std::vector<std::string> Gather(const std::string&) override { return {}; }
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_RANKS_H_
