// gRPC says of a message that it could not parse what it says of the end of a stream: that the read
// failed. A mark in the message, which parsing clears first of all, tells the two apart. Pure.
#ifndef DURE_TRANSPORT_READ_MARK_H_
#define DURE_TRANSPORT_READ_MARK_H_

#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

namespace dure {

// Above the numbers that a field on the wire can have (2^29 - 1).
inline constexpr int kReadMark = 1 << 29;

// Empties the message that the next read is for, and marks it.
inline void MarkForRead(google::protobuf::Message* message) {
  message->Clear();
  message->GetReflection()->MutableUnknownFields(message)->AddVarint(kReadMark, 0);
}

// After a read that failed: whether bytes came that are no such message.
inline bool WasGarbage(const google::protobuf::Message& message) {
  const auto& fields = message.GetReflection()->GetUnknownFields(message);
  return fields.field_count() != 1 || fields.field(0).number() != kReadMark;
}

}  // namespace dure

#endif  // DURE_TRANSPORT_READ_MARK_H_
