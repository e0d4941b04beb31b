#include "privacy/secagg/plain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "privacy/secagg/session_for_test.h"

namespace dure::secagg {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint32_t kMembers = 4;
constexpr uint64_t kDim = 5;
constexpr int kBits = 20;

class PlainTest : public ::testing::Test {
 protected:
  PlainTest() : random_(SeededRandom(1)), key_(SigningKey::Generate(random_)) {
    params_.session_id.fill(7);
    params_.config = ConfigForTest(kMembers, kDim, kBits);
    params_.config.set_graph_rule(kGraphRuleNone);
    params_.config.set_minimum_sum(3);
    params_.config.set_minimum_roster(3);
    params_.config.set_max_corrupt(0);
    params_.key = &key_;
    for (uint8_t i = 0; i < kMembers; ++i) {
      MemberId id{};
      id[0] = i;
      params_.expected.push_back(id);
    }
  }

  PlainServer Server() {
    absl::StatusOr<PlainServer> server = PlainServer::Create(params_);
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }
  PlainClient Started(const PlainServer& server) {
    PlainClient client(key_.public_key());
    const absl::Status status = client.StartFromOffer(server.offer());
    EXPECT_TRUE(status.ok()) << status;
    return client;
  }
  static RingVector Input(int64_t first) {
    return RingFromSigned(std::vector<int64_t>{first, -1, 0, 2, 3}, kBits);
  }

  AesCtrRandom random_;
  SigningKey key_;
  Server::Params params_;
};

TEST_F(PlainTest, InputsArriveAsTheyAre) {
  PlainServer server = Server();
  EXPECT_THAT(server.Awaited(), SizeIs(kMembers));
  for (uint32_t i = 0; i < 3; ++i) {
    PlainClient client = Started(server);
    absl::StatusOr<UpMessage> message = client.SetInput(Input(i));
    ASSERT_TRUE(message.ok()) << message.status();
    auto accepted = server.Receive(params_.expected[i], *message);
    ASSERT_TRUE(accepted.ok() && accepted->has_value()) << accepted.status();
    EXPECT_EQ((*accepted)->packed, Pack(Input(i), kBits));
    EXPECT_EQ(client.SetInput(Input(i)).status().code(), absl::StatusCode::kFailedPrecondition);
    // Said again, it counts once.
    accepted = server.Receive(params_.expected[i], *message);
    ASSERT_TRUE(accepted.ok());
    EXPECT_FALSE(accepted->has_value());
  }
  EXPECT_THAT(server.Awaited(), SizeIs(1));
  server.Drop(params_.expected[3]);
  EXPECT_THAT(server.Awaited(), IsEmpty());
  Outbox outbox;
  EXPECT_TRUE(server.Advance(Into(&outbox)).ok());
  EXPECT_TRUE(server.finished());
  EXPECT_EQ(server.summed(), 3u);
  EXPECT_THAT(server.dealt(), SizeIs(3));
  EXPECT_THAT(outbox, IsEmpty());
}

TEST_F(PlainTest, TooFewInputsEndTheSession) {
  PlainServer server = Server();
  Outbox outbox;
  const absl::Status status = server.Advance(Into(&outbox));
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("0 of 4 members sent inputs; at least 3 are needed"));
}

TEST_F(PlainTest, WhatIsNoInputIsRefusedAndChangesNothing) {
  PlainServer server = Server();
  const UpMessage good = *Started(server).SetInput(Input(1));
  auto refused = [&](const std::function<void(UpMessage*)>& change, absl::StatusCode code,
                     size_t member = 0) {
    UpMessage message = good;
    change(&message);
    MemberId sender = member < kMembers ? params_.expected[member] : MemberId{};
    if (member >= kMembers) sender.fill(9);
    EXPECT_EQ(server.Receive(sender, message).status().code(), code);
    EXPECT_EQ(server.summed(), 0u);
  };
  constexpr auto kBad = absl::StatusCode::kInvalidArgument;
  refused([](UpMessage* m) { m->set_session_id("another"); }, kBad);
  refused([](UpMessage* m) { m->clear_plain_input(); }, kBad);
  refused([](UpMessage* m) { m->mutable_masked_input(); }, kBad);
  refused([](UpMessage* m) { m->mutable_plain_input()->mutable_packed()->pop_back(); }, kBad);
  refused([](UpMessage* m) { m->mutable_plain_input()->mutable_packed()->push_back('x'); }, kBad);
  // 100 bits are 12 bytes and a half: the padding must be zero.
  refused([](UpMessage* m) { m->mutable_plain_input()->mutable_packed()->back() = '\xff'; }, kBad);
  refused([](UpMessage*) {}, absl::StatusCode::kNotFound, kMembers);
}

TEST_F(PlainTest, ASecondDifferentInputIsAFault) {
  PlainServer server = Server();
  ASSERT_TRUE(server.Receive(params_.expected[0], *Started(server).SetInput(Input(1))).ok());
  const auto second = server.Receive(params_.expected[0], *Started(server).SetInput(Input(2)));
  EXPECT_EQ(second.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(server.summed(), 1u);
  EXPECT_EQ(server.faults().at(params_.expected[0]), "sent two different inputs");
}

TEST_F(PlainTest, TheOfferMustBeTheCoordinators) {
  const PlainServer server = Server();
  Offer offer = server.offer();
  offer.mutable_config()->set_clip_norm(2);
  PlainClient client(key_.public_key());
  EXPECT_EQ(client.StartFromOffer(offer).code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(client.SetInput(Input(1)).status().code(), absl::StatusCode::kFailedPrecondition);
  PlainClient other(SigningKey::Generate(random_).public_key());
  EXPECT_EQ(other.StartFromOffer(server.offer()).code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(PlainTest, ConfigsOfSecureAggregationAreRefused) {
  params_.config.set_graph_rule(kGraphRuleComplete);
  EXPECT_EQ(PlainServer::Create(params_).status().code(), absl::StatusCode::kInvalidArgument);
  params_.config.set_graph_rule(kGraphRuleNone);
  params_.config.set_minimum_sum(0);
  EXPECT_THAT(std::string(PlainServer::Create(params_).status().message()),
              HasSubstr("minimum_sum 0"));
  params_.config.set_minimum_sum(3);
  params_.expected.pop_back();
  EXPECT_EQ(PlainServer::Create(params_).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(PlainTest, AnInputOfAnotherSizeIsRefused) {
  const PlainServer server = Server();
  PlainClient client = Started(server);
  EXPECT_EQ(client.SetInput(RingZeros(kDim + 1, kBits)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client.SetInput(RingZeros(kDim, 40)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(client.SetInput(Input(1)).ok());
}

}  // namespace
}  // namespace dure::secagg
