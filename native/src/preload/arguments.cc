// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into the server. Its arguments may hold an access token: everybody on the machine may read
// arguments, but only the server's user its environment. The app masks the token among the arguments and
// hands it over in a variable; here, before main(), it is put back where the process list does not look. The
// other side is pytriton/server/preload.py.
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace {

constexpr char kValues[] = "PYTRITON_HIDDEN_ARGUMENTS";  // one value a line, in the order of the arguments
constexpr char kPreload[] = "PYTRITON_LD_PRELOAD";       // what LD_PRELOAD was before
constexpr char kMask[] = "=<hidden>";
constexpr size_t kMaskLength = sizeof(kMask) - 1;

bool IsMasked(const char* argument, size_t length) {
  return length > kMaskLength && std::memcmp(argument + length - kMaskLength, kMask, kMaskLength) == 0;
}

// The argument with the value in place of the mask; never freed, like every argument.
char* Unmasked(const char* argument, size_t length, const char* value, size_t value_length) {
  const size_t kept = length - kMaskLength + 1;  // with the equals sign
  char* const whole = static_cast<char*>(std::malloc(kept + value_length + 1));
  if (whole == nullptr) {
    std::abort();
  }
  std::memcpy(whole, argument, kept);
  std::memcpy(whole + kept, value, value_length);
  whole[kept + value_length] = '\0';
  return whole;
}

__attribute__((constructor)) void Unmask(int argument_count, char** arguments, char** /*environment*/) {
  char* const values = std::getenv(kValues);
  if (values == nullptr) {
    return;
  }
  char* next = values;
  for (int number = 1; number < argument_count && *next != '\0'; ++number) {
    const size_t length = std::strlen(arguments[number]);
    if (IsMasked(arguments[number], length)) {
      const size_t value_length = std::strcspn(next, "\n");
      arguments[number] = Unmasked(arguments[number], length, next, value_length);
      next += value_length + (next[value_length] == '\n' ? 1 : 0);
    }
  }
  // Processes that the server starts shall not have it either, nor be preloaded.
  std::memset(values, 0, std::strlen(values));
  unsetenv(kValues);
  if (const char* const preload = std::getenv(kPreload)) {
    setenv("LD_PRELOAD", preload, 1);
    unsetenv(kPreload);
  } else {
    unsetenv("LD_PRELOAD");
  }
}

}  // namespace
