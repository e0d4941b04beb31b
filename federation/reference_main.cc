// Prints docs/federation-file.md, or with the argument "simulation" docs/simulation-file.md.
#include <cstdio>
#include <string_view>

#include "federation/spec_reference.h"

int main(int argc, char** argv) {
  const bool simulation = argc == 2 && std::string_view(argv[1]) == "simulation";
  if (argc > 1 && !simulation) {
    std::fputs("usage: dure-federation-reference [simulation]\n", stderr);
    return 2;
  }
  std::fputs(
      (simulation ? dure::SimulationReferencePage() : dure::FederationReferencePage()).c_str(),
      stdout);
  return 0;
}
