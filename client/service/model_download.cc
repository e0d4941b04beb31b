#include "client/service/model_download.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/nameless_file.h"
#include "base/rate_limit.h"
#include "base/status_macros.h"

namespace dure {
namespace {

// Longest wait for one piece: at the least size of one, some hundred bytes a second.
constexpr absl::Duration kPieceTimeout = absl::Minutes(1);
// A wait between two tries looks so often whether it is still wanted.
constexpr absl::Duration kLook = absl::Milliseconds(100);

}  // namespace

ModelDownload::~ModelDownload() {
  ++wanted_;  // nothing is
  thread_.reset();
}

void ModelDownload::Want(const FetchSource& source, const Digest& sha256, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (coming_ == sha256) return;
  coming_ = sha256;
  if (!thread_) thread_ = std::make_unique<Strand>();
  thread_->Post(
      [this, source, sha256, bytes, wanted = ++wanted_] { Run(source, sha256, bytes, wanted); });
}

void ModelDownload::Run(const FetchSource& source, const Digest& sha256, uint64_t bytes,
                        uint64_t wanted) {
  const auto done = [&](absl::StatusOr<std::shared_ptr<const ByteSource>> file) {
    {
      std::lock_guard lock(mutex_);
      if (wanted != wanted_) return;
      coming_.reset();
    }
    done_(sha256, std::move(file));
  };
  if (wanted != wanted_) return;
  if (file_ != nullptr && sha256_ == sha256 && file_->size() == bytes) return done(file_);
  file_.reset();
  received_ = 0;
  const auto fetch = [&]() -> absl::StatusOr<std::shared_ptr<const ByteSource>> {
    DURE_ASSIGN_OR_RETURN(NamelessFile made, NamelessFile::Create(folder_));
    auto file = std::make_shared<NamelessFile>(std::move(made));
    const auto go_on = [&] { return wanted == wanted_; };
    const auto wait = [&](absl::Duration length) {
      for (const absl::Time until = absl::Now() + length; go_on() && absl::Now() < until;) {
        absl::SleepFor(kLook);
      }
    };
    RateLimit limit(rate_);
    DURE_RETURN_IF_ERROR(FetchPatiently(source, ToString(sha256), bytes, kPieceTimeout,
                                        {.go_on = go_on, .wait = wait}, random_,
                                        [&](std::string_view piece) -> absl::Status {
                                          DURE_RETURN_IF_ERROR(file->Append(AsBytes(piece)));
                                          received_ = file->size();
                                          limit.SetRate(rate_);
                                          wait(limit.Take(piece.size(), absl::Now()));
                                          return absl::OkStatus();
                                        }));
    if (file->size() == bytes) return std::shared_ptr<const ByteSource>(std::move(file));
    return absl::InvalidArgumentError(absl::StrCat("the coordinator offered a model of ", bytes,
                                                   " bytes and sent one of ", file->size()));
  };
  absl::StatusOr<std::shared_ptr<const ByteSource>> fetched = fetch();
  if (fetched.ok()) {
    sha256_ = sha256;
    file_ = *fetched;
  }
  done(std::move(fetched));
}

}  // namespace dure
