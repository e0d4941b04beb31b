# Copies of a source file of the engines with a few lines changed, for the world and nothing else:
# to record what passes inside, or to plant a mistake that the world has to find.
#
#   cmake -DCHANGE=NAME -DROOT=PROJECT -DOUT=FILE -P changes.cmake
#
# A change names lines as they are in the file. When these are not there any more, it fails and the
# build with it: adapt the change here to what the file says now.

cmake_minimum_required(VERSION 3.25)

set(applied FALSE)
set(source "")
set(text "")

# In change NAME, and in FILE, FROM (which is there once) becomes TO.
function(dure_change name file from to)
  if(NOT CHANGE STREQUAL name)
    return()
  endif()
  if(source STREQUAL "")
    file(READ "${ROOT}/${file}" text)
  elseif(NOT source STREQUAL file)
    message(FATAL_ERROR "change ${name} is of ${source} and of ${file}: one file each")
  endif()
  string(FIND "${text}" "${from}" first)
  string(FIND "${text}" "${from}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "tests/world/changes.cmake: ${name}: ${file} does not have, once:\n${from}")
  endif()
  string(REPLACE "${from}" "${to}" text "${text}")
  set(source "${file}" PARENT_SCOPE)
  set(text "${text}" PARENT_SCOPE)
  set(applied TRUE PARENT_SCOPE)
endfunction()

# What the world records.
dure_change(record_inputs client/member_session.cc
[=[#include "client/member_session.h"
]=]
[=[#include "client/member_session.h"

#include "tests/world/recorder.h"
]=])
dure_change(record_inputs client/member_session.cc
[=[MemberSession::SetInput(RingVector input) {
]=]
[=[MemberSession::SetInput(RingVector input) {
  world::Recorder::Get().Give(session_id(), input);
]=])
dure_change(record_sums coordinator/mean_update.cc
[=[absl::StatusOr<MeanUpdate> ToMeanUpdate(std::vector<GroupSum> sums, const RoundTerms& terms,]=]
[=[absl::StatusOr<MeanUpdate> UnrecordedMeanUpdate(std::vector<GroupSum> sums, const RoundTerms& terms,]=])

# Mistakes.
dure_change(consent_before_its_entry client/engine.cc
[=[  if (message.has_consent() && !attempt_->consented) {
]=]
[=[  if (message.has_consent() && !attempt_->consented) {
    ClientMessage early;
    *early.mutable_secagg() = message;
    out->push_back(member::Send{std::move(early)});
]=])
dure_change(charge_after_the_shares client/engine.cc
[=[  if ((message.has_shares() || message.has_plain_input()) && !attempt_->charged) {]=]
[=[  if ((message.has_masked_input() || message.has_plain_input()) && !attempt_->charged) {]=])
dure_change(offers_before_the_attempt coordinator/federation_engine.cc
[=[  state_.attempts = AttemptNumber(id.attempt);
]=]
[=[  state_.attempts = AttemptNumber(id.attempt);
  HandleRound(now, std::exchange(outputs, {}), out);
]=])
dure_change(told_before_the_release coordinator/federation_engine.cc
[=[  out->push_back(run::Write{std::move(released)});
  TellCohort(true, "", out);
]=]
[=[  TellCohort(true, "", out);
  out->push_back(run::Write{std::move(released)});
]=])
dure_change(optimizer_forgotten coordinator/federation_engine.cc
[=[    DURE_RETURN_IF_ERROR(engine->optimizer_->Load(optimizer_state));
]=] [=[]=])
dure_change(late_members_forgotten coordinator/federation_engine.cc
[=[  if (auto tardy = tardy_.find(said.member); tardy != tardy_.end()) tardy->second.silent = false;
]=] [=[]=])
dure_change(input_counts_twice privacy/secagg/server_receive.cc
[=[    if (before->second.fingerprint == fingerprint) return std::nullopt;
]=]
[=[    if (before->second.fingerprint == fingerprint && !message.has_masked_input()) {
      return std::nullopt;
    }
    if (before->second.fingerprint == fingerprint) {
      return AcceptedInput{.member = sender,
                           .index = *member.index,
                           .group = graph().GroupOf(*member.index),
                           .packed = std::move(*message.mutable_masked_input()->mutable_packed())};
    }
]=])
dure_change(both_shares_of_one_dealer privacy/secagg/client.cc
[=[    share.set_share(ToString((survived ? held->self_seed : held->mask_key).view()));
]=]
[=[    share.set_share(ToString((survived ? held->self_seed : held->mask_key).view()));
    if (survived && u3_->count() != u2_->count()) {
      Unmask::Share& other = *unmask.add_mask_keys();
      other.set_member(j);
      other.set_share(ToString(held->mask_key.view()));
    }
]=])
dure_change(ledger_forgotten tests/world/seeded_world_member.cc
[=[      node.ledger);
]=]
[=[      Ledger());
]=])

if(NOT applied)
  message(FATAL_ERROR "tests/world/changes.cmake: no change is called ${CHANGE}")
endif()
file(WRITE "${OUT}" "${text}")
