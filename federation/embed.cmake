# Writes the bytes of INPUT as a C++ array: cmake -DINPUT=... -DOUTPUT=x.cc -DNAME=kX -P embed.cmake
# The file defines `const unsigned char dure::NAME[]` and `const size_t dure::NAMESize`.
file(READ "${INPUT}" hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes "${bytes}")
file(WRITE "${OUTPUT}" "#include <cstddef>
namespace dure {
extern const unsigned char ${NAME}[];
extern const size_t ${NAME}Size;
const unsigned char ${NAME}[] = {
${bytes}};
const size_t ${NAME}Size = ${size};
}  // namespace dure
")
