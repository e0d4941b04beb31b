// Ctrl-C, and the SIGTERM of a batch system or of an MPI job that has lost a process. The first
// asks the run for an end after the attempt under way; a second ends the process at once. Of a job
// of several processes, one that waits for a lost process will never see the end of its attempt:
// the last words are said beside it. One StopRequest a process, made before any other thread.
#ifndef DURE_SIMULATION_STOP_REQUEST_H_
#define DURE_SIMULATION_STOP_REQUEST_H_

#include <atomic>
#include <csignal>
#include <functional>
#include <mutex>
#include <thread>

namespace dure::simulation {

class StopRequest {
 public:
  StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  bool requested() const { return signal_ != 0; }
  // Of a command that was stopped before it was done, as a shell says it: 128 and the signal.
  // A process of a job may stop with the others before its own signal comes.
  int exit_code() const { return 128 + (requested() ? signal_.load() : SIGTERM); }

  // What is done if the process has not ended a little later, before it is ended: called on a
  // thread of its own. Empty: nothing, and the process goes on to the end of its attempt.
  void OnLastWords(std::function<void()> last_words);

 private:
  void Wait();

  std::atomic<int> signal_ = 0;
  std::mutex lock_;
  std::function<void()> last_words_;
};

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_STOP_REQUEST_H_
