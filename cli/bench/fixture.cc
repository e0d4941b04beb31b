#include "cli/bench/fixture.h"

#include <fstream>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "coordinator/service/store.h"
#include "crypto/x509.h"
#include "federation/manifest.h"
#include "federation/model_file.h"
#include "federation/spec.h"
#include "learner/initial_weights.h"
#include "privacy/secagg/identity.h"

namespace dure::bench {
namespace {

std::string NodeFolder(const std::string& folder, uint32_t member) {
  return absl::StrCat(folder, "/member-", member);
}
std::string MarkerPath(const std::string& folder) { return folder + "/noiseless"; }

std::string Toml(const FixtureOptions& options) {
  const uint32_t minimum =
      options.plain ? options.cohort : std::max(3u, (options.cohort * 4 + 4) / 5);
  return absl::StrCat(absl::StrFormat(R"([federation]
name = "bench"
purpose = "Measure rounds"
address = "127.0.0.1:0"
[model]
architecture = "logistic_regression"
[model.input]
shape = [%u]
classes = %u
[rounds]
count = %u
cohort = %u
minimum = %u
deadline = "%us"
)",
                                      options.features, options.classes, options.rounds,
                                      options.cohort, minimum, options.deadline_seconds),
                      options.plain ? R"([local]
mode = "epochs"
learning_rate = 0.1
[server]
optimizer = "fedavg"
[privacy]
unit = "none"
[secure_aggregation]
enabled = false
)"
                                    : R"([local]
sampling_rate = 0.01
[server]
optimizer = "fedadam"
[privacy]
noise_multiplier = 1.0
max_epsilon = 1000.0
total_records = 60000
max_records_per_member = 15000
)");
}

// The same federation without noise; epsilon is then infinite.
void TakeNoiseAway(FederationSpec* spec) {
  spec->mutable_privacy()->set_noise_multiplier(0);
  spec->mutable_privacy()->set_max_epsilon(std::numeric_limits<double>::infinity());
}

std::string IdentityPath(const std::string& folder, uint32_t member) {
  return absl::StrCat(folder, "/identity-", member, ".pem");
}

// Of thousands nobody minds if one is lost with the machine.
absl::Status WriteIdentity(const std::string& path, const Node& node) {
  std::ofstream file(path);
  file << ToString(node.key.ToPem().view()) << CertificateToPem(node.certificate);
  file.close();
  return file ? absl::OkStatus() : absl::UnknownError(absl::StrCat("cannot write ", path));
}

absl::Status EnrolMember(uint32_t member, const std::string& folder, bool nodes,
                         const FederationFolder& federation, const CertificateIssuer& issuer,
                         Store& store, Random& random) {
  const absl::Time now = absl::Now();
  Membership membership;
  membership.address = "127.0.0.1:0";
  membership.name = absl::StrCat("m", member);
  Node node{.folder = NodeFolder(folder, member),
            .membership = std::move(membership),
            .spec = federation.spec,
            .ca_certificate = federation.ca_certificate,
            .coordinator_certificate = federation.certificate,
            .key = SigningKey::Generate(random),
            .policy = PolicyOf(federation.spec)};
  DURE_ASSIGN_OR_RETURN(
      node.certificate,
      issuer.IssueMember({.role = CertificateRole::kMember, .name = node.membership.name},
                         node.key.public_key(), {now - kClockTolerance, now + kMemberValidity},
                         random));
  if (nodes) {
    DURE_RETURN_IF_ERROR(PrepareNode(node));
    DURE_RETURN_IF_ERROR(FinishNode(node));
    DURE_RETURN_IF_ERROR(WriteDataFolder(node.folder, node.folder));
  } else {
    DURE_RETURN_IF_ERROR(WriteIdentity(IdentityPath(folder, member), node));
  }
  Digest secret_hash;
  random.Fill(secret_hash);
  DURE_RETURN_IF_ERROR(store.AddInvitation(
      {.secret_hash = secret_hash, .name = node.membership.name, .expires = now + absl::Hours(1)},
      now));
  return store.Enrol(secret_hash,
                     {.client_id = secagg::MemberIdOf(node.key.public_key()),
                      .name = node.membership.name,
                      .role = MEMBER,
                      .certificate = node.certificate},
                     now);
}

}  // namespace

std::string FixtureFederationFolder(const std::string& folder) { return folder + "/federation"; }

absl::Status MakeFixture(const FixtureOptions& options) {
  SystemRandom random;
  DURE_ASSIGN_OR_RETURN(FederationSpec spec, ParseFederation(Toml(options), "bench.toml"));
  DURE_RETURN_IF_ERROR(MakeFolder(options.folder, 0700));
  DURE_RETURN_IF_ERROR(
      MakeFederationFolder(FixtureFederationFolder(options.folder), spec, absl::Now(), random)
          .status());
  if (options.noiseless) DURE_RETURN_IF_ERROR(WriteFileAtomic(MarkerPath(options.folder), ""));
  DURE_ASSIGN_OR_RETURN(FederationFolder federation, ReadFixtureFederation(options.folder));

  ModelFile model;
  DURE_ASSIGN_OR_RETURN(model.manifest, BuiltInManifest(spec.model()));
  model.params = InitialWeights(model.manifest, spec.model().seed());
  DURE_RETURN_IF_ERROR(
      WriteFileAtomic(InitialModelPath(federation.folder), EncodeSafetensors(model)));

  DURE_ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                        Store::Open(federation.folder + "/state", federation.spec_digest));
  DURE_ASSIGN_OR_RETURN(CertificateIssuer issuer,
                        CertificateIssuer::Create(federation.ca_certificate, &*federation.ca_key));
  if (options.paused) DURE_RETURN_IF_ERROR(store->SavePaused(true));
  federation.spec = spec;  // nodes are files, too
  for (uint32_t i = 0; i < options.members; ++i) {
    DURE_RETURN_IF_ERROR(
        EnrolMember(i, options.folder, options.nodes, federation, issuer, *store, random));
  }
  return absl::OkStatus();
}

absl::StatusOr<FederationFolder> ReadFixtureFederation(const std::string& folder) {
  DURE_ASSIGN_OR_RETURN(FederationFolder federation,
                        ReadFederationFolder(FixtureFederationFolder(folder)));
  if (FileExists(MarkerPath(folder))) {
    TakeNoiseAway(&federation.spec);
    federation.spec_digest = SpecDigest(federation.spec);
  }
  return federation;
}

absl::StatusOr<LoadIdentity> ReadLoadIdentity(const std::string& folder, uint32_t member) {
  DURE_ASSIGN_OR_RETURN(const std::string pem, ReadFile(IdentityPath(folder, member), 1 << 16));
  const size_t certificate = pem.find("-----BEGIN CERTIFICATE");
  if (certificate == std::string::npos)
    return absl::DataLossError("an identity without certificate");
  DURE_ASSIGN_OR_RETURN(SigningKey key, SigningKey::FromPem(pem.substr(0, certificate)));
  DURE_ASSIGN_OR_RETURN(std::string der, CertificateFromPem(pem.substr(certificate)));
  return LoadIdentity{.key = std::move(key), .certificate = std::move(der)};
}

absl::StatusOr<Node> ReadFixtureNode(const std::string& folder, uint32_t member) {
  DURE_ASSIGN_OR_RETURN(Node node, ReadNode(NodeFolder(folder, member)));
  if (FileExists(MarkerPath(folder))) {
    TakeNoiseAway(&node.spec);
    node.spec_digest = SpecDigest(node.spec);
    node.policy = PolicyOf(node.spec);
  }
  return node;
}

}  // namespace dure::bench
