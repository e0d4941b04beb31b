#include "coordinator/service/federation_folder.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "coordinator/service/signing_folder.h"
#include "crypto/pem_files.h"
#include "crypto/x509.h"
#include "federation/manifest.h"
#include "federation/model_file.h"
#include "federation/spec.h"

namespace dure {

std::string InitialModelPath(const std::string& folder) {
  return folder + "/model/initial.safetensors";
}

absl::StatusOr<FederationSpec> ReadFederationFile(const std::string& path) {
  absl::StatusOr<FederationSpec> spec = ReadFederationWithFiles(path);
  // Keys that contradict each other are a mistake in the file like any other.
  if (absl::IsFailedPrecondition(spec.status())) {
    return absl::InvalidArgumentError(spec.status().message());
  }
  return spec;
}

absl::StatusOr<FederationFolder> MakeFederationFolder(const std::string& folder,
                                                      const FederationSpec& spec, absl::Time now,
                                                      Random& random) {
  if (FileExists(FederationFilePath(folder))) return HasFederationAlready(folder);
  const std::string keys = FederationPrivateFolder(folder);
  DURE_RETURN_IF_ERROR(MakeFolder(keys, 0700));
  SigningKey ca_key = SigningKey::Generate(random);
  absl::Time begin = now - kClockTolerance;
  DURE_ASSIGN_OR_RETURN(std::string ca, MakeEnrolmentCa(ca_key, spec.federation().name(),
                                                        {begin, now + kCaValidity}, random));
  SigningKey key = SigningKey::Generate(random);
  DURE_ASSIGN_OR_RETURN(CertificateIssuer issuer, CertificateIssuer::Create(ca, &ca_key));
  DURE_ASSIGN_OR_RETURN(
      std::string certificate,
      issuer.IssueCoordinator(key.public_key(), {begin, now + kCoordinatorValidity}, random));
  DURE_RETURN_IF_ERROR(WriteKeyFile(keys + "/ca.key", ca_key));
  DURE_RETURN_IF_ERROR(WriteKeyFile(keys + "/coordinator.key", key));
  DURE_RETURN_IF_ERROR(WriteCertificateFile(keys + "/ca.pem", ca));
  DURE_RETURN_IF_ERROR(WriteCertificateFile(keys + "/coordinator.pem", certificate));
  DURE_RETURN_IF_ERROR(MakeFolder(folder + "/model"));
  // Last: a folder without it is no federation.
  DURE_RETURN_IF_ERROR(WriteFileAtomic(FederationFilePath(folder), FederationToToml(spec)));
  return ReadFederationFolder(folder);
}

absl::StatusOr<std::string> MakeFederationFolderWithoutCaKey(const std::string& folder,
                                                             const FederationSpec& spec,
                                                             const std::string& ca_certificate,
                                                             absl::Time now, Random& random) {
  if (FileExists(FederationFilePath(folder))) return HasFederationAlready(folder);
  DURE_ASSIGN_OR_RETURN(const CaCertificate ca, ParseCaCertificate(ca_certificate));
  if (ca.federation != spec.federation().name()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the enrolment CA is that of \"", ca.federation, "\", and this federation is \"",
        spec.federation().name(), "\": make the CA with `dure sign init CA_DIR --name \"",
        spec.federation().name(), "\"`"));
  }
  const std::string keys = FederationPrivateFolder(folder);
  DURE_RETURN_IF_ERROR(MakeFolder(keys, 0700));
  const SigningKey key = SigningKey::Generate(random);
  DURE_RETURN_IF_ERROR(WriteKeyFile(keys + "/coordinator.key", key));
  DURE_RETURN_IF_ERROR(WriteCertificateFile(keys + "/ca.pem", ca_certificate));
  const std::string_view name = RoleName(CertificateRole::kCoordinator);
  DURE_ASSIGN_OR_RETURN(std::string request,
                        AddWaiting(keys, {.ca_fingerprint = CertificateFingerprint(ca_certificate),
                                          .role = CertificateRole::kCoordinator,
                                          .name = std::string(name),
                                          .certificate_request = MakeCertificateRequest(key),
                                          .key = key.public_key(),
                                          .asked = now}));
  DURE_RETURN_IF_ERROR(MakeFolder(folder + "/model"));
  DURE_RETURN_IF_ERROR(WriteFileAtomic(FederationFilePath(folder), FederationToToml(spec)));
  return request;
}

absl::Status HasFederationAlready(const std::string& folder) {
  return absl::AlreadyExistsError(absl::StrCat(
      folder, " has a federation already: choose another folder, or edit its federation.toml"));
}

