// `dure join`: shows what a federation asks, makes the key and asks for the certificate. Where the
// organiser signs on another machine that takes as long as a person does: what is needed to ask
// again is in the folder, and the same command, or `dure client`, goes on.
#include "cli/join_command.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/paragraph.h"
#include "base/printable.h"
#include "base/status_macros.h"
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/node_folder.h"
#include "cli/stop_signal.h"
#include "client/service/joining.h"
#include "client/service/node.h"
#include "client/service/node_files.h"
#include "crypto/x509.h"
#include "federation/spec.h"
#include "federation/terms/check.h"
#include "transport/client.h"
#include "transport/token.h"

namespace dure::cli {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(20);
// Between two questions whether it is signed.
constexpr absl::Duration kFirstPause = absl::Seconds(2);
constexpr absl::Duration kLongestPause = absl::Minutes(5);

struct JoinFlags {
  std::string token;
  std::string node = DefaultNodeFolder();
  bool yes = false;
  bool no_wait = false;
};

absl::StatusOr<std::string> ReadToken(const std::string& argument) {
  if (argument != "-") return argument;
  std::string text;
  char buffer[4096];
  while (std::cin.read(buffer, sizeof(buffer)) || std::cin.gcount() > 0) {
    text.append(buffer, static_cast<size_t>(std::cin.gcount()));
    if (text.size() > kMaxTokenBytes) break;  // DecodeToken says so
  }
  return text;
}

// What the coordinator says, checked: nothing below trusts it.
struct Offered {
  DescribeReply reply;
  FederationSpec spec;
  CheckReport report;
  std::string files;  // that come with the terms, in words
};

absl::StatusOr<Offered> AskForTerms(const Invitation& invitation) {
  Offered offered;
  DURE_ASSIGN_OR_RETURN(offered.reply, Describe(invitation, kCallTimeout));
  offered.spec = offered.reply.spec();
  DURE_RETURN_IF_ERROR(ValidateFederation(offered.spec));
  DURE_ASSIGN_OR_RETURN(offered.report, CheckFederation(offered.spec));
  DURE_RETURN_IF_ERROR(VerifyCoordinatorCertificate(offered.reply.coordinator_certificate(),
                                                    invitation.ca_certificate(), absl::Now())
                           .status());
  DURE_ASSIGN_OR_RETURN(offered.files, FilesInWords(offered.spec, SourceOf(invitation)));
  return offered;
}

void PrintTerms(const Invitation& invitation, const Offered& offered) {
  const FederationSection& federation = offered.spec.federation();
  absl::PrintF("You are invited to \"%s\" as %s \"%s\"%s.\n", federation.name(),
               offered.reply.role() == EVALUATOR ? "evaluator" : "member",
               Printable(offered.reply.name()),
               offered.reply.organisation().empty()
                   ? ""
                   : absl::StrCat(" of ", Printable(offered.reply.organisation())));
  absl::PrintF("  purpose      %s\n  licence      %s, of the resulting model\n",
               federation.purpose(), federation.license());
  absl::PrintF("  coordinator  %s\n  CA           %s\n", invitation.address(),
               CertificateFingerprint(invitation.ca_certificate()));
  std::printf(
      "               compare it with what the organiser tells you by another way,\n               "
      "such as the telephone\n\n");
  std::fputs(CheckToText(offered.report).c_str(), stdout);
  std::printf("%s\n", offered.files.c_str());
}

// Makes the key and all that is known before the certificate. A folder that cannot be written must
// not cost the token.
absl::Status Prepare(const JoinFlags& flags, const std::string& token, const Invitation& invitation,
                     const Offered& offered) {
  SystemRandom random;
  Node node{.folder = flags.node,
            .membership = {.address = invitation.address(),
                           .name = offered.reply.name(),
                           .organisation = offered.reply.organisation(),
                           .role = offered.reply.role()},
            .spec = offered.spec,
            .spec_digest = SpecDigest(offered.spec),
            .ca_certificate = invitation.ca_certificate(),
            .coordinator_certificate = offered.reply.coordinator_certificate(),
            .key = SigningKey::Generate(random)};
  node.origins.approved = DayOf(absl::Now());
  DURE_RETURN_IF_ERROR(PrepareNode(node));
  DURE_RETURN_IF_ERROR(FetchFiles(node.spec, node.folder, SourceOf(invitation)));
  return WriteJoining(node.folder, {.token = token, .membership = node.membership});
}

// Asks once. True: the folder is a member's now; false: it waits for the organiser's signature.
absl::StatusOr<bool> AskForCertificate(const std::string& folder, const Joining& joining) {
  DURE_ASSIGN_OR_RETURN(const Invitation invitation, DecodeToken(joining.token));
  DURE_ASSIGN_OR_RETURN(Node node, ReadPreparedNode(folder, joining));
  EnrolRequest request;
  request.set_certificate_request(MakeCertificateRequest(node.key));
  request.set_spec_digest(ToString(node.spec_digest));
  DURE_ASSIGN_OR_RETURN(const EnrolReply reply,
                        Enrol(invitation, std::move(request), kCallTimeout));
  if (reply.awaits_signature()) return false;
  const absl::Status certified =
      VerifyMemberCertificate(reply.certificate(), invitation.ca_certificate(), absl::Now())
          .status();
  // A clock that is wrong can be put right later; the token cannot be used again.
  const bool wrong_time = absl::IsFailedPrecondition(certified);
  if (!certified.ok() && !wrong_time) return certified;
  node.certificate = reply.certificate();
  const absl::Status finished = FinishNode(node);
  if (!finished.ok()) {
    return absl::Status(finished.code(),
                        absl::StrCat(finished.message(), "; the same command tries again"));
  }
  ForgetJoining(folder);
  if (wrong_time) {
    std::fprintf(stderr, "dure: joined, but %s\n", std::string(certified.message()).c_str());
  }
  return true;
}

// Until it is signed; a coordinator that is away for a while comes back.
absl::Status AskUntilSigned(const std::string& folder, const Joining& joining) {
  absl::Duration pause = kFirstPause;
  for (;;) {
    absl::SleepFor(pause);
    pause = std::min(2 * pause, kLongestPause);
    const absl::StatusOr<bool> signed_now = AskForCertificate(folder, joining);
    if (signed_now.ok() && *signed_now) return absl::OkStatus();
    if (!signed_now.ok() && !absl::IsUnavailable(signed_now.status()) &&
        !absl::IsDeadlineExceeded(signed_now.status())) {
      return signed_now.status();
    }
  }
}

std::string WithNode(const std::string& folder) {
  return folder == DefaultNodeFolder() ? "" : " --node " + folder;
}

int Joined(const std::string& folder) {
  const std::string node = WithNode(folder);
  std::printf(
      "Joined. The key stays in %s/private.\nNext: dure data add PATH%s, then dure client%s\n",
      folder.c_str(), node.c_str(), node.c_str());
  return kSuccess;
}

void SayThatItWaits(const std::string& folder) {
  std::printf(
      "The organiser signs memberships on another machine, and has been asked for yours.\n"
      "This waits for it; Ctrl-C ends it, and dure join%s asks again\n",
      WithNode(folder).c_str());
  std::fflush(stdout);
}

// From the moment on at which the folder has all that is needed to ask. `keep` is set when what is
// in the folder must stay, whatever happens.
int GoOn(const JoinFlags& flags, const Joining& joining, std::atomic<bool>* keep) {
  const absl::StatusOr<bool> member = AskForCertificate(flags.node, joining);
  absl::Status status = member.status();
  if (member.ok() && *member) return Joined(flags.node);
  if (member.ok()) {
    *keep = true;
    if (flags.no_wait) {
      std::printf(
          "The organiser has to sign this membership on another machine. Ask again with "
          "dure join%s\n",
          WithNode(flags.node).c_str());
      return kSuccess;
    }
    SayThatItWaits(flags.node);
    status = AskUntilSigned(flags.node, joining);
    if (status.ok()) return Joined(flags.node);
  }
  return absl::IsUnavailable(status) ? Fail(status, kUnreachable) : Fail(status, kFailure);
}

// With what an earlier `dure join` left in the folder.
int GoOnWith(const JoinFlags& flags, const std::string& token, const Joining& joining) {
  if (!token.empty() && token != joining.token) {
    return Fail(absl::FailedPreconditionError(absl::StrCat(
        flags.node, " waits for a membership with another token: `dure join", WithNode(flags.node),
        "` goes on with that one; remove the folder, or choose another with --node")));
  }
  std::atomic<bool> keep = true;
  return GoOn(flags, joining, &keep);
}

int RunJoin(const JoinFlags& flags) {
  std::atomic<bool> begun = false;
  const auto forget = [&] {
    ForgetJoining(flags.node);
    ForgetPreparedNode(flags.node);
  };
  std::atomic<bool> keep = false;
  UndoOnSignal undo([&] {
    if (begun && !keep) forget();
  });
  absl::StatusOr<std::string> text = ReadToken(flags.token);
  if (!text.ok()) return Fail(text.status());
  if (IsNode(flags.node)) {
    return Fail(absl::FailedPreconditionError(
        absl::StrCat(flags.node, " is a member's folder already: choose another with --node")));
  }
  const absl::StatusOr<std::optional<Joining>> joining = ReadJoining(flags.node);
  if (!joining.ok()) return Fail(joining.status());
  if (*joining) return GoOnWith(flags, *text, **joining);
  if (text->empty()) {
    return Fail(absl::InvalidArgumentError("TOKEN is required; see dure join --help"));
  }
  absl::StatusOr<Invitation> invitation = DecodeToken(*text);
  if (!invitation.ok()) return Fail(invitation.status());
  absl::StatusOr<Offered> offered = AskForTerms(*invitation);
  if (!offered.ok()) {
    return absl::IsInvalidArgument(offered.status()) ? Fail(offered.status(), kFailure)
                                                     : Fail(offered.status());
  }
  PrintTerms(*invitation, *offered);
  if (!flags.yes) {
    if (flags.token == "-") {
      return Fail(absl::InvalidArgumentError(
          "the token came on standard input, so nobody can be asked: add --yes to agree"));
    }
    if (!AskForYes("Join on these terms?")) {
      return Fail(absl::PermissionDeniedError("not joined; the token still works"), kRefused);
    }
  }
  begun = true;
  absl::Status prepared = Prepare(flags, *text, *invitation, *offered);
  absl::StatusOr<std::optional<Joining>> begun_now = ReadJoining(flags.node);
  if (prepared.ok()) prepared = begun_now.status();
  int code = kFailure;
  if (!prepared.ok()) {
    code = absl::IsUnavailable(prepared) ? Fail(prepared, kUnreachable) : Fail(prepared, kFailure);
  } else {
    code = GoOn(flags, **begun_now, &keep);
  }
  if (code != kSuccess && !keep) forget();
  return code;
}

}  // namespace

