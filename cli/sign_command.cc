// `dure sign`: the enrolment CA on a machine of its own. There: sign init makes it, sign signs what
// was asked for. On the coordinator's machine: sign import takes what came back.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "coordinator/service/federation_folder.h"
#include "coordinator/service/signing_folder.h"
#include "coordinator/service/signing_request.h"
#include "crypto/pem_files.h"
#include "crypto/random.h"
#include "crypto/x509.h"

namespace dure::cli {
namespace {

constexpr absl::Duration kShortestValidity = absl::Minutes(1);

std::string CaKeyPath(const std::string& folder) { return folder + "/ca.key"; }
std::string CaCertificatePath(const std::string& folder) { return folder + "/ca.pem"; }

std::string Day(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
}

absl::StatusOr<absl::Duration> ValidityFrom(const std::string& text, absl::Duration otherwise) {
  if (text.empty()) return otherwise;
  absl::Duration valid;
  if (absl::ParseDuration(text, &valid) && valid >= kShortestValidity && valid <= kCaValidity) {
    return valid;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--valid ", text, " is no duration from ", absl::FormatDuration(kShortestValidity), " to ",
      absl::FormatDuration(kCaValidity), ": write for example 8760h"));
}

// ---- dure sign init ----

struct InitFlags {
  std::string folder, name, valid;
};

absl::Status MakeCa(const InitFlags& flags) {
  DURE_ASSIGN_OR_RETURN(const absl::Duration valid, ValidityFrom(flags.valid, kCaValidity));
  if (FileExists(CaKeyPath(flags.folder)) || FileExists(CaCertificatePath(flags.folder))) {
    return absl::AlreadyExistsError(
        absl::StrCat(flags.folder, " has a CA already: choose another folder"));
  }
  SystemRandom random;
  const SigningKey key = SigningKey::Generate(random);
  const absl::Time now = absl::Now();
  DURE_ASSIGN_OR_RETURN(
      const std::string certificate,
      MakeEnrolmentCa(key, flags.name, {now - kClockTolerance, now + valid}, random));
  DURE_RETURN_IF_ERROR(MakeFolder(flags.folder, 0700));
  DURE_RETURN_IF_ERROR(WriteKeyFile(CaKeyPath(flags.folder), key));
  DURE_RETURN_IF_ERROR(WriteCertificateFile(CaCertificatePath(flags.folder), certificate));
  std::printf(
      "The enrolment CA of \"%s\" is in %s, until %s.\n"
      "  ca.key  signs memberships: keep it here, and a copy elsewhere\n"
      "  ca.pem  take it to the coordinator's machine: dure init DIR --ca ca.pem\n"
      "Its fingerprint, for members to compare:\n  %s\n",
      flags.name.c_str(), flags.folder.c_str(), Day(now + valid).c_str(),
      CertificateFingerprint(certificate).c_str());
  return absl::OkStatus();
}

// ---- dure sign ----

struct SignFlags {
  std::string folder, out, valid;
  std::vector<std::string> requests;
  bool yes = false;
};

struct Signing {
  SigningRequest request;
  Validity validity;
};

absl::StatusOr<std::vector<Signing>> ReadRequests(const SignFlags& flags,
                                                  const std::string& ca_fingerprint,
                                                  absl::Time ca_ends) {
  std::vector<Signing> all;
  const absl::Time now = absl::Now();
  for (const std::string& path : flags.requests) {
    DURE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxSigningRequestBytes));
    absl::StatusOr<SigningRequest> request = DecodeSigningRequest(text);
    if (!request.ok()) {
      return absl::DataLossError(absl::StrCat(path, ": ", request.status().message()));
    }
    if (request->ca_fingerprint != ca_fingerprint) {
      return absl::PermissionDeniedError(absl::StrCat(
          path, " asks another CA, ", request->ca_fingerprint, ": this one is ", ca_fingerprint));
    }
    const bool coordinator = request->role == CertificateRole::kCoordinator;
    DURE_ASSIGN_OR_RETURN(
        const absl::Duration valid,
        ValidityFrom(flags.valid, coordinator ? kCoordinatorValidity : kMemberValidity));
    all.push_back({*std::move(request), {now - kClockTolerance, std::min(now + valid, ca_ends)}});
  }
  return all;
}

void Show(const Signing& signing) {
  const SigningRequest& request = signing.request;
  const std::string_view role = RoleName(request.role);
  std::string who(role);
  if (request.role != CertificateRole::kCoordinator) {
    absl::StrAppend(&who, " \"", Printable(request.name), "\"");
    if (!request.organisation.empty()) {
      absl::StrAppend(&who, " of ", Printable(request.organisation));
    }
  }
  absl::PrintF("%s\n  key    %s\n  asked  %s\n  holds  until %s\n", who,
               KeyFingerprint(request.key), Day(request.asked), Day(signing.validity.not_after));
}