absl::Status ExpectFederation(const std::string& folder) {
  if (!FileIsMissing(FederationFilePath(folder))) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("there is no federation in ", folder,
                                          ": make one with `dure init ", folder, "`"));
}

namespace {

// The coordinator's first certificate, which came back from another machine.
absl::Status TakeSignedCertificate(const std::string& folder, const PublicKey& key,
                                   const std::string& ca) {
  const std::string keys = FederationPrivateFolder(folder);
  const std::optional<std::string> der = FindSigned(keys, key, ca, absl::Now());
  if (der && VerifyCoordinatorCertificate(*der, ca, absl::Now()).ok()) {
    DURE_RETURN_IF_ERROR(WriteCertificateFile(keys + "/coordinator.pem", *der));
    for (const WaitingRequest& waiting : ListWaiting(keys)) {
      if (waiting.request.key == key) RemoveWaiting(waiting);
    }
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the coordinator of ", folder, " has no certificate yet: sign ", RequestsFolder(keys), "/",
      SigningFileName(CertificateRole::kCoordinator, "", key),
      ".request with `dure sign` where the CA's key is, then `dure sign import ", folder,
      " FILE` here"));
}

}  // namespace

absl::StatusOr<FederationFolder> ReadFederationFolder(const std::string& folder) {
  DURE_RETURN_IF_ERROR(ExpectFederation(folder));
  DURE_ASSIGN_OR_RETURN(FederationSpec spec, ReadFederationFile(FederationFilePath(folder)));
  const std::string keys = FederationPrivateFolder(folder);
  std::optional<SigningKey> ca_key;
  if (!FileIsMissing(keys + "/ca.key")) {
    DURE_ASSIGN_OR_RETURN(ca_key, ReadKeyFile(keys + "/ca.key"));
  }
  DURE_ASSIGN_OR_RETURN(std::string ca, ReadCertificateFile(keys + "/ca.pem"));
  DURE_ASSIGN_OR_RETURN(SigningKey key, ReadKeyFile(keys + "/coordinator.key"));
  if (FileIsMissing(keys + "/coordinator.pem")) {
    DURE_RETURN_IF_ERROR(TakeSignedCertificate(folder, key.public_key(), ca));
  }
  DURE_ASSIGN_OR_RETURN(std::string certificate, ReadCertificateFile(keys + "/coordinator.pem"));
  Digest digest = SpecDigest(spec);
  return FederationFolder{.folder = folder,
                          .spec = std::move(spec),
                          .spec_digest = digest,
                          .ca_key = std::move(ca_key),
                          .ca_certificate = std::move(ca),
                          .key = std::move(key),
                          .certificate = std::move(certificate)};
}

absl::StatusOr<std::map<Digest, OpenAttachment>> OpenFiles(const FederationFolder& federation) {
  std::map<Digest, OpenAttachment> files;
  for (const Attachment& attachment : AttachmentsOf(federation.spec)) {
    const std::string path = absl::StrCat(federation.folder, "/", attachment.file);
    DURE_ASSIGN_OR_RETURN(OpenAttachment opened, OpenForAttaching(path, attachment.max_bytes));
    if (ToHex(opened.sha256) != attachment.sha256) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " has changed since federation.toml was read: start again"));
    }
    files.emplace(opened.sha256, std::move(opened));
  }
  return files;
}

absl::StatusOr<ModelFile> ReadInitialModel(const std::string& folder, const FederationSpec& spec) {
  const std::string path = InitialModelPath(folder);
  const std::string remedy = absl::StrCat("make them with `dure model init --federation ",
                                          FederationFilePath(folder), " --out ", path, "`");
  if (!FileExists(path)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the initial weights ", path, " are missing: ", remedy));
  }
  DURE_ASSIGN_OR_RETURN(std::string bytes, ReadFile(path, kMaxInitialModelBytes));
  absl::StatusOr<ModelFile> model = DecodeSafetensors(bytes, path);
  if (!model.ok()) {
    return absl::DataLossError(
        absl::StrCat(model.status().message(), ": remove that file, then ", remedy));
  }
  DURE_ASSIGN_OR_RETURN(ParamManifest manifest, BuiltInManifest(spec.model()));
  if (!FitsManifest(model->manifest, manifest)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the initial weights ", path, " (", model->manifest.dim(),
                     " parameters) are not of the model in federation.toml (", manifest.dim(),
                     " parameters): remove that file, then ", remedy));
  }
  return model;
}

}  // namespace dure
