// Ctrl-C and SIGTERM as a question that a loop asks: the first asks for a clean end, a second ends
// the process at once. One StopSignal a process, made before any other thread.
#ifndef DURE_CLI_STOP_SIGNAL_H_
#define DURE_CLI_STOP_SIGNAL_H_

#include <functional>
#include <thread>

namespace dure::cli {

class StopSignal {
 public:
  StopSignal();
  bool Requested() const;
  // Of a command that was stopped before it was done, as a shell says it: 128 and the signal.
  int ExitCode() const;
};

// Ends the process with `exit_code` a moment from now, if it has not ended by then: what it still
// waits for, a trainer that hangs or a member that does not answer, is told by its end.
void EndSoon(int exit_code);

// While it lives, SIGINT and SIGTERM undo what a command has begun and end the process: `undo` runs
// on a thread of its own beside the command. Made before any other thread.
class UndoOnSignal {
 public:
  explicit UndoOnSignal(std::function<void()> undo);
  ~UndoOnSignal();
  UndoOnSignal(const UndoOnSignal&) = delete;
  UndoOnSignal& operator=(const UndoOnSignal&) = delete;

 private:
  std::thread waiting_;
};

}  // namespace dure::cli

#endif  // DURE_CLI_STOP_SIGNAL_H_
