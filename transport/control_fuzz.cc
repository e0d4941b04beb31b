// Any bytes as a frame of the control socket, in both directions.
#include "transport/control_socket.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  dure::ControlRequest request;
  dure::ControlReply reply;
  dure::DecodeControlFrame(bytes, &request).IgnoreError();
  dure::DecodeControlFrame(bytes, &reply).IgnoreError();
  return 0;
}
