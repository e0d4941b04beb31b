// Files by digest, on loopback: who may fetch, and what comes of coordinators that lie.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "crypto/digest.h"
#include "gtest/gtest.h"
#include "tests/support/session_fixture.h"
#include "transport/client.h"
#include "transport/server.h"

namespace dure {
namespace {

constexpr uint64_t kMaxBytes = 4 << 20;

class FetchTest : public SessionTest {
 protected:
  // A coordinator that has `file_`.
  void Serve() {
    events_.fetch = [this](const FetchRequest& request) -> absl::StatusOr<FetchReply> {
      if (request.sha256() != Name()) return absl::NotFoundError("no such file");
      FetchReply reply;
      reply.set_size(file_.size());
      if (!request.size_only()) reply.set_data(file_.substr(request.offset(), kFetchPieceBytes));
      return reply;
    };
    StartServer();
  }
  // A coordinator that answers so, whatever it is asked.
  void Answer(uint64_t size, const std::string& data) {
    events_.fetch = [=](const FetchRequest&) -> absl::StatusOr<FetchReply> {
      FetchReply reply;
      reply.set_size(size);
      reply.set_data(data);
      return reply;
    };
    StartServer();
  }
  std::string Name() const { return ToString(Sha256(AsBytes(file_))); }
  FetchSource Invited() {
    return {.address = address(), .ca_certificate = ca_.der(), .secret = "right"};
  }
  absl::Status FetchAs(const FetchSource& source) {
    got_.clear();
    return Fetch(source, Name(), kMaxBytes, kPatience, [this](std::string_view piece) {
      got_ += piece;
      return absl::OkStatus();
    });
  }

  std::string file_ = "a module";
  std::string got_;
};

TEST_F(FetchTest, AFileComesInPieces) {
  file_.assign(2 * kFetchPieceBytes + 5, 'x');
  file_[kFetchPieceBytes] = 'y';
  Serve();
  ASSERT_TRUE(FetchAs(Invited()).ok());
  EXPECT_EQ(got_, file_);
  EXPECT_EQ(events_.fetched_by, std::vector<std::string>(3, "right"));
  EXPECT_EQ(FetchSize(Invited(), Name(), kPatience).value(), file_.size());
}

TEST_F(FetchTest, AnEmptyFileIsAFile) {
  file_.clear();
  Serve();
  EXPECT_TRUE(FetchAs(Invited()).ok());
}

TEST_F(FetchTest, AMemberIsKnownByItsCertificate) {
  Serve();
  const Identity member = ca_.Member("clinic-3");
  ASSERT_TRUE(FetchAs({.address = address(),
                       .ca_certificate = ca_.der(),
                       .certificate_pem = member.certificate_pem,
                       .key_pem = member.key_pem()})
                  .ok());
  EXPECT_EQ(got_, file_);
  EXPECT_EQ(events_.fetched_by, std::vector<std::string>{"clinic-3"});
}

TEST_F(FetchTest, WithoutEitherNothingIsGiven) {
  Serve();
  ExpectFault(FetchAs({.address = address(), .ca_certificate = ca_.der()}),
              absl::StatusCode::kUnauthenticated, "needs a certificate of this federation");
  Ca other("weather");
  const Identity stranger = other.Member("clinic-3");
  ExpectFault(FetchAs({.address = address(),
                       .ca_certificate = ca_.der(),
                       .certificate_pem = stranger.certificate_pem,
                       .key_pem = stranger.key_pem()}),
              absl::StatusCode::kUnauthenticated, "issued by another CA");
  EXPECT_TRUE(events_.fetched_by.empty());
}

TEST_F(FetchTest, AFileAboveTheLimitIsNotTaken) {
  Answer(kMaxBytes + 1, "begin");
  ExpectFault(FetchAs(Invited()), absl::StatusCode::kResourceExhausted, "limit 4194304");
  EXPECT_EQ(got_, "");
}

TEST_F(FetchTest, OtherBytesThanTheDigestsAreFoundOut) {
  Answer(5, "other");
  ExpectFault(FetchAs(Invited()), absl::StatusCode::kInternal, "its SHA-256 is another");
}

TEST_F(FetchTest, APieceThatOverflowsTheFileIsRefused) {
  Answer(3, "module");
  ExpectFault(FetchAs(Invited()), absl::StatusCode::kInternal, "a piece of 6 bytes at 0");
  EXPECT_EQ(got_, "");
}

TEST_F(FetchTest, AFileThatNeverEndsIsRefused) {
  Answer(8, "");
  ExpectFault(FetchAs(Invited()), absl::StatusCode::kInternal, "a piece of 0 bytes");
}

TEST_F(FetchTest, ASizeThatChangesIsRefused) {
  events_.fetch = [](const FetchRequest& request) -> absl::StatusOr<FetchReply> {
    FetchReply reply;
    reply.set_size(100 + request.offset());
    reply.set_data("0123456789");
    return reply;
  };
  StartServer();
  ExpectFault(FetchAs(Invited()), absl::StatusCode::kInternal, "changed under way");
}

TEST_F(FetchTest, ARefusalComesInTheCoordinatorsWords) {
  StartServer();
  ExpectFault(FetchAs(Invited()), absl::StatusCode::kNotFound, "no file has this digest");
}

TEST_F(FetchTest, WhatTakesThePiecesMayEndIt) {
  Serve();
  ExpectFault(Fetch(Invited(), Name(), kMaxBytes, kPatience,
                    [](std::string_view) { return absl::ResourceExhaustedError("disk full"); }),
              absl::StatusCode::kResourceExhausted, "disk full");
}

}  // namespace
}  // namespace dure
