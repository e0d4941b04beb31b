// Messages as somebody who means harm would make them: a field altered, cut, grown, emptied or
// taken from another message; an element left out, doubled or swapped; and, with the coordinator's
// own key, a contradiction that is signed. Not thread-safe.
#ifndef DURE_TESTS_WORLD_FORGER_H_
#define DURE_TESTS_WORLD_FORGER_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "proto/wire.pb.h"
#include "tests/world/dice.h"
#include "tests/world/people.h"

namespace dure::world {

class Forger {
 public:
  explicit Forger(uint64_t seed) : dice_(seed, "forger") {}

  // What came by. Old messages are forgotten.
  void Remember(const Person& to, const ServerMessage& message);
  void Remember(const ClientMessage& message);
  // What binds a session for this member (T1), for signatures.
  void Learn(const Person& member, const std::string& session_id, const Digest& t1);

  // `message`, for `to`, in one or several ways other than it is; half of the time signed again
  // with the coordinator's key where its signature covers what was altered.
  void Alter(const Person& to, ServerMessage* message);
  void Alter(ClientMessage* message);

  // One that came by, to anybody, in any session. An empty message if there is none.
  ServerMessage OldDown() { return Old(down_); }
  ClientMessage OldUp() { return Old(up_); }

 private:
  static constexpr size_t kMemory = 400;

  template <typename Message>
  Message Old(const std::vector<Message>& memory) {
    return memory.empty() ? Message() : memory[dice_.Below(memory.size())];
  }
  template <typename Thing>
  void Keep(const Thing& thing, std::vector<Thing>* memory);

  void AlterField(google::protobuf::Message* message);
  void AlterText(const google::protobuf::FieldDescriptor& field, std::string* text);
  void SignAgain(const Person& to, ServerMessage* message);

  struct Binding {
    Digest t1{};
    Digest t2{};
  };

  Dice dice_;
  std::vector<ServerMessage> down_;
  std::vector<ClientMessage> up_;
  std::vector<std::string> texts_;  // bytes of fields that came by
  std::map<std::pair<secagg::MemberId, std::string>, Binding> bindings_;
  std::map<std::string, Digest> config_hashes_;  // by session
};

}  // namespace dure::world

#endif  // DURE_TESTS_WORLD_FORGER_H_
