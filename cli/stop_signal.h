// Ctrl-C and SIGTERM as a question that a loop asks: the first asks for a clean end, a second ends
// the process at once. One object a process, made before any other thread.
#ifndef DURE_CLI_STOP_SIGNAL_H_
#define DURE_CLI_STOP_SIGNAL_H_

namespace dure::cli {

class StopSignal {
 public:
  StopSignal();
  bool Requested() const;
};

}  // namespace dure::cli

#endif  // DURE_CLI_STOP_SIGNAL_H_