absl::Status SignAll(const SignFlags& flags) {
  DURE_ASSIGN_OR_RETURN(const SigningKey key, ReadKeyFile(CaKeyPath(flags.folder)));
  DURE_ASSIGN_OR_RETURN(const std::string certificate,
                        ReadCertificateFile(CaCertificatePath(flags.folder)));
  DURE_ASSIGN_OR_RETURN(const CaCertificate ca, ParseCaCertificate(certificate));
  DURE_ASSIGN_OR_RETURN(const CertificateIssuer issuer,
                        CertificateIssuer::Create(certificate, &key));
  const std::string fingerprint = CertificateFingerprint(certificate);
  DURE_ASSIGN_OR_RETURN(const std::vector<Signing> all,
                        ReadRequests(flags, fingerprint, ca.validity.not_after));
  absl::PrintF("Enrolment CA of \"%s\"\n  %s\n\n", Printable(ca.federation), fingerprint);
  for (const Signing& signing : all) Show(signing);
  if (!flags.yes &&
      !AskForYes(all.size() == 1 ? "Sign this certificate?"
                                 : absl::StrCat("Sign these ", all.size(), " certificates?"))) {
    return absl::PermissionDeniedError("nothing was signed");
  }
  DURE_RETURN_IF_ERROR(MakeFolder(flags.out));
  SystemRandom random;
  for (const Signing& signing : all) {
    const SigningRequest& request = signing.request;
    DURE_ASSIGN_OR_RETURN(const std::string der,
                          SignRequest(issuer, request, signing.validity, random));
    const std::string path = absl::StrCat(
        flags.out, "/", SigningFileName(request.role, request.name, request.key), ".pem");
    DURE_RETURN_IF_ERROR(WriteCertificateFile(path, der));
    std::printf("%s\n", path.c_str());
  }
  std::fprintf(stderr, "Take %s to the coordinator's machine: dure sign import DIR FILE...\n",
               all.size() == 1 ? "it" : "them");
  return absl::OkStatus();
}

// ---- dure sign import ----

struct ImportFlags {
  std::string folder;
  std::vector<std::string> files;
};

absl::Status Import(const ImportFlags& flags) {
  DURE_RETURN_IF_ERROR(ExpectFederation(flags.folder));
  const std::string keys = FederationPrivateFolder(flags.folder);
  DURE_ASSIGN_OR_RETURN(const std::string ca, ReadCertificateFile(CaCertificatePath(keys)));
  struct Taken {
    std::string der;
    Certificate certificate;
  };
  std::vector<Taken> all;  // nothing is taken unless everything is good
  for (const std::string& path : flags.files) {
    DURE_ASSIGN_OR_RETURN(std::string der, ReadCertificateFile(path));
    absl::StatusOr<Certificate> certificate = VerifyCertificateAtAnyTime(der, ca);
    if (!certificate.ok()) {
      return absl::Status(certificate.status().code(),
                          absl::StrCat(path, ": ", certificate.status().message()));
    }
    if (certificate->validity.not_after < absl::Now()) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": the certificate ended on ", Day(certificate->validity.not_after)));
    }
    all.push_back({std::move(der), *std::move(certificate)});
  }
  DURE_RETURN_IF_ERROR(MakeFolder(SignedFolder(keys), 0700));
  for (const Taken& taken : all) {
    const Certificate& certificate = taken.certificate;
    DURE_RETURN_IF_ERROR(WriteCertificateFile(
        absl::StrCat(SignedFolder(keys), "/",
                     SigningFileName(certificate.role, certificate.name, certificate.key), ".pem"),
        taken.der));
    const std::string_view role = RoleName(certificate.role);
    if (certificate.role == CertificateRole::kCoordinator) {
      std::printf("the coordinator's certificate, until %s\n",
                  Day(certificate.validity.not_after).c_str());
    } else {
      std::printf("%s %s, until %s\n", std::string(role).c_str(), certificate.name.c_str(),
                  Day(certificate.validity.not_after).c_str());
    }
  }
  std::fprintf(stderr,
               "A coordinator takes its own within a minute, or when it starts; members get theirs "
               "when they ask again\n");
  return absl::OkStatus();
}

int CodeOf(const absl::Status& status) {
  if (status.ok()) return kSuccess;
  return absl::IsPermissionDenied(status) ? Fail(status, kRefused) : Fail(status);
}

void AddInit(CLI::App* sign, int* exit_code) {
  auto flags = std::make_shared<InitFlags>();
  CLI::App* command = AddCommand(*sign, "init", "Makes the enrolment CA of a federation to be",
                                 "dure sign init ca --name \"Clinics of the north\"");
  command->add_option("CA_DIR", flags->folder, "the folder to make")->required();
  command->add_option("--name", flags->name, "of the federation, as in federation.toml")
      ->required();
  command->add_option("--valid", flags->valid, "how long; default 87600h, ten years");
  command->callback([flags, exit_code] { *exit_code = CodeOf(MakeCa(*flags)); });
}

void AddImport(CLI::App* sign, int* exit_code) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* command =
      AddCommand(*sign, "import", "Takes signed certificates into a federation's folder",
                 "dure sign import clinics member-clinic-1-0123456789abcdef.pem");
  AddFolder(command, flags->folder);
  command->add_option("FILE", flags->files, "certificates that dure sign wrote")->required();
  command->callback([flags, exit_code] { *exit_code = CodeOf(Import(*flags)); });
}

}  // namespace

void AddSignCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<SignFlags>();
  CLI::App* command =
      AddCommand(app, "sign", "Signs certificates, on a machine that has the enrolment CA's key",
                 "dure sign ca clinics/private/requests/*.request --out signed");
  command->add_option("CA_DIR", flags->folder, "the folder that dure sign init made");
  command->add_option("REQUEST", flags->requests, "from private/requests of a federation's folder");
  command->add_option("--out", flags->out, "the folder to write the certificates to");
  command->add_option("--valid", flags->valid,
                      "how long they hold; default 8760h, of a coordinator 17520h");
  command->add_flag("--yes", flags->yes, "sign without being asked");
  AddInit(command, exit_code);
  AddImport(command, exit_code);
  command->callback([flags, command, exit_code] {
    if (!command->get_subcommands().empty()) return;
    if (flags->folder.empty() || flags->requests.empty() || flags->out.empty()) {
      *exit_code = Fail(absl::InvalidArgumentError(
          "CA_DIR, REQUEST and --out are required; see dure sign --help"));
      return;
    }
    *exit_code = CodeOf(SignAll(*flags));
  });
}

}  // namespace dure::cli
