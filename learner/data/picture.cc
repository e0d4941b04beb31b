#include "learner/data/picture.h"

// jpeglib.h needs these two.
#include <jerror.h>
#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace dure {
namespace {

// A progressive file has at most a few dozen; each is a pass over the whole picture.
constexpr int kMostScans = 100;

absl::Status Fault(std::string_view file, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(file), ": ", why));
}

absl::Status CheckSize(uint64_t width, uint64_t height, std::string_view file) {
  if (width == 0 || height == 0) return Fault(file, "a picture without pixels");
  if (width <= kMaxPictureSide && height <= kMaxPictureSide &&
      width * height <= kMaxPicturePixels) {
    return absl::OkStatus();
  }
  return Fault(file, absl::StrCat(width, " x ", height, " pixels, limit ", kMaxPictureSide,
                                  " a side and ", kMaxPicturePixels, " in all"));
}

// Pixels that lie together, `step` bytes each, of which the first picture.channels are wanted.
void Separate(const std::vector<uint8_t>& together, size_t step, Picture* picture) {
  const size_t count = size_t{picture->height} * picture->width;
  picture->pixels.resize(count * picture->channels);
  for (size_t channel = 0; channel < picture->channels; ++channel) {
    uint8_t* out = picture->pixels.data() + channel * count;
    for (size_t i = 0; i < count; ++i) out[i] = together[i * step + channel];
  }
}

// ---- PNG ----

absl::StatusOr<Picture> DecodePng(std::string_view bytes, std::string_view file) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  auto fault = [&](const std::string& why) {
    png_image_free(&image);
    return Fault(file, why);
  };
  if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size())) {
    return fault(absl::StrCat("not a sound PNG file: ", image.message));
  }
  if (image.format & PNG_FORMAT_FLAG_LINEAR) {
    return fault("16 bits a sample, limit 8: convert it first");
  }
  if (absl::Status size = CheckSize(image.width, image.height, file); !size.ok()) {
    png_image_free(&image);
    return size;
  }
  Picture picture{.channels = image.format & PNG_FORMAT_FLAG_COLOR ? 3u : 1u,
                  .height = image.height,
                  .width = image.width};
  image.format = picture.channels == 3 ? PNG_FORMAT_RGBA : PNG_FORMAT_GA;
  const size_t step = picture.channels + 1;
  std::vector<uint8_t> together(size_t{image.height} * image.width * step);
  if (!png_image_finish_read(&image, nullptr, together.data(), 0, nullptr)) {
    return fault(absl::StrCat("not a sound PNG file: ", image.message));
  }
  for (size_t i = step - 1; i < together.size(); i += step) {
    if (together[i] == 255) continue;
    const size_t pixel = i / step;
    return Fault(file, absl::StrCat("the pixel in row ", pixel / picture.width + 1, ", column ",
                                    pixel % picture.width + 1,
                                    " is not opaque, and a model sees no transparency: put the "
                                    "picture on a background first"));
  }
  Separate(together, step, &picture);
  return picture;
}

// ---- JPEG ----

// libjpeg reports by calls that must not return.
struct JpegFault {
  jpeg_error_mgr manager;  // first: libjpeg knows its address
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
};

[[noreturn]] void StopJpeg(j_common_ptr jpeg) {
  auto* fault = reinterpret_cast<JpegFault*>(jpeg->err);
  jpeg->err->format_message(jpeg, fault->text);
  std::longjmp(fault->jump, 1);
}

// Warnings are damage that libjpeg would make up for with grey; some are about nothing.
void OnJpegMessage(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  const int code = jpeg->err->msg_code;
  if (code == JWRN_EXTRANEOUS_DATA || code == JWRN_JFIF_MAJOR || code == JWRN_ADOBE_XFORM) return;
  StopJpeg(jpeg);
}

void OnJpegProgress(j_common_ptr jpeg) {
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kMostScans) return;
  auto* fault = reinterpret_cast<JpegFault*>(jpeg->err);
  std::snprintf(fault->text, sizeof(fault->text), "more than %d scans", kMostScans);
  std::longjmp(fault->jump, 1);
}

// The state of libjpeg, ended with the object. No object with a destructor is made between setjmp
// and what may jump to it.
class JpegReader {
 public:
  JpegReader() {
    jpeg_.err = jpeg_std_error(&fault_.manager);
    fault_.manager.error_exit = StopJpeg;
    fault_.manager.emit_message = OnJpegMessage;
    fault_.text[0] = '\0';
    progress_.progress_monitor = OnJpegProgress;
  }
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  // Each is false after a fault, and why() says which.
  bool ReadHeader(std::string_view bytes) {
    if (setjmp(fault_.jump) != 0) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_.progress = &progress_;
    jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }
  // `pixels` has room for height x width x channels bytes.
  bool ReadPixels(uint8_t* pixels) {
    if (setjmp(fault_.jump) != 0) return false;
    jpeg_.out_color_space = channels() == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&jpeg_);
    const size_t row = size_t{jpeg_.output_width} * channels();
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW to = pixels + jpeg_.output_scanline * row;
      jpeg_read_scanlines(&jpeg_, &to, 1);
    }
    jpeg_finish_decompress(&jpeg_);
    return true;
  }
  std::string why() const { return fault_.text; }
  uint32_t width() const { return jpeg_.image_width; }
  uint32_t height() const { return jpeg_.image_height; }
  uint32_t channels() const { return jpeg_.jpeg_color_space == JCS_GRAYSCALE ? 1 : 3; }
  bool is_grey_or_colour() const {
    const J_COLOR_SPACE space = jpeg_.jpeg_color_space;
    return space == JCS_GRAYSCALE || space == JCS_YCbCr || space == JCS_RGB;
  }

 private:
  jpeg_decompress_struct jpeg_ = {};
  jpeg_progress_mgr progress_ = {};
  JpegFault fault_;
};

