#include "crypto/tls_look.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>

#include "base/check.h"
#include "base/printable.h"
#include "crypto/x509_native.h"

namespace dure {
namespace {

constexpr size_t kMaxNameBytes = 200;
constexpr unsigned char kHttp2[] = {2, 'h', '2'};  // RFC 7301: a length, then the name

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using ContextPtr = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using TlsPtr = std::unique_ptr<SSL, Freer<SSL_free>>;
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free>>;

std::string NameText(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  DURE_CHECK(bio != nullptr);
  if (X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0) return "";
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return Printable(std::string_view(text, static_cast<size_t>(size)), kMaxNameBytes);
}

absl::Time TimeOf(const ASN1_TIME* time, absl::Time otherwise) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return otherwise;
  return absl::FromTM(parts, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<TlsPeer> LookAtTlsPeer(int socket, std::string_view server_name) {
  const x509_internal::ErrorScope errors;
  const ContextPtr context(SSL_CTX_new(TLS_client_method()));
  DURE_CHECK(context != nullptr);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_alpn_protos(context.get(), kHttp2, sizeof(kHttp2));
  const TlsPtr tls(SSL_new(context.get()));
  DURE_CHECK(tls != nullptr);
  SSL_set_tlsext_host_name(tls.get(), std::string(server_name).c_str());
  if (SSL_set_fd(tls.get(), socket) != 1 || SSL_connect(tls.get()) != 1) {
    return absl::UnavailableError("what answers there does not speak TLS");
  }
  X509* shown = SSL_get0_peer_certificate(tls.get());
  if (shown == nullptr) return absl::NotFoundError("what answers there shows no certificate");
  TlsPeer peer{.subject = NameText(X509_get_subject_name(shown)),
               .issuer = NameText(X509_get_issuer_name(shown)),
               .not_before = TimeOf(X509_get0_notBefore(shown), absl::InfinitePast()),
               .not_after = TimeOf(X509_get0_notAfter(shown), absl::InfiniteFuture())};
  uint8_t* der = nullptr;
  const int size = i2d_X509(shown, &der);
  if (size > 0) {
    peer.certificate.assign(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
  }
  return peer;
}

}  // namespace dure
