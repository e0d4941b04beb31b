#include "coordinator/service/web_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <deque>
#include <functional>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "coordinator/service/web_metrics.h"
#include "coordinator/service/web_stream.h"
#include "httplib.h"

namespace dure {

// coordinator/service/web/, embedded.
extern const unsigned char kWebPageHtml[];
extern const size_t kWebPageHtmlSize;
extern const unsigned char kWebPageCss[];
extern const size_t kWebPageCssSize;
extern const unsigned char kWebPageJs[];
extern const size_t kWebPageJsSize;
extern const unsigned char kWebIconSvg[];
extern const size_t kWebIconSvgSize;

namespace {

constexpr size_t kThreads = 32;
constexpr size_t kMostWaiting = 256;
constexpr int kBacklog = 128;
constexpr size_t kMaxRequestBytes = 16 * 1024;
constexpr uint64_t kMaxChartScriptBytes = uint64_t{4} << 20;
// For a request to come, and for its answer to go. While others wait, the first is shorter.
constexpr absl::Duration kReadTime = absl::Seconds(3);
constexpr absl::Duration kReadTimeInAQueue = absl::Milliseconds(500);
constexpr absl::Duration kWriteTime = absl::Seconds(10);
constexpr absl::Duration kPatience = absl::Seconds(3);

constexpr char kPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// True on a thread that is about to turn a connection away.
thread_local bool turning_away = false;

// Connections beyond what the threads and a queue can take are closed at once.
class Pool final : public httplib::TaskQueue {
 public:
  explicit Pool(std::atomic<size_t>* waiting) : waiting_(waiting) {
    for (size_t i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Work(); });
  }

  void enqueue(std::function<void()> task) override {
    {
      std::lock_guard lock(mutex_);
      if (tasks_.size() < kMostWaiting) {
        tasks_.push_back(std::move(task));
        *waiting_ = tasks_.size();
        wake_.notify_one();
        return;
      }
    }
    turning_away = true;
    task();
    turning_away = false;
  }

  void shutdown() override {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void Work() {
    for (;;) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopped_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
        *waiting_ = tasks_.size();
        turning_away = stopped_;
      }
      task();
    }
  }

  std::atomic<size_t>* const waiting_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
};

class HttpStream final : public httplib::Stream {
 public:
  explicit HttpStream(WebStream* stream) : stream_(stream) {}
  bool is_readable() const override { return true; }  // reading itself ends in time
  bool is_writable() const override { return true; }
  ssize_t read(char* to, size_t size) override { return stream_->Read(to, size); }
  ssize_t write(const char* from, size_t size) override { return stream_->Write(from, size); }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return stream_->socket(); }

 private:
  WebStream* const stream_;
};

std::string Bytes(const unsigned char* data, size_t size) {
  return std::string(reinterpret_cast<const char*>(data), size);
}

void Plain(int code, const std::string& text, httplib::Response* response) {
  response->status = code;
  response->set_content(text + "\n", "text/plain; charset=utf-8");
}

}  // namespace