absl::StatusOr<Picture> DecodeJpeg(std::string_view bytes, std::string_view file) {
  JpegReader reader;
  if (!reader.ReadHeader(bytes)) {
    return Fault(file, absl::StrCat("not a sound JPEG file: ", reader.why()));
  }
  if (!reader.is_grey_or_colour()) {
    return Fault(file, "neither grey nor red, green and blue: convert it first");
  }
  if (absl::Status size = CheckSize(reader.width(), reader.height(), file); !size.ok()) return size;
  Picture picture{
      .channels = reader.channels(), .height = reader.height(), .width = reader.width()};
  std::vector<uint8_t> together(size_t{picture.height} * picture.width * picture.channels);
  if (!reader.ReadPixels(together.data())) {
    return Fault(file, absl::StrCat("not a sound JPEG file: ", reader.why()));
  }
  if (picture.channels == 1) {
    picture.pixels = std::move(together);
  } else {
    Separate(together, picture.channels, &picture);
  }
  return picture;
}

bool LooksLikeJpeg(std::string_view bytes) { return bytes.substr(0, 3) == "\xff\xd8\xff"; }

// ---- sizes ----

// How much of each of `from` places goes into one of `to`, along one side.
struct Share {
  uint32_t first = 0;
  std::vector<float> weights;  // of first, first + 1, ...; their sum is 1
};

std::vector<Share> Shares(uint32_t from, uint32_t to) {
  std::vector<Share> shares(to);
  const double scale = static_cast<double>(from) / to;
  for (uint32_t i = 0; i < to; ++i) {
    Share& share = shares[i];
    if (to >= from) {
      const double centre = std::clamp((i + 0.5) * scale - 0.5, 0.0, from - 1.0);
      share.first = static_cast<uint32_t>(centre);
      const auto after = static_cast<float>(centre - share.first);
      share.weights = {1 - after};
      if (after > 0) share.weights.push_back(after);
      continue;
    }
    const double begin = i * scale, end = std::min<double>((i + 1) * scale, from);
    share.first = static_cast<uint32_t>(begin);
    for (uint32_t at = share.first; at < end; ++at) {
      const double covered = std::min<double>(at + 1, end) - std::max<double>(at, begin);
      share.weights.push_back(static_cast<float>(covered / scale));
    }
  }
  return shares;
}

uint8_t ToByte(float value) {
  return static_cast<uint8_t>(std::clamp(std::lround(value), 0l, 255l));
}

}  // namespace

bool LooksLikePng(std::string_view bytes) {
  return bytes.substr(0, 8) == std::string_view("\x89PNG\r\n\x1a\n", 8);
}

bool LooksLikePicture(std::string_view bytes) {
  return LooksLikePng(bytes) || LooksLikeJpeg(bytes);
}

absl::StatusOr<Picture> DecodePicture(std::string_view bytes, std::string_view file) {
  if (LooksLikePng(bytes)) return DecodePng(bytes, file);
  if (LooksLikeJpeg(bytes)) return DecodeJpeg(bytes, file);
  return Fault(file, bytes.empty() ? "an empty file" : "no picture: neither PNG nor JPEG");
}

Picture WithChannels(Picture picture, uint32_t channels) {
  if (picture.channels == channels) return picture;
  const size_t count = size_t{picture.height} * picture.width;
  if (channels == 3) {
    picture.pixels.resize(3 * count);
    for (size_t channel : {1, 2}) {
      std::copy_n(picture.pixels.begin(), count,
                  picture.pixels.begin() + static_cast<ptrdiff_t>(channel * count));
    }
  } else {
    const uint8_t* red = picture.pixels.data();
    for (size_t i = 0; i < count; ++i) {
      const unsigned sum = 299u * red[i] + 587u * red[i + count] + 114u * red[i + 2 * count];
      picture.pixels[i] = static_cast<uint8_t>((sum + 500) / 1000);
    }
    picture.pixels.resize(count);
  }
  picture.channels = channels;
  return picture;
}

Picture Resized(const Picture& picture, uint32_t height, uint32_t width) {
  if (picture.height == height && picture.width == width) return picture;
  const std::vector<Share> rows = Shares(picture.height, height);
  const std::vector<Share> columns = Shares(picture.width, width);
  Picture resized{.channels = picture.channels, .height = height, .width = width};
  resized.pixels.reserve(size_t{height} * width * picture.channels);
  std::vector<float> line(picture.width);
  const uint8_t* channel = picture.pixels.data();
  for (uint32_t c = 0; c < picture.channels; ++c) {
    for (const Share& row : rows) {
      std::fill(line.begin(), line.end(), 0.0f);
      for (size_t i = 0; i < row.weights.size(); ++i) {
        const uint8_t* from = channel + (row.first + i) * picture.width;
        for (uint32_t x = 0; x < picture.width; ++x) {
          line[x] += row.weights[i] * static_cast<float>(from[x]);
        }
      }
      for (const Share& column : columns) {
        float sum = 0;
        for (size_t i = 0; i < column.weights.size(); ++i) {
          sum += column.weights[i] * line[column.first + i];
        }
        resized.pixels.push_back(ToByte(sum));
      }
    }
    channel += size_t{picture.height} * picture.width;
  }
  return resized;
}

}  // namespace dure
