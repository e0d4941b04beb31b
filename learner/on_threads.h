// The same work on several threads at once. Thread-safe.
#ifndef DURE_LEARNER_ON_THREADS_H_
#define DURE_LEARNER_ON_THREADS_H_

#include <cstddef>
#include <thread>
#include <vector>

namespace dure {

// Calls work(0) to work(threads - 1), the first on this thread, and returns when all are done.
// threads >= 1; `work` must not throw.
template <typename Work>
void OnThreads(size_t threads, const Work& work) {
  std::vector<std::thread> others;
  for (size_t i = 1; i < threads; ++i) others.emplace_back(work, i);
  work(0);
  for (std::thread& other : others) other.join();
}

}  // namespace dure

#endif  // DURE_LEARNER_ON_THREADS_H_
