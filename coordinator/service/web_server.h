// The web page of a coordinator: a small HTTP server for reading only, in threads of its own beside
// the coordinator's. It answers GET and HEAD, takes nothing in, and says so to everything else.
// docs/web.md describes what it serves.
#ifndef DURE_COORDINATOR_SERVICE_WEB_SERVER_H_
#define DURE_COORDINATOR_SERVICE_WEB_SERVER_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "coordinator/service/web_address.h"
#include "coordinator/service/web_view.h"

namespace dure {

// Where Debian's libjs-chart.js has it. Without it the page has its tables only.
inline constexpr char kChartScript[] = "/usr/share/javascript/chart.js/chart.min.js";

class WebServer {
 public:
  struct Options {
    WebAddress address;
    WebViews::Options views;
    std::string chart_script = kChartScript;
  };

  // AlreadyExists, PermissionDenied or Unknown if it cannot listen there.
  static absl::StatusOr<std::unique_ptr<WebServer>> Start(Options options);
  // Ends the connections. What `views` asks must still answer until then.
  ~WebServer();
  WebServer(const WebServer&) = delete;
  WebServer& operator=(const WebServer&) = delete;

  // With the port that the system chose.
  const WebAddress& address() const { return address_; }
  std::string url() const { return "http://" + address_.ToString() + "/"; }
  bool has_charts() const { return !chart_script_.empty(); }
  const WebViews& views() const { return views_; }

 private:
  class Http;
  explicit WebServer(Options options);

  WebAddress address_;
  WebViews views_;
  std::string chart_script_;
  std::unique_ptr<Http> http_;
  std::thread thread_;
};

}  // namespace dure

#endif  // DURE_COORDINATOR_SERVICE_WEB_SERVER_H_
