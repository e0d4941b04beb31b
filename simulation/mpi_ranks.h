// Processes started by `mpirun`, or by a batch system's launcher, as one simulation (MPI; Open MPI
// on Debian). The one file that knows MPI is mpi_ranks.cc. Not thread-safe: the thread that joined
// makes all calls.
#ifndef DURE_SIMULATION_MPI_RANKS_H_
#define DURE_SIMULATION_MPI_RANKS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "simulation/ranks.h"

namespace dure::simulation {

// This process among those it was started with, or alone if no launcher started it. Once in a
// process; what is returned ends the job's MPI when it goes. Unavailable if MPI cannot be begun.
absl::StatusOr<std::unique_ptr<Ranks>> JoinRanks();

// Ends all processes of the job at once, this one with `exit_code`: where one of them cannot go on,
// and the others wait for it.
[[noreturn]] void AbortRanks(int exit_code);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_MPI_RANKS_H_
