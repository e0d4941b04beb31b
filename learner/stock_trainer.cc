#include "learner/stock_trainer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "federation/attachments.h"
#include "learner/architecture.h"
#include "learner/data/text.h"
#include "learner/kernel_check.h"
#include "learner/model_torch.h"
#include "learner/per_example.h"
#include "learner/script_torch.h"
#include "learner/tensor_data_torch.h"
#include "learner/torch_models.h"

namespace dure {
namespace {

// Of a file of tensors, beside the tensors.
constexpr uint64_t kMaxPickleBytes = uint64_t{64} << 20;

// The whole of a file that is open for reading, from its start.
absl::StatusOr<std::string> ReadAll(int descriptor, uint64_t most) {
  struct stat info;
  if (fstat(descriptor, &info) != 0) return ErrnoStatus(errno, "cannot see the file");
  if (info.st_size < 0 || static_cast<uint64_t>(info.st_size) > most) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a file of ", info.st_size, " bytes, limit ", most));
  }
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got =
        pread(descriptor, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return ErrnoStatus(errno, "cannot read the file");
    done += static_cast<size_t>(got);
  }
  return bytes;
}

absl::StatusOr<std::unique_ptr<TrainableModel>> MakeModel(const ModelSection& section,
                                                          int threads) {
  SetTorchThreads(threads);
  DURE_ASSIGN_OR_RETURN(Architecture architecture, MakeArchitecture(section));
  if (!architecture.has_kernels()) {
    SetTorchThreads(1);  // records are spread over threads of our own
    return MakeTorchModel(std::move(architecture));
  }
  DURE_RETURN_IF_ERROR(CheckKernels(architecture));
  return std::make_unique<Network>(std::move(architecture));
}

// What was found out about a module, for the member: standard error is the client's.
absl::StatusOr<std::unique_ptr<TrainableModel>> MakeModule(const ModelSection& section, int,
                                                           int descriptor) {
  SetTorchThreads(1);
  DURE_ASSIGN_OR_RETURN(const std::string bytes, ReadAll(descriptor, kMaxModuleBytes));
  const std::string name = section.torchscript();
  DURE_ASSIGN_OR_RETURN(ScriptModule module, ScriptModule::Parse(bytes, name));
  DURE_ASSIGN_OR_RETURN(ScriptTraining training,
                        MakeScriptTraining(std::move(module), section, name));
  for (const std::string& note : training.notes) {
    std::fprintf(stderr, "dure-trainer: %s\n", note.c_str());
  }
  return std::move(training.model);
}

absl::StatusOr<Dataset> ReadData(const DataFiles& files, const ModelSection& section) {
  if (!IsTorchFile(files)) return ReadDatasetFor(files, section);
  DURE_ASSIGN_OR_RETURN(const std::string bytes,
                        ReadAll(files.images.get(), kMaxDatasetBytes + kMaxPickleBytes));
  return ReadTensors(bytes, files.images_path, section.loss());
}

}  // namespace

absl::Status PrepareStockTrainer() {
  SetTorchThreads(1);
  DURE_ASSIGN_OR_RETURN(const Architecture smallest, MakeArchitecture("cnn", {1, 14, 14}, 2));
  return CheckKernels(smallest);
}

TrainerParts StockTrainer() {
  TrainerParts parts;
  parts.make_model = MakeModel;
  parts.make_module = MakeModule;
  parts.read_data = ReadData;
  return parts;
}

}  // namespace dure
