#include "privacy/secagg/dealing.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "crypto/shamir.h"
#include "privacy/secagg/limits.h"

namespace dure::secagg {
namespace {

SealedShares ViewOf(const Shares::Sealed& sealed) {
  return {.ciphertext = AsBytes(sealed.ciphertext()),
          .commit_mask = AsBytes(sealed.commit_mask()),
          .commit_self = AsBytes(sealed.commit_self())};
}

}  // namespace

Shares MakeShares(const DealerInput& input, std::span<OneMessageKey> sealing, Random& random) {
  const std::vector<ClientIndex> neighbours = input.graph.Neighbours(input.dealer);
  const ShamirSize size = {.threshold = static_cast<int>(input.threshold),
                           .shares = static_cast<int>(neighbours.size())};
  const std::vector<SecretBytes> of_key = ShamirSplit(input.mask_key.view(), size, random);
  const std::vector<SecretBytes> of_seed = ShamirSplit(input.self_seed.view(), size, random);
  Shares message;
  std::vector<Digest> leaves;
  SecretBytes both(2 * kShareBytes);
  for (size_t position = 0; position < neighbours.size(); ++position) {
    const Edge edge = {.dealer = input.dealer, .holder = neighbours[position]};
    const ByteView key_share = of_key[position].view();
    const ByteView seed_share = of_seed[position].view();
    std::copy(key_share.begin(), key_share.end(), both.mutable_view().begin());
    std::copy(seed_share.begin(), seed_share.end(), both.mutable_view().begin() + kShareBytes);
    Shares::Sealed& sealed = *message.add_sealed();
    sealed.set_ciphertext(sealing[position].Seal(ShareAad(input.t1, edge).bytes(), both.view()));
    sealed.set_commit_mask(ToString(ShareCommitment(input.t1, edge, Secret::kMaskKey, key_share)));
    sealed.set_commit_self(
        ToString(ShareCommitment(input.t1, edge, Secret::kSelfSeed, seed_share)));
    leaves.push_back(ShareLeaf(input.t1, edge, ViewOf(sealed)));
  }
  message.set_commit_seed(ToString(SeedCommitment(input.t1, input.dealer, input.self_seed.view())));
  const Transcript statement = SharesStatement(input.t1, input.dealer, MerkleTree(leaves).root(),
                                               AsBytes(message.commit_seed()));
  message.set_signature(ToString(input.signer.Sign(statement.bytes())));
  return message;
}

Transcript Dealing::Statement(const Digest& t1, ClientIndex dealer) const {
  return SharesStatement(t1, dealer, tree.root(), AsBytes(message.commit_seed()));
}

Dealt::FromDealer Dealing::For(ClientIndex dealer, uint32_t position) const {
  Dealt::FromDealer dealt;
  dealt.set_dealer(dealer.value());
  *dealt.mutable_sealed() = message.sealed(static_cast<int>(position));
  for (const Digest& node : tree.Path(position)) dealt.add_path(ToString(node));
  dealt.set_commit_seed(message.commit_seed());
  dealt.set_signature(message.signature());
  return dealt;
}

absl::StatusOr<Dealing> VerifyShares(Shares message, const Digest& t1, const Graph& graph,
                                     const DealerId& dealer) {
  const std::vector<ClientIndex> neighbours = graph.Neighbours(dealer.index);
  if (static_cast<size_t>(message.sealed_size()) != neighbours.size()) {
    return absl::InvalidArgumentError(absl::StrCat("shares for ", message.sealed_size(),
                                                   " neighbours instead of ", neighbours.size()));
  }
  std::vector<Digest> leaves;
  leaves.reserve(neighbours.size());
  for (size_t position = 0; position < neighbours.size(); ++position) {
    leaves.push_back(ShareLeaf(t1, {.dealer = dealer.index, .holder = neighbours[position]},
                               ViewOf(message.sealed(static_cast<int>(position)))));
  }
  Dealing dealing{.message = std::move(message), .tree = MerkleTree(leaves)};
  if (!VerifySignature(dealer.key, dealing.Statement(t1, dealer.index).bytes(),
                       AsBytes(dealing.message.signature()))) {
    return absl::UnauthenticatedError("the shares are not signed for this roster");
  }
  return dealing;
}

std::optional<HeldShare> OpenDealt(const Dealt::FromDealer& dealt, const Digest& t1,
                                   const Graph& graph, ClientIndex holder, const DealerId& dealer,
                                   OneMessageKey& opening) {
  const Edge edge = {.dealer = dealer.index, .holder = holder};
  std::vector<Digest> path;
  for (const std::string& node : dealt.path()) path.push_back(*DigestFromBytes(node));
  const std::optional<Digest> root = MerkleRootFromPath(
      ShareLeaf(t1, edge, ViewOf(dealt.sealed())),
      {.index = graph.PositionOfHolder(edge), .size = graph.degree(dealer.index)}, path);
  if (!root.has_value()) return std::nullopt;
  const Transcript statement =
      SharesStatement(t1, dealer.index, *root, AsBytes(dealt.commit_seed()));
  if (!VerifySignature(dealer.key, statement.bytes(), AsBytes(dealt.signature()))) {
    return std::nullopt;
  }
  const std::optional<SecretBytes> both =
      opening.Open(ShareAad(t1, edge).bytes(), AsBytes(dealt.sealed().ciphertext()));
  if (!both.has_value()) return std::nullopt;
  DURE_CHECK(both->size() == 2 * kShareBytes);  // CheckSizes fixed the ciphertext's length
  const ByteView key_share = both->view().first(kShareBytes);
  const ByteView seed_share = both->view().subspan(kShareBytes);
  if (ToString(ShareCommitment(t1, edge, Secret::kMaskKey, key_share)) !=
          dealt.sealed().commit_mask() ||
      ToString(ShareCommitment(t1, edge, Secret::kSelfSeed, seed_share)) !=
          dealt.sealed().commit_self()) {
    return std::nullopt;
  }
  return HeldShare{.mask_key = SecretBytes(key_share), .self_seed = SecretBytes(seed_share)};
}

}  // namespace dure::secagg
