// Prints docs/federation-file.md.
#include <cstdio>

#include "federation/spec_reference.h"

int main() {
  std::fputs(dure::FederationReferencePage().c_str(), stdout);
  return 0;
}
