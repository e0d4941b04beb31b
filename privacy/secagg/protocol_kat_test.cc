// A whole session with known answers (tests/golden/protocol_kat.csv), run through the real engines:
// everything that is hashed, signed, encrypted or masked must come out byte for byte. Sizes, U2 and
// U3 are read from the file; so is the folder (tests/support/golden.h).
#include <gtest/gtest.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "crypto/merkle.h"
#include "crypto/shamir.h"
#include "privacy/secagg/mask.h"
#include "privacy/secagg/session_for_test.h"
#include "privacy/secagg/session_keys.h"
#include "tests/support/golden.h"

namespace dure::secagg {
namespace {

using testing::FromHex;

// The file as a map; asking for a row that is not there fails the test.
class Answers {
 public:
  Answers() {
    for (const testing::Row& row : testing::ReadGolden("protocol_kat.csv")) {
      values_[row.at("name")] = row.at("value");
    }
  }
  bool Has(const std::string& name) const { return values_.contains(name); }
  const std::string& Text(const std::string& name) const {
    auto found = values_.find(name);
    if (found == values_.end()) {
      ADD_FAILURE() << "no row " << name;
      static const std::string* const nothing = new std::string;
      return *nothing;
    }
    return found->second;
  }
  uint32_t Number(const std::string& name) const {
    uint32_t number = 0;
    EXPECT_TRUE(absl::SimpleAtoi(Text(name), &number)) << name;
    return number;
  }
  std::vector<uint8_t> Bytes(const std::string& name) const { return FromHex(Text(name)); }
  Digest Hash(const std::string& name) const {
    return DigestFromBytes(ToString(Bytes(name))).value_or(Digest{});
  }
  std::vector<int64_t> Integers(const std::string& name) const {
    std::vector<int64_t> integers;
    for (absl::string_view part : absl::StrSplit(Text(name), ',')) {
      integers.emplace_back();
      if (absl::SimpleAtoi(part, &integers.back())) continue;
      uint64_t word = 0;  // a word of the ring, written without a sign
      EXPECT_TRUE(absl::SimpleAtoi(part, &word)) << name;
      integers.back() = static_cast<int64_t>(word);
    }
    return integers;
  }

 private:
  std::map<std::string, std::string> values_;
};

// The bytes that a client draws, in the order in which it draws them.
class ScriptedRandom final : public Random {
 public:
  void Add(const std::vector<uint8_t>& bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void Fill(std::span<uint8_t> out) override {
    DURE_CHECK(used_ + out.size() <= bytes_.size());
    std::copy_n(bytes_.begin() + static_cast<long>(used_), out.size(), out.begin());
    used_ += out.size();
  }
  bool empty() const { return used_ == bytes_.size(); }

 private:
  std::vector<uint8_t> bytes_;
  size_t used_ = 0;
};

std::string Of(const char* what, uint32_t i) { return absl::StrCat("client", i, ".", what); }
std::string Of(const char* what, uint32_t i, uint32_t j, const char* field) {
  return absl::StrCat(what, ".", i, ".", j, field);
}

class ProtocolKnownAnswers : public ::testing::Test {
 protected:
  ProtocolKnownAnswers()
      : members_(answers_.Number("n")),
        bits_(static_cast<int>(answers_.Number("b"))),
        config_(ConfigForTest(members_, answers_.Number("d"), answers_.Number("b"))),
        config_hash_(answers_.Hash("config_hash")),
        session_id_(answers_.Hash("session_id")),
        coordinator_(SigningKey::FromSeed(std::vector<uint8_t>(32, 1))),
        u2_(*MemberSet::Parse(ToString(answers_.Bytes("U2_bitmap")), members_)),
        u3_(*MemberSet::Parse(ToString(answers_.Bytes("U3_bitmap")), members_)) {
    // The file fixes t; what else the session needs is as low as the file's U2 and U3 allow.
    thresholds_ = {.neighbours = members_ - 1,
                   .threshold = answers_.Number("t"),
                   .quorum = u3_.count(),
                   .sum_minimum = u3_.count()};
  }

