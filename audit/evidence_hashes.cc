#include "audit/evidence_hashes.h"

namespace dure::audit {

Digest ClientId(const std::string& key) { return Transcript("client-id").Add(key).Hash(); }

Digest ConfigHash(const secagg::RoundConfig& config) {
  Transcript hashed("config");
  hashed.AddU64(config.suite()).Add(config.task());
  hashed.AddU64(config.round()).AddU64(config.attempt());
  hashed.Add(config.model_hash()).AddU64(config.dim());
  hashed.AddU64(config.invited()).AddU64(config.bits()).AddU64(config.scale());
  hashed.AddF64(config.clip_norm()).Add(config.mechanism());
  hashed.AddU64(config.sigma2_local()).AddU64(config.norm_bound_sq());
  hashed.Add(config.rotation_seed()).Add(config.weighting()).Add(config.graph_rule());
  hashed.AddU64(config.security_bits()).AddF64(config.max_dropout());
  hashed.AddU64(config.minimum_roster()).AddU64(config.minimum_sum());
  hashed.AddU64(config.max_corrupt()).AddU64(config.deadline_ms());
  return hashed.Hash();
}

Digest RosterHash(const Contradiction& session, const RosterMembers& members) {
  Transcript roster("roster");
  roster.Add(session.session_id()).Add(ConfigHash(session.config()));
  roster.AddU32(static_cast<uint32_t>(members.size()));
  for (const RosterMember& member : members) {
    Transcript entry("entry");
    entry.Add(ClientId(member.key())).Add(member.key());
    entry.Add(member.enc_key()).Add(member.mask_key()).Add(member.nonce());
    roster.Add(entry.Add(member.signature()).bytes());
  }
  return roster.Hash();
}

Digest DealersHash(const Digest& t1, const std::string& bitmap) {
  return Transcript("u2").Add(t1).Add(bitmap).Hash();
}

Digest SurvivorsHash(const Digest& t2, const std::string& bitmap) {
  return Transcript("u3").Add(t2).Add(bitmap).Hash();
}

}  // namespace dure::audit
