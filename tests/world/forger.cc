#include "tests/world/forger.h"

#include <limits>

#include "google/protobuf/reflection.h"
#include "privacy/secagg/config.h"
#include "privacy/secagg/limits.h"
#include "privacy/secagg/roster.h"
#include "privacy/secagg/transcript.h"

namespace dure::world {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// A place in a message that can be altered.
struct Place {
  Message* message = nullptr;
  const FieldDescriptor* field = nullptr;
  int index = -1;  // of a repeated field's element
};

void CollectPlaces(Message* message, std::vector<Place>* places) {
  const Reflection& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);  // by number
  for (const FieldDescriptor* field : fields) {
    const bool nested = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    places->push_back({message, field, -1});
    if (!field->is_repeated()) {
      if (nested) CollectPlaces(reflection.MutableMessage(message, field), places);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
      if (nested) {
        CollectPlaces(reflection.MutableRepeatedMessage(message, field, i), places);
      } else {
        places->push_back({message, field, i});
      }
    }
  }
}

// One element more, less or elsewhere.
void AlterList(Dice& dice, const Place& place) {
  const Reflection& reflection = *place.message->GetReflection();
  const int size = reflection.FieldSize(*place.message, place.field);
  if (size == 0) return;
  const int one = static_cast<int>(dice.Below(static_cast<uint64_t>(size)));
  const int other = static_cast<int>(dice.Below(static_cast<uint64_t>(size)));
  switch (dice.Below(3)) {
    case 0:
      reflection.SwapElements(place.message, place.field, one, other);
      return;
    case 1:
      reflection.SwapElements(place.message, place.field, one, size - 1);
      reflection.RemoveLast(place.message, place.field);
      return;
    default:
      if (place.field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return;
      auto* more = reflection.AddMessage(place.message, place.field);
      more->CopyFrom(reflection.GetRepeatedMessage(*place.message, place.field, one));
  }
}

uint64_t AlteredNumber(Dice& dice, uint64_t number) {
  switch (dice.Below(4)) {
    case 0:
      return number + 1;
    case 1:
      return number - 1;
    case 2:
      return dice.Below(16);
    default:
      return dice.Of<uint64_t>({0, std::numeric_limits<uint64_t>::max(), number * 2});
  }
}

double AlteredReal(Dice& dice, double number) {
  return dice.Of({0.0, -number, 2 * number, std::numeric_limits<double>::infinity(),
                  std::numeric_limits<double>::quiet_NaN()});
}

void AlterNumber(Dice& dice, const Place& place) {
  Message* message = place.message;
  const Reflection& reflection = *message->GetReflection();
  const FieldDescriptor* field = place.field;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.SetUInt32(
          message, field,
          static_cast<uint32_t>(AlteredNumber(dice, reflection.GetUInt32(*message, field))));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(message, field,
                                  AlteredNumber(dice, reflection.GetUInt64(*message, field)));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(message, field,
                                  AlteredReal(dice, reflection.GetDouble(*message, field)));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(message, field, !reflection.GetBool(*message, field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnumValue(message, field, static_cast<int>(dice.Below(8)));
    default:
      return reflection.ClearField(message, field);
  }
}

}  // namespace

// What is text on the wire must stay UTF-8, or nobody takes it in at all.
void Forger::AlterText(const FieldDescriptor& field, std::string* text) {
  switch (dice_.Below(5)) {
    case 0:
    case 1:
      if (text->empty()) {
        text->push_back('\1');
      } else {
        char& c = (*text)[dice_.Below(text->size())];
        c = static_cast<char>(c ^ (1 << dice_.Below(8)));
      }
      break;
    case 2:
      text->resize(dice_.Below(text->size() + 1));
      break;
    case 3:
      text->push_back(static_cast<char>(dice_.Below(256)));
      break;
    default:
      if (!texts_.empty()) *text = texts_[dice_.Below(texts_.size())];
  }
  if (field.type() == FieldDescriptor::TYPE_BYTES) return;
  for (char& c : *text) c = static_cast<char>(c & 0x7f);
}

void Forger::AlterField(Message* message) {
  std::vector<Place> places;
  CollectPlaces(message, &places);
  if (places.empty()) return;
  const Place place = places[dice_.Below(places.size())];
  const Reflection& reflection = *place.message->GetReflection();
  const bool is_text = place.field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
  if (place.field->is_repeated() && place.index < 0) {
    AlterList(dice_, place);
  } else if (is_text && place.index >= 0) {
    std::string text = reflection.GetRepeatedString(*place.message, place.field, place.index);
    AlterText(*place.field, &text);
    reflection.SetRepeatedString(place.message, place.field, place.index, text);
  } else if (is_text) {
    std::string text = reflection.GetString(*place.message, place.field);
    AlterText(*place.field, &text);
    reflection.SetString(place.message, place.field, text);
  } else if (place.field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    if (dice_.Chance(0.2)) reflection.ClearField(place.message, place.field);
  } else if (!place.field->is_repeated()) {
    AlterNumber(dice_, place);
  }
}

template <typename Thing>
void Forger::Keep(const Thing& thing, std::vector<Thing>* memory) {
  if (memory->size() < kMemory) {
    memory->push_back(thing);
  } else {
    (*memory)[dice_.Below(kMemory)] = thing;
  }
}

void Forger::Remember(const Person& to, const ServerMessage& message) {
  Keep(message, &down_);
  if (message.has_offer()) {
    const secagg::Offer& offer = message.offer().offer();
    config_hashes_[offer.session_id()] = secagg::ConfigHash(offer.config());
  }
  const secagg::DownMessage& down = message.secagg();
  if (down.has_dealt()) {
    Binding& binding = bindings_[{to.id, down.session_id()}];
    binding.t2 = secagg::DealersHash(binding.t1, AsBytes(down.dealt().bitmap()));
    Keep(down.dealt().bitmap(), &texts_);
    Keep(down.dealt().signature(), &texts_);
  } else if (down.has_survivors()) {
    Keep(down.survivors().bitmap(), &texts_);
    Keep(down.survivors().signature(), &texts_);
  } else if (down.has_roster()) {
    Keep(down.session_id(), &texts_);
    for (const secagg::Advertise& entry : down.roster().entries()) {
      Keep(entry.certificate(), &texts_);
      Keep(entry.enc_key(), &texts_);
      Keep(entry.signature(), &texts_);
    }
  }
}

void Forger::Remember(const ClientMessage& message) { Keep(message, &up_); }

void Forger::Learn(const Person& member, const std::string& session_id, const Digest& t1) {
  bindings_[{member.id, session_id}].t1 = t1;
}

void Forger::Alter(const Person& to, ServerMessage* message) {
  // Who takes part is what an attack on the sum would alter.
  std::string* bitmap = message->secagg().has_dealt()
                            ? message->mutable_secagg()->mutable_dealt()->mutable_bitmap()
                        : message->secagg().has_survivors()
                            ? message->mutable_secagg()->mutable_survivors()->mutable_bitmap()
                            : nullptr;
  if (bitmap != nullptr && !bitmap->empty() && dice_.Chance(0.3)) {
    (*bitmap)[0] = static_cast<char>((*bitmap)[0] ^ (1 << dice_.Below(8)));
  } else {
    for (uint64_t n = dice_.Below(3) == 0 ? 3 : 1; n > 0; --n) AlterField(message);
  }
  if (dice_.Chance(0.5)) SignAgain(to, message);
}

void Forger::Alter(ClientMessage* message) { AlterField(message); }

// What a coordinator that lies could sign.
void Forger::SignAgain(const Person& to, ServerMessage* message) {
  const SigningKey& key = People::Get().coordinator();
  if (message->has_offer()) {
    secagg::Offer& offer = *message->mutable_offer()->mutable_offer();
    const auto session = DigestFromBytes(offer.session_id());
    if (!session) return;
    offer.set_signature(ToString(
        key.Sign(secagg::OfferStatement(*session, secagg::ConfigHash(offer.config())).bytes())));
    return;
  }
  if (!message->has_secagg()) return;
  secagg::DownMessage& down = *message->mutable_secagg();
  const Binding& binding = bindings_[{to.id, down.session_id()}];
  if (down.has_dealt()) {
    const Digest t2 = secagg::DealersHash(binding.t1, AsBytes(down.dealt().bitmap()));
    down.mutable_dealt()->set_signature(ToString(key.Sign(secagg::DealersStatement(t2).bytes())));
  } else if (down.has_survivors()) {
    const Digest t3 = secagg::SurvivorsHash(binding.t2, AsBytes(down.survivors().bitmap()));
    down.mutable_survivors()->set_signature(
        ToString(key.Sign(secagg::SurvivorsStatement(t3).bytes())));
  } else if (down.has_roster()) {
    const auto session = DigestFromBytes(down.session_id());
    std::vector<secagg::RosterEntry> entries;
    for (const secagg::Advertise& entry : down.roster().entries()) {
      if (!secagg::CheckSizes(entry).ok()) return;
      auto read = secagg::ReadAdvertise(entry, *People::Get().verifier());
      if (!read.ok()) return;
      entries.push_back(*std::move(read));
    }
    if (!session) return;
    const Digest t1 = secagg::RosterHash(*session, config_hashes_[down.session_id()], entries);
    down.mutable_roster()->set_signature(ToString(key.Sign(secagg::RosterStatement(t1).bytes())));
  }
}

}  // namespace dure::world