  void StartEverybody() {
    Server::Params params{
        .session_id = session_id_, .config = config_, .key = &coordinator_, .verifier = &verifier_};
    for (uint32_t i = 0; i < members_; ++i) {
      keys_.push_back(SigningKey::FromSeed(answers_.Bytes(Of("ed25519_seed", i))));
      EXPECT_EQ(ToHex(keys_[i].public_key()), answers_.Text(Of("ed25519_pk", i)));
      params.expected.push_back(MemberIdOf(keys_[i].public_key()));
      EXPECT_EQ(ToHex(params.expected[i]), answers_.Text(Of("client_id", i)));
      for (const char* drawn : {"enc_sk", "mask_sk", "nonce", "self_seed"}) {
        randoms_[i].Add(answers_.Bytes(Of(drawn, i)));
      }
      for (const char* polynomial : {"coef_s.", "coef_b."}) {
        for (uint32_t c = 1; c < thresholds_.threshold; ++c) {
          randoms_[i].Add(answers_.Bytes(absl::StrCat(Of(polynomial, i), c)));
        }
      }
    }
    ids_ = params.expected;
    server_.emplace(SessionForTest::MakeServer(std::move(params), config_hash_, thresholds_));
    for (uint32_t i = 0; i < members_; ++i) {
      clients_.push_back(SessionForTest::MakeClient({.key = &keys_[i],
                                                     .certificate = ToString(keys_[i].public_key()),
                                                     .coordinator = coordinator_.public_key(),
                                                     .verifier = &verifier_,
                                                     .random = &randoms_[i]},
                                                    thresholds_));
    }
  }

  // Closes the phase and hands every message to its member; the answers, by index.
  std::map<uint32_t, UpMessage> AdvanceAndAnswer() {
    Outbox outbox;
    EXPECT_TRUE(server_->CanAdvance());
    absl::Status advanced = server_->Advance(Into(&outbox));
    EXPECT_TRUE(advanced.ok()) << advanced;
    std::map<uint32_t, UpMessage> answers;
    for (const OutMessage& out : outbox) {
      auto index =
          static_cast<uint32_t>(std::find(ids_.begin(), ids_.end(), out.to) - ids_.begin());
      auto answer = clients_[index].Receive(*out.message);
      EXPECT_TRUE(answer.ok()) << index << ": " << answer.status();
      if (answer.ok() && answer->has_value()) answers[index] = **std::move(answer);
    }
    return answers;
  }

  std::optional<AcceptedInput> Deliver(uint32_t from, const UpMessage& message) {
    auto accepted = server_->Receive(ids_[from], message);
    EXPECT_TRUE(accepted.ok()) << from << ": " << accepted.status();
    return accepted.ok() ? *std::move(accepted) : std::nullopt;
  }

  // The row's words, which it writes without a sign, equal `vector` in the ring.
  void ExpectWords(const RingVector& vector, const std::string& name) {
    EXPECT_EQ(RingToSigned(vector, bits_),
              RingToSigned(RingFromSigned(answers_.Integers(name), bits_), bits_))
        << name;
  }

  void CheckShares(uint32_t i, const Shares& shares) {
    const Graph graph = Graph::Complete(members_);
    std::vector<Digest> leaves;
    for (const ClientIndex holder : graph.Neighbours(ClientIndex(i))) {
      const Edge edge = {.dealer = ClientIndex(i), .holder = holder};
      const uint32_t j = edge.holder.value();
      const Shares::Sealed& sealed =
          shares.sealed(static_cast<int>(graph.PositionOfHolder(edge)));
      EXPECT_EQ(ToHex(AsBytes(sealed.ciphertext())), answers_.Text(Of("share", i, j, ".ct_tag")));
      leaves.push_back(ShareLeaf(*clients_[i].t1(), edge,
                                 {.ciphertext = AsBytes(sealed.ciphertext()),
                                  .commit_mask = AsBytes(sealed.commit_mask()),
                                  .commit_self = AsBytes(sealed.commit_self())}));
      if (!answers_.Has(Of("share", i, j, ".commit_s"))) continue;
      EXPECT_EQ(ToHex(AsBytes(sealed.commit_mask())),
                answers_.Text(Of("share", i, j, ".commit_s")));
      EXPECT_EQ(ToHex(AsBytes(sealed.commit_self())),
                answers_.Text(Of("share", i, j, ".commit_b")));
      EXPECT_EQ(ToHex(leaves.back()), answers_.Text(Of("share", i, j, ".leaf")));
      EXPECT_EQ(graph.ShareX(edge), answers_.Number(Of("share", i, j, ".x")));
    }
    EXPECT_EQ(ToHex(AsBytes(shares.commit_seed())), answers_.Text(Of("commit_b", i)));
    EXPECT_EQ(ToHex(MerkleTree(leaves).root()), answers_.Text(Of("shares_root", i)));
    EXPECT_EQ(ToHex(AsBytes(shares.signature())), answers_.Text(Of("shares_sig", i)));
  }

