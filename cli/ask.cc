#include "cli/ask.h"

#include <cstdio>
#include <iostream>

#include "absl/strings/ascii.h"

namespace dure::cli {

bool AskForYes(const std::string& question) {
  std::printf("%s [yes/no] ", question.c_str());
  std::fflush(stdout);
  std::string answer;
  if (!std::getline(std::cin, answer)) std::printf("\n");
  answer = absl::AsciiStrToLower(std::string(absl::StripAsciiWhitespace(answer)));
  return answer == "yes" || answer == "y";
}

}  // namespace dure::cli