class WebServer::Http final : public httplib::Server {
 public:
  explicit Http(WebServer* web) : web_(web) {
    new_task_queue = [this] { return new Pool(&waiting_); };
    // Not SO_REUSEPORT, which would let two programs share the port.
    set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    set_payload_max_length(0);
    set_default_headers({{"Content-Security-Policy", kPolicy},
                         {"X-Content-Type-Options", "nosniff"},
                         {"X-Frame-Options", "DENY"},
                         {"Referrer-Policy", "no-referrer"},
                         {"Cross-Origin-Resource-Policy", "same-origin"},
                         {"Cross-Origin-Opener-Policy", "same-origin"},
                         {"Cache-Control", "no-store"}});
    // All routes are here: before anything of a body would be read.
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      Answer(request, &response);
      return HandlerResponse::Handled;
    });
  }

  // Before listen_after_bind. The port that it is, or -1 with errno.
  int Bind(const WebAddress& address) {
    int port = address.port;
    if (port == 0) {
      port = bind_to_any_port(address.host);
    } else if (!bind_to_port(address.host, port)) {
      port = -1;
    }
    if (port > 0) ::listen(svr_sock_, kBacklog);
    return port;
  }

 private:
  // Instead of httplib's own: one request a connection, and limits on all of it.
  bool process_and_close_socket(socket_t socket) override {
    if (!turning_away) {
      WebStream stream(socket, waiting_ > 0 ? kReadTimeInAQueue : kReadTime, kWriteTime,
                       kMaxRequestBytes);
      HttpStream http(&stream);
      bool closed = false;
      process_request(http, true, closed, [](httplib::Request& request) {
        // Ranges could ask for one file a thousand times, and compression costs the coordinator.
        request.ranges.clear();
        request.headers.erase("Range");
        request.headers.erase("Accept-Encoding");
      });
      stream.Finish();
    }
    close(socket);
    return true;
  }

  void Answer(const httplib::Request& request, httplib::Response* response) const {
    if (!request.has_header("Host")) return Plain(400, "the Host header is missing", response);
    if (request.get_header_value_count("Host") > 1 ||
        !HostIsAllowed(web_->address_, request.get_header_value("Host"))) {
      return Plain(
          403, "this page answers to the names of its own machine only: open it as " + web_->url(),
          response);
    }
    if (request.method != "GET" && request.method != "HEAD") {
      response->set_header("Allow", "GET, HEAD");
      return Plain(405, "this page is for reading only: GET and HEAD", response);
    }
    Serve(request.path, response);
  }

  void Serve(const std::string& path, httplib::Response* response) const {
    response->status = 200;
    if (path == "/") {
      return response->set_content(Bytes(kWebPageHtml, kWebPageHtmlSize),
                                   "text/html; charset=utf-8");
    }
    if (path == "/page.css") {
      return response->set_content(Bytes(kWebPageCss, kWebPageCssSize), "text/css; charset=utf-8");
    }
    if (path == "/page.js") {
      return response->set_content(Bytes(kWebPageJs, kWebPageJsSize),
                                   "text/javascript; charset=utf-8");
    }
    if (path == "/icon.svg") {
      return response->set_content(Bytes(kWebIconSvg, kWebIconSvgSize), "image/svg+xml");
    }
    if (path == "/chart.js") {
      if (!web_->has_charts()) {
        response->status = 404;
        return response->set_content("// Install Debian's libjs-chart.js.\n",
                                     "text/javascript; charset=utf-8");
      }
      return response->set_content(web_->chart_script_, "text/javascript; charset=utf-8");
    }
    if (path != "/status.json" && path != "/metrics") {
      return Plain(404, "there are /, /status.json and /metrics", response);
    }
    const std::shared_ptr<const WebView> view = web_->views_.Now(kPatience);
    if (view == nullptr) return Plain(503, "the coordinator is busy: try again", response);
    if (path == "/metrics") {
      return response->set_content(WebViewToMetrics(*view),
                                   "text/plain; version=0.0.4; charset=utf-8");
    }
    response->set_content(view->json, "application/json");
  }

  WebServer* const web_;
  std::atomic<size_t> waiting_ = 0;
};

WebServer::WebServer(Options options)
    : address_(std::move(options.address)), views_(std::move(options.views)) {
  absl::StatusOr<std::string> script = ReadFile(options.chart_script, kMaxChartScriptBytes);
  if (script.ok()) chart_script_ = *std::move(script);
}

absl::StatusOr<std::unique_ptr<WebServer>> WebServer::Start(Options options) {
  auto web = std::unique_ptr<WebServer>(new WebServer(std::move(options)));
  web->http_ = std::make_unique<Http>(web.get());
  errno = 0;
  const int port = web->http_->Bind(web->address_);
  if (port <= 0) {
    const int error_number = errno == 0 ? EADDRNOTAVAIL : errno;
    const std::string text =
        absl::StrCat("the web page cannot be at ", web->address_.ToString(), " (--web)");
    if (error_number == EADDRINUSE) {
      return absl::AlreadyExistsError(
          absl::StrCat(text, ": another program listens there; choose another port, or 0"));
    }
    return ErrnoStatus(error_number, text);
  }
  web->address_.port = port;
  web->thread_ = std::thread([http = web->http_.get()] { http->listen_after_bind(); });
  while (!web->http_->is_running()) std::this_thread::yield();  // stop() would be lost before
  return web;
}

WebServer::~WebServer() {
  if (!thread_.joinable()) return;
  http_->stop();
  thread_.join();
}

}  // namespace dure
