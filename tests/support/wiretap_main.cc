// What tests need to look at traffic, for scripts:
//
//   wiretap relay FOLDER
//     Listens on a port of 127.0.0.1 that the system chooses and prints it. Each connection is
//     passed on to the port of 127.0.0.1 that the file FOLDER/target names at that moment; without
//     that file it is closed. What passes is kept: FOLDER/NUMBER.up to the target, .down back.
//     While the file FOLDER/silence is there, nothing passes and nobody is told: with "hold" in it
//     bytes wait for its end, with "swallow" they are lost, and connections that lost some are
//     closed when it ends.
//     While the file FOLDER/cut is there, with a number N in it, each connection is cut after N
//     bytes in one direction, and N grows by a prime number from one connection to the next.
//   wiretap tls FILE...
//     Succeeds if each file is TLS records from its first byte to its last (a connection that was
//     cut may end in the middle of one), and some of them carry encrypted application data.
//   wiretap search PICTURES FILE...
//     Succeeds if pixels of PICTURES, an IDX file, are in one of the files, as bytes, in a run of
//     at least 2 * kBlock that has no zero in it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>

namespace {

// A run of 2 * kBlock bytes has an aligned block of kBlock in it: only those are indexed.
constexpr size_t kBlock = 16;
// A block of fewer different values is no proof of a picture.
constexpr size_t kLeastValues = 4;
// How often a silence is looked at.
constexpr int kPollMs = 20;
// By how many bytes later the next connection is cut.
constexpr size_t kCutStep = 4099;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "wiretap: %s\n", what.c_str());
  std::exit(2);
}

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Die("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// ---- relay ----

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

std::string Silence(const std::string& folder) {
  std::string kind;
  std::ifstream(folder + "/silence") >> kind;
  return kind;
}

void AwaitSound(const std::string& folder) {
  while (!Silence(folder).empty()) usleep(kPollMs * 1000);
}

// Until one of the ends closes; then both are told. The bytes are kept before they are passed on.
void Pump(int from, int to, int record, const std::string& folder, size_t most) {
  char buffer[1 << 16];
  bool lost = false;
  for (size_t passed = 0; passed < most;) {
    pollfd ready = {from, POLLIN, 0};
    const bool readable = poll(&ready, 1, lost ? kPollMs : -1) > 0;
    const std::string silence = Silence(folder);
    if (lost && silence.empty()) break;
    if (!readable) continue;
    const ssize_t size = read(from, buffer, std::min(sizeof(buffer), most - passed));
    if (silence == "hold") AwaitSound(folder);
    if (silence == "swallow") lost = true;
    if (lost && size > 0) continue;
    if (lost) AwaitSound(folder);  // of the end, too, nobody hears
    if (size <= 0) break;
    std::string_view bytes(buffer, static_cast<size_t>(size));
    if (!WriteAll(record, bytes)) Die("cannot keep what passes");
    if (!WriteAll(to, bytes)) break;
    passed += bytes.size();
  }
  shutdown(from, SHUT_RDWR);
  shutdown(to, SHUT_RDWR);
}

void Serve(int near, const std::string& folder, int number) {
  AwaitSound(folder);
  int port = 0;
  std::ifstream(folder + "/target") >> port;
  int far = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in target = Loopback(static_cast<uint16_t>(port));
  if (port > 0 && connect(far, reinterpret_cast<sockaddr*>(&target), sizeof(target)) == 0) {
    const std::string name = folder + "/" + std::to_string(number);
    int up = open((name + ".up").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    int down = open((name + ".down").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (up < 0 || down < 0) Die("cannot write to " + folder);
    size_t most = SIZE_MAX;
    if (size_t first = 0; std::ifstream(folder + "/cut") >> first) {
      most = first + kCutStep * static_cast<size_t>(number);
    }
    std::thread back(Pump, far, near, down, folder, most);
    Pump(near, far, up, folder, most);
    back.join();
    close(up);
    close(down);
  }
  close(far);
  close(near);
}

int Relay(const std::string& folder) {
  signal(SIGPIPE, SIG_IGN);  // a closed end is an error of write()
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener, SOMAXCONN) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    Die("cannot listen on 127.0.0.1");
  }
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  for (int number = 1;; ++number) {
    int near = accept(listener, nullptr, nullptr);
    if (near < 0) Die("cannot accept a connection");
    std::thread(Serve, near, folder, number).detach();
  }
}

// ---- tls ----

// RFC 8446 section 5: type, legacy version, length.
constexpr size_t kTlsHeader = 5;
constexpr size_t kTlsLongest = (1 << 14) + 256;
constexpr uint8_t kFirstTlsType = 20, kTlsHandshake = 22, kTlsApplicationData = 23;

// Bytes of application data.
size_t CheckTls(const std::string& path) {
  const std::string bytes = Read(path);
  auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  size_t encrypted = 0, length = 0;
  for (size_t i = 0; i + kTlsHeader <= bytes.size(); i += kTlsHeader + length) {
    length = size_t{at(i + 3)} << 8 | at(i + 4);
    const bool fits = at(i) >= kFirstTlsType && at(i) <= kTlsApplicationData && at(i + 1) == 3 &&
                      at(i + 2) <= 3 && length > 0 && length <= kTlsLongest;
    if (!fits || (i == 0 && at(i) != kTlsHandshake)) {
      std::printf("%s: no TLS record at byte %zu\n", path.c_str(), i);
      std::exit(1);
    }
    if (at(i) == kTlsApplicationData) encrypted += length;
  }
  return encrypted;
}

int Tls(std::span<char*> files) {
  size_t encrypted = 0;
  for (const char* file : files) encrypted += CheckTls(file);
  std::printf("%zu files are TLS, %zu bytes of application data\n", files.size(), encrypted);
  return encrypted > 0 ? 0 : 1;
}

// ---- search ----

bool LooksLikeAPicture(std::string_view block) {
  return block.find('\0') == std::string_view::npos &&
         std::set<char>(block.begin(), block.end()).size() >= kLeastValues;
}

int Search(const std::string& pictures, std::span<char*> files) {
  const std::string pixels = Read(pictures);
  std::unordered_set<std::string_view> blocks;
  for (size_t i = 0; i + kBlock <= pixels.size(); i += kBlock) {
    std::string_view block = std::string_view(pixels).substr(i, kBlock);
    if (LooksLikeAPicture(block)) blocks.insert(block);
  }
  if (blocks.empty()) Die("there are no pixels to search for in " + pictures);
  for (const char* file : files) {
    const std::string bytes = Read(file);
    for (size_t i = 0; i + kBlock <= bytes.size(); ++i) {
      if (!blocks.contains(std::string_view(bytes).substr(i, kBlock))) continue;
      std::printf("%s: pixels of %s at byte %zu\n", file, pictures.c_str(), i);
      return 0;
    }
  }
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::span<char*> arguments(argv + 1, static_cast<size_t>(argc - 1));
  const std::string_view command = arguments.empty() ? "" : arguments[0];
  if (command == "relay" && arguments.size() == 2) return Relay(arguments[1]);
  if (command == "tls" && arguments.size() > 1) return Tls(arguments.subspan(1));
  if (command == "search" && arguments.size() > 2) {
    return Search(arguments[1], arguments.subspan(2));
  }
  Die("usage: relay FOLDER | tls FILE... | search PICTURES FILE...");
}
