// What this machine can do at best, measured beside the work. Each call measures anew.
#ifndef DURE_CLI_BENCH_LIMITS_H_
#define DURE_CLI_BENCH_LIMITS_H_

#include "cli/bench/figure.h"

namespace dure::bench {

// Bytes a second that all threads together read from memory: the sum over 512 MB.
double MemoryReadRate(const Settings& settings);
// Bytes a second of AES-256-CTR over blocks of 16 KiB, on one core.
double AesRate(const Settings& settings);
double AesRateOnce();
// The same by a second of processor time, which other programs take nothing of.
double AesProcessorRateOnce();
// Multiplications with addition, of binary32, that all cores do a second in registers.
double MultiplyAddRate(const Settings& settings);

}  // namespace dure::bench

#endif  // DURE_CLI_BENCH_LIMITS_H_
