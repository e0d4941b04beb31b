#include "privacy/secagg/unmasking.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "crypto/shamir.h"
#include "crypto/x25519.h"
#include "privacy/secagg/mask.h"
#include "privacy/secagg/session_keys.h"

namespace dure::secagg {
namespace {

// The pairwise masks of a dropped member that its neighbours among the survivors put in.
std::optional<std::vector<KeyedMask>> MasksOfDropped(const MaskedSum& what, ClientIndex dropped,
                                                     const X25519PrivateKey& key) {
  std::vector<KeyedMask> masks;
  for (const ClientIndex v : what.graph.Neighbours(dropped)) {
    if (!what.survivors.Contains(v.value())) continue;
    auto agreed = key.Agree(what.roster[v.value()].mask_key);
    if (!agreed.ok()) return std::nullopt;
    // v added the mask if its index is the lower one.
    masks.push_back({PairMaskKey(*agreed, what.t1, {.dealer = v, .holder = dropped}),
                     v < dropped ? MaskSign::kSubtract : MaskSign::kAdd});
  }
  return masks;
}

// Every mask that member `index` of U2 leaves in the sum; nullopt if its secret cannot be rebuilt.
std::optional<std::vector<KeyedMask>> MasksOf(const MaskedSum& what, ClientIndex index,
                                              const UnmaskingShares& shares) {
  if (what.survivors.Contains(index.value())) {
    const std::optional<SecretBytes> seed =
        shares.Rebuild(index, what.threshold, [&](ByteView candidate) {
          return SeedCommitment(what.t1, index, candidate) == what.seed_commitments[index.value()];
        });
    if (!seed.has_value()) return std::nullopt;
    std::vector<KeyedMask> masks;
    masks.push_back({SelfMaskKey(seed->view(), what.t1, index), MaskSign::kSubtract});
    return masks;
  }
  const std::optional<SecretBytes> raw =
      shares.Rebuild(index, what.threshold, [&](ByteView candidate) {
        return X25519PrivateKey::FromRaw(SecretBytes(candidate)).public_key() ==
               what.roster[index.value()].mask_key;
      });
  if (!raw.has_value()) return std::nullopt;
  return MasksOfDropped(what, index, X25519PrivateKey::FromRaw(raw->Clone()));
}

}  // namespace

void UnmaskingShares::Add(ClientIndex owner, uint8_t x, ByteView share) {
  shares_[owner.value()].push_back({x, SecretBytes(share)});
}

std::optional<SecretBytes> UnmaskingShares::Rebuild(
    ClientIndex owner, uint32_t threshold, const std::function<bool(ByteView)>& matches) const {
  const std::vector<Share>& all = shares_[owner.value()];
  DURE_CHECK(threshold >= 1 && all.size() >= threshold);
  std::vector<bool> chosen(all.size());
  std::fill_n(chosen.begin(), threshold, true);
  std::vector<ShamirShare> subset(threshold);
  for (uint32_t tried = 0; tried < kMaxSubsets; ++tried) {
    auto next = subset.begin();
    for (size_t i = 0; i < all.size(); ++i) {
      if (chosen[i]) *next++ = {.x = all[i].x, .value = all[i].value.view()};
    }
    auto secret = ShamirRebuild(subset);
    if (secret.ok() && matches(secret->view())) return *std::move(secret);
    if (!std::prev_permutation(chosen.begin(), chosen.end())) break;
  }
  return std::nullopt;
}

std::optional<ClientIndex> RemoveMasksFrom(const MaskedSum& what, const UnmaskingShares& shares,
                                           RingVector* sum) {
  // All secrets first, so that a sum is opened completely or not at all.
  std::vector<KeyedMask> all;
  for (uint32_t i = 0; i < what.roster.size(); ++i) {
    if (!what.dealers.Contains(i) || what.graph.GroupOf(ClientIndex(i)) != what.group) continue;
    std::optional<std::vector<KeyedMask>> masks = MasksOf(what, ClientIndex(i), shares);
    if (!masks.has_value()) return ClientIndex(i);
    std::move(masks->begin(), masks->end(), std::back_inserter(all));
  }
  ApplyMasks(all, /*threads=*/0, sum);
  return std::nullopt;
}

}  // namespace dure::secagg
