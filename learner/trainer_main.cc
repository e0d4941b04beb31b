// dure-trainer: started by `dure client` with a socket as descriptor 3. Holds no key, opens no
// network and, from before it sees a model or data, no file.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include "learner/architecture.h"
#include "learner/kernel_check.h"
#include "learner/model_torch.h"
#include "learner/sandbox.h"
#include "learner/trainer_service.h"

namespace {

// Ends the process when the client is gone, also in the middle of a computation. (PR_SET_PDEATHSIG
// would fire when the thread that started the trainer ends, not the process.)
void EndWithClient(int socket) {
  for (;;) {
    pollfd entry = {.fd = socket, .events = POLLRDHUP, .revents = 0};
    if (poll(&entry, 1, -1) < 0 && errno == EINTR) continue;
    _exit(0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool asked =
      argc == 2 && (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0);
  int type = 0;
  socklen_t length = sizeof(type);
  if (argc > 1 || getsockopt(dure::kTrainerSocket, SOL_SOCKET, SO_TYPE, &type, &length) != 0 ||
      type != SOCK_SEQPACKET) {
    std::fputs("dure-trainer trains for `dure client`, which starts it; it is of no use by hand.\n",
               asked ? stdout : stderr);
    return asked ? 0 : 2;
  }
  std::thread(EndWithClient, dure::kTrainerSocket).detach();
  // LibTorch reads what it wants to know of the machine when it is first used: now, while it may.
  dure::SetTorchThreads(1);
  const auto smallest = dure::MakeArchitecture("cnn", {1, 14, 14}, 2);
  if (absl::Status checked = dure::CheckKernels(smallest.value()); !checked.ok()) {
    std::fprintf(stderr, "dure-trainer: %s\n", std::string(checked.message()).c_str());
    return 1;
  }
  dure::TrainerService service(dure::kTrainerSocket, dure::EnterSandbox({}));
  const absl::Status status = service.Run();
  if (!status.ok()) {
    std::fprintf(stderr, "dure-trainer: %s\n", std::string(status.message()).c_str());
  }
  // Without the static destructors of the libraries, whose threads are still there.
  std::fflush(stderr);
  _exit(status.ok() ? 0 : 1);
}
