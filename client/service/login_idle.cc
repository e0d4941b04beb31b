#include "client/service/login_idle.h"

#include <dlfcn.h>

#include <cstdint>
#include <memory>

namespace dure {
namespace {

constexpr uint64_t kPatienceUs = 1'000'000;
constexpr char kService[] = "org.freedesktop.login1";
constexpr char kObject[] = "/org/freedesktop/login1";
constexpr char kInterface[] = "org.freedesktop.login1.Manager";

// What is used of sd-bus, as in systemd/sd-bus.h.
struct Bus;
struct Library {
  int (*open_system)(Bus** bus) = nullptr;
  Bus* (*flush_close_unref)(Bus* bus) = nullptr;
  int (*set_timeout)(Bus* bus, uint64_t us) = nullptr;
  int (*get_property)(Bus* bus, const char* destination, const char* path, const char* interface,
                      const char* member, void* error, char type, void* out) = nullptr;
  bool complete = false;
};

template <typename Function>
bool Find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

// Loaded once, and for good.
const Library& SdBus() {
  static const Library& loaded = *[] {
    auto* library = new Library();
    void* handle = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
    library->complete = handle != nullptr &&
                        Find(handle, "sd_bus_open_system", &library->open_system) &&
                        Find(handle, "sd_bus_flush_close_unref", &library->flush_close_unref) &&
                        Find(handle, "sd_bus_set_method_call_timeout", &library->set_timeout) &&
                        Find(handle, "sd_bus_get_property_trivial", &library->get_property);
    return library;
  }();
  return loaded;
}

}  // namespace

std::optional<absl::Time> LoginIdleSince(absl::Time now) {
  const Library& library = SdBus();
  if (!library.complete) return std::nullopt;
  Bus* opened = nullptr;
  if (library.open_system(&opened) < 0) return std::nullopt;
  const std::unique_ptr<Bus, Bus* (*)(Bus*)> bus(opened, library.flush_close_unref);
  library.set_timeout(bus.get(), kPatienceUs);
  int idle = 0;
  uint64_t since_us = 0;
  if (library.get_property(bus.get(), kService, kObject, kInterface, "IdleHint", nullptr, 'b',
                           &idle) < 0 ||
      library.get_property(bus.get(), kService, kObject, kInterface, "IdleSinceHint", nullptr, 't',
                           &since_us) < 0) {
    return std::nullopt;
  }
  return idle != 0 ? absl::FromUnixMicros(static_cast<int64_t>(since_us)) : now;
}

}  // namespace dure