absl::Status AwaitMembership(const std::string& node_folder) {
  if (IsNode(node_folder)) return absl::OkStatus();
  DURE_ASSIGN_OR_RETURN(const std::optional<Joining> joining, ReadJoining(node_folder));
  if (!joining) return absl::OkStatus();
  const absl::StatusOr<bool> member = AskForCertificate(node_folder, *joining);
  if (member.ok() && *member) return absl::OkStatus();
  if (!member.ok() && !absl::IsUnavailable(member.status())) return member.status();
  SayThatItWaits(node_folder);
  return AskUntilSigned(node_folder, *joining);
}

void AddJoinCommand(CLI::App& app, int* exit_code) {
  auto join = std::make_shared<JoinFlags>();
  CLI::App* command =
      AddCommand(app, "join", "Shows what a federation asks, and joins it if you say yes",
                 "dure join dure1:...");
  command->add_option(
      "TOKEN", join->token,
      "from the organiser; - reads it from standard input; not needed to go on with "
      "what waits for the organiser's signature");
  AddNodeOption(command, &join->node);
  command->add_flag("--yes", join->yes, "agree without being asked");
  command->add_flag("--no-wait", join->no_wait,
                    "where the organiser signs on another machine, do not wait for it");
  command->callback([join, exit_code] { *exit_code = RunJoin(*join); });
}

}  // namespace dure::cli