  const Answers answers_;
  const uint32_t members_;
  const int bits_;
  const RoundConfig config_;
  const Digest config_hash_;
  const SessionId session_id_;
  const SigningKey coordinator_;
  const MemberSet u2_;
  const MemberSet u3_;
  Thresholds thresholds_;
  FakeVerifier verifier_;
  std::vector<SigningKey> keys_;
  std::map<uint32_t, ScriptedRandom> randoms_;
  std::vector<MemberId> ids_;
  std::optional<Server> server_;
  std::vector<Client> clients_;
};

TEST_F(ProtocolKnownAnswers, AWholeSessionComesOutByteForByte) {
  StartEverybody();
  for (uint32_t i = 0; i < members_; ++i) {
    UpMessage message = SessionForTest::Begin(clients_[i], session_id_, config_, config_hash_);
    EXPECT_EQ(ToHex(AsBytes(message.advertise().enc_key())), answers_.Text(Of("enc_pk", i)));
    EXPECT_EQ(ToHex(AsBytes(message.advertise().mask_key())), answers_.Text(Of("mask_pk", i)));
    EXPECT_EQ(ToHex(AsBytes(message.advertise().signature())),
              answers_.Text(Of("advertise_sig", i)));
    Deliver(i, message);
    auto early = clients_[i].SetInput(answers_.Integers(Of("input", i)));
    ASSERT_TRUE(early.ok()) << early.status();
    EXPECT_FALSE(early->has_value());
  }

  for (const auto& [i, message] : AdvanceAndAnswer()) {
    EXPECT_TRUE(randoms_[i].empty());
    CheckShares(i, message.shares());
    if (u2_.Contains(i)) Deliver(i, message);
  }
  EXPECT_EQ(ToHex(server_->t1()), answers_.Text("T1_roster_hash"));

  RingVector sum = RingZeros(config_.dim(), bits_);
  for (const auto& [i, message] : AdvanceAndAnswer()) {
    const MaskedInput& masked = message.masked_input();
    EXPECT_EQ(ToHex(AsBytes(masked.packed())), answers_.Text(Of("masked_packed", i)));
    EXPECT_EQ(ToHex(AsBytes(masked.void_bitmap())), answers_.Text(Of("void_bitmap", i)));
    EXPECT_EQ(ToHex(AsBytes(masked.signature())), answers_.Text(Of("masked_sig", i)));
    auto unpacked = Unpack(AsBytes(masked.packed()), config_.dim(), bits_);
    ASSERT_TRUE(unpacked.ok());
    ExpectWords(*unpacked, Of("masked", i));
    if (!u3_.Contains(i)) continue;
    std::optional<AcceptedInput> accepted = Deliver(i, message);
    ASSERT_TRUE(accepted.has_value());
    ASSERT_TRUE(UnpackAndAdd(AsBytes(accepted->packed), bits_, &sum).ok());
  }
  EXPECT_EQ(ToHex(server_->t2()), answers_.Text("T2"));
  EXPECT_EQ(ToHex(server_->dealers()->bytes()), answers_.Text("U2_bitmap"));

  for (const auto& [i, message] : AdvanceAndAnswer()) {
    EXPECT_EQ(ToHex(AsBytes(message.consent().signature())), answers_.Text(Of("u3_sig", i)));
    Deliver(i, message);
  }
  EXPECT_EQ(ToHex(server_->t3()), answers_.Text("T3"));
  EXPECT_EQ(ToHex(server_->survivors()->bytes()), answers_.Text("U3_bitmap"));

  for (const auto& [i, message] : AdvanceAndAnswer()) Deliver(i, message);
  AdvanceAndAnswer();
  ASSERT_EQ(server_->phase(), Phase::kFinished);
  absl::Status opened = server_->RemoveMasks(&sum);
  ASSERT_TRUE(opened.ok()) << opened;
  EXPECT_EQ(RingToSigned(sum, bits_), answers_.Integers("sum"));
}

// Keys, masks and shares by themselves, from the secrets in the file.
TEST_F(ProtocolKnownAnswers, KeysMasksAndSharesAreTheKnownOnes) {
  const Digest t1 = answers_.Hash("T1_roster_hash");
  const auto secret_key = [&](const char* which, uint32_t i) {
    return X25519PrivateKey::FromRaw(SecretBytes(answers_.Bytes(Of(which, i))));
  };
  const auto expect_mask = [&](ByteView key, const std::string& name) {
    if (!answers_.Has(name)) return;
    RingVector mask = RingZeros(config_.dim(), bits_);
    ApplyMask(key, MaskSign::kAdd, &mask);
    ExpectWords(mask, name);
  };
  for (uint32_t i = 0; i < members_; ++i) {
    const ClientIndex dealer(i);
    if (answers_.Has(absl::StrCat("K_self.", i))) {
      SecretBytes key = SelfMaskKey(answers_.Bytes(Of("self_seed", i)), t1, dealer);
      EXPECT_EQ(ToHex(key.view()), answers_.Text(absl::StrCat("K_self.", i)));
      expect_mask(key.view(), absl::StrCat("mask_self.", i));
    }
    for (uint32_t j = 0; j < members_; ++j) {
      if (i == j) continue;
      const Edge edge = {.dealer = dealer, .holder = ClientIndex(j)};
      const std::string k_enc = Of("K_enc", i, j, "");
      if (answers_.Has(k_enc)) {
        auto agreed = secret_key("enc_sk", i).Agree(secret_key("enc_sk", j).public_key());
        ASSERT_TRUE(agreed.ok());
        // The key shows itself only by what it encrypts: the same message under the known key.
        const std::string sealed = EncryptionKey(*agreed, t1, edge).Seal({}, AsBytes("x"));
        EXPECT_EQ(sealed, OneMessageKey(SecretBytes(answers_.Bytes(k_enc))).Seal({}, AsBytes("x")));
      }
      const std::string k_mask = Of("K_mask", i, j, "");
      if (answers_.Has(k_mask)) {
        auto agreed = secret_key("mask_sk", i).Agree(secret_key("mask_sk", j).public_key());
        ASSERT_TRUE(agreed.ok());
        const SecretBytes key = PairMaskKey(*agreed, t1, edge);
        EXPECT_EQ(ToHex(key.view()), answers_.Text(k_mask));
        expect_mask(key.view(), Of("mask_pair", i, j, ""));
      }
    }
  }
  for (const auto& [which, secret, coefficients] :
       {std::tuple{".s", "mask_sk", "coef_s."}, std::tuple{".b", "self_seed", "coef_b."}}) {
    for (uint32_t i = 0; i < members_; ++i) {
      ScriptedRandom random;
      for (uint32_t c = 1; c < thresholds_.threshold; ++c) {
        random.Add(answers_.Bytes(absl::StrCat(Of(coefficients, i), c)));
      }
      auto shares = ShamirSplit(answers_.Bytes(Of(secret, i)),
                                {.threshold = static_cast<int>(thresholds_.threshold),
                                 .shares = static_cast<int>(members_ - 1)},
                                random);
      for (uint32_t position = 0; position < shares.size(); ++position) {
        const std::string row = Of("share", i, position < i ? position : position + 1, which);
        if (answers_.Has(row)) {
          EXPECT_EQ(ToHex(shares[position].view()), answers_.Text(row));
        }
      }
    }
  }
}

TEST(MaskTest, WordsAreTheKnownOnes) {
  for (const testing::Row& row : testing::ReadGolden("mask_prg.csv")) {
    const int bits = std::stoi(row.at("bits"));
    std::vector<uint8_t> key = FromHex(row.at("aes256_key"));
    std::vector<uint8_t> iv = FromHex(row.at("iv"));
    key.insert(key.end(), iv.begin(), iv.end());
    std::vector<int64_t> words;
    for (absl::string_view part : absl::StrSplit(row.at("first_mask_words"), ' ')) {
      uint64_t word;
      ASSERT_TRUE(absl::SimpleAtoi(part, &word));
      words.push_back(static_cast<int64_t>(word));
    }
    RingVector expected = RingFromSigned(words, bits);
    RingVector mask = RingZeros(words.size(), bits);
    ApplyMask(key, MaskSign::kAdd, &mask);
    EXPECT_EQ(RingToSigned(mask, bits), RingToSigned(expected, bits)) << bits;
    ApplyMask(key, MaskSign::kSubtract, &mask);
    EXPECT_EQ(mask, RingZeros(words.size(), bits));
  }
}

}  // namespace
}  // namespace dure::secagg
