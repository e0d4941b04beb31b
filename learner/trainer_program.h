// A trainer as a program: what `dure client` starts with a socket as descriptor 3. Holds no key,
// opens no network and, from before it sees a model or data, no file. `dure-trainer` is one; a
// program of your own with a model of your own is another (docs/extending.md). It needs no
// LibTorch.
//
//   PROGRAM                                              serves the client that started it
//   PROGRAM init --federation FILE --out FILE [--seed S] writes the weights that a run begins with
//   PROGRAM describe --federation FILE                   prints the model's parameters
#ifndef DURE_LEARNER_TRAINER_PROGRAM_H_
#define DURE_LEARNER_TRAINER_PROGRAM_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "learner/trainer_parts.h"

namespace dure {

struct TrainerProgram {
  std::string name;  // for messages
  TrainerParts parts;
  // Called before the sandbox is entered: what must read of the machine while it may.
  std::function<absl::Status()> prepare;
};

// The whole of main(): its exit code. Does not return after it has served a client.
int TrainerMain(int argc, char** argv, TrainerProgram program);

}  // namespace dure

#endif  // DURE_LEARNER_TRAINER_PROGRAM_H_
