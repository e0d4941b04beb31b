#include "client/local_state.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "federation/spec.h"

namespace dure {
namespace {

constexpr std::string_view kMagic = "DSLS";
constexpr uint32_t kVersion = 1;
constexpr size_t kHashBytes = 32;
// "DSLS" | version | model | round | two counts; a hash comes last.
constexpr size_t kHeaderBytes = 4 + 4 + kHashBytes + 4 + 8 + 8;

template <typename T>
void Append(T value, std::string* out) {
  for (size_t i = 0; i < sizeof(T); ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

template <typename T>
T Take(std::string_view* bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<T>(static_cast<uint8_t>((*bytes)[i])) << (8 * i);
  }
  bytes->remove_prefix(sizeof(T));
  return value;
}

void AppendNumbers(const std::vector<float>& numbers, std::string* out) {
  out->append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float));
}

std::vector<float> TakeNumbers(uint64_t count, std::string_view* bytes) {
  std::vector<float> numbers(count);
  if (count > 0) std::memcpy(numbers.data(), bytes->data(), count * sizeof(float));
  bytes->remove_prefix(count * sizeof(float));
  return numbers;
}

bool AllFinite(const std::vector<float>& numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](float x) { return std::isfinite(x); });
}

absl::Status Damaged(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("no state of a member: ", what));
}

}  // namespace

Digest LocalStateModel(const FederationSpec& spec) {
  FederationSpec model;
  *model.mutable_model() = spec.model();
  return Transcript("local-state").Add(SpecDigest(model)).Hash();
}

std::string EncodeLocalState(const LocalState& state, const Digest& model) {
  std::string out(kMagic);
  out.reserve(kHeaderBytes + kHashBytes +
              (state.control.size() + state.personal.size()) * sizeof(float));
  Append(kVersion, &out);
  out += ToString(model);
  Append(state.round.value(), &out);
  Append(uint64_t{state.control.size()}, &out);
  Append(uint64_t{state.personal.size()}, &out);
  AppendNumbers(state.control, &out);
  AppendNumbers(state.personal, &out);
  out += ToString(Sha256(AsBytes(out)));
  return out;
}

absl::StatusOr<SavedLocalState> DecodeLocalState(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes + kHashBytes || !bytes.starts_with(kMagic)) {
    return Damaged("another kind of file, or cut off");
  }
  const std::string_view hashed = bytes.substr(0, bytes.size() - kHashBytes);
  const std::string_view hash = bytes.substr(hashed.size());
  std::string_view rest = hashed.substr(kMagic.size());
  if (const uint32_t version = Take<uint32_t>(&rest); version != kVersion) {
    return Damaged(absl::StrCat("version ", version, ", this program reads ", kVersion));
  }
  SavedLocalState saved;
  saved.model = *DigestFromBytes(rest.substr(0, kHashBytes));
  rest.remove_prefix(kHashBytes);
  saved.state.round = RoundNumber(Take<uint32_t>(&rest));
  const auto control = Take<uint64_t>(&rest), personal = Take<uint64_t>(&rest);
  if (control > kMaxModelParams || personal > kMaxModelParams ||
      rest.size() != (control + personal) * sizeof(float)) {
    return Damaged(absl::StrCat(rest.size(), " bytes for ", control, " and ", personal,
                                " numbers, each at most ", kMaxModelParams));
  }
  if (ToString(Sha256(AsBytes(hashed))) != hash) return Damaged("its SHA-256 does not fit");
  saved.state.control = TakeNumbers(control, &rest);
  saved.state.personal = TakeNumbers(personal, &rest);
  if (!AllFinite(saved.state.control) || !AllFinite(saved.state.personal)) {
    return Damaged("a number that is not finite");
  }
  return saved;
}

absl::Status CheckLocalState(const LocalState& state, const ModelParts& parts) {
  const auto check = [](const char* what, uint64_t has, uint64_t needs) -> absl::Status {
    if (has == 0 || has == needs) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(has, " ", what, ", the model has ", needs));
  };
  absl::Status status =
      check("numbers of a control variate", state.control.size(), parts.travelling().dim());
  status.Update(check("values of the parameters that stay here", state.personal.size(),
                      parts.personal().dim()));
  return status;
}

}  // namespace dure
