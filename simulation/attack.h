// Byzantine clients: a fixed share of all clients, who sends what in the place of its update
// (proto/simulation.proto, docs/simulation.md). An attack is made before the client's own code
// clips, rounds and encodes. Thread-safe: constant once created; a Collusion is not.
#ifndef DURE_SIMULATION_ATTACK_H_
#define DURE_SIMULATION_ATTACK_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "learner/data/partition.h"
#include "learner/trainer.h"
#include "proto/simulation.pb.h"

namespace dure::simulation {

class Attack {
 public:
  // `section` of ParseSimulation.
  Attack(const AttackSection& section, uint32_t clients, uint64_t seed);

  // The share of the clients, rounded; drawn by the seed.
  uint32_t count() const { return count_; }
  bool Byzantine(uint32_t client) const { return count_ > 0 && byzantine_[client]; }

  // How it is made: one of the three, none if nobody is byzantine.
  bool poisons_labels() const { return count_ > 0 && kind_ == AttackSection::LABEL_FLIP; }
  bool colludes() const {
    return count_ > 0 &&
           (kind_ == AttackSection::A_LITTLE_IS_ENOUGH || kind_ == AttackSection::INNER_PRODUCT);
  }
  bool alters_updates() const { return count_ > 0 && !poisons_labels() && !colludes(); }

  // Of all records of byzantine clients, in the labels of the whole dataset, 0 to classes - 1. Only
  // if poisons_labels().
  void PoisonLabels(const Partition& clients, uint32_t classes, std::vector<float>* labels) const;

  // What a byzantine client sends in the place of its own update. Only if alters_updates().
  void Alter(uint32_t attempt, uint32_t client, LocalUpdate* update) const;

 private:
  friend class Collusion;
  void AlterNumbers(uint32_t attempt, uint32_t client, std::vector<double>* numbers) const;

  AttackSection::Kind kind_;
  double strength_;  // 0: by the paper's rule
  bool one_label_;
  uint32_t from_label_, to_label_;
  uint64_t seed_;
  uint32_t count_ = 0;
  std::vector<bool> byzantine_;  // empty if nobody is
};

// What those of an attempt send together. They know what each of them would have sent, and how many
// the cohort has; nothing of the others.
class Collusion {
 public:
  // Of a cohort of `members`. Only if attack.colludes().
  Collusion(const Attack& attack, size_t members) : attack_(attack), members_(members) {}

  // What one of them would have sent; in the order of the cohort, for the same bits every time. All
  // of one kind and size.
  void Add(const LocalUpdate& update);
  // What each of them sends. At least one was added.
  LocalUpdate Finish() const;

 private:
  const Attack& attack_;
  size_t members_;
  size_t known_ = 0;
  bool integers_ = false;
  std::vector<double> mean_, squares_;  // Welford 1962: squares of differences from the mean
};

// z of Baruch et al. 2019, section 3: the largest shift, in standard deviations, with which enough
// honest members lie further out to make a majority with the `byzantine` ones of `members`. At
// least 0; at most 8, where they are a majority by themselves.
double LittleEnough(size_t members, size_t byzantine);

}  // namespace dure::simulation

#endif  // DURE_SIMULATION_ATTACK_H_
