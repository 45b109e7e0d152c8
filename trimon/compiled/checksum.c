/* The CRC-32 of gzip and zlib, by multiplication without carries: RFC 1952, section 8.
 *
 * Bits of a byte are the coefficients of a polynomial, the lowest that of the highest power. 128 bits that lie n bits before
 * others are the same, modulo the generator, as their two halves times x^(n+64) and x^n, added to those others. So 64 bytes at
 * a time are moved onto the next 64, then those onto 16, and the rest is divided bit by bit. zlib is the twin.
 */
#include "loops.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define LEAST_BYTES 64
#define GENERATOR 0xEDB88320u

/* x^(512+32), x^(512-32), x^(128+32) and x^(128-32) modulo the generator, with bits in this order. */
static const uint64_t BY_512[2] = {0x154442bd4, 0x1c6e41596}, BY_128[2] = {0x1751997d0, 0x0ccaa009e};

__attribute__((target("pclmul,sse2"))) static inline __m128i moved(__m128i what, __m128i by, __m128i onto)
{
    const __m128i low = _mm_clmulepi64_si128(what, by, 0x00), high = _mm_clmulepi64_si128(what, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), onto);
}

__attribute__((target("pclmul,sse2"))) static uint32_t checksum(const uint8_t *data, int64_t size)
{
    const uint8_t *at = data, *end = data + size;
    const __m128i by_512 = _mm_loadu_si128((const __m128i *)BY_512), by_128 = _mm_loadu_si128((const __m128i *)BY_128);
    __m128i four[4];
    for (int place = 0; place < 4; place++)
        four[place] = _mm_loadu_si128((const __m128i *)at + place);
    /* It begins with ones. */
    four[0] = _mm_xor_si128(four[0], _mm_cvtsi32_si128(-1));
    for (at += 64; end - at >= 64; at += 64)
        for (int place = 0; place < 4; place++)
            four[place] = moved(four[place], by_512, _mm_loadu_si128((const __m128i *)at + place));
    __m128i one = four[0];
    for (int place = 1; place < 4; place++)
        one = moved(one, by_128, four[place]);
    for (; end - at >= 16; at += 16)
        one = moved(one, by_128, _mm_loadu_si128((const __m128i *)at));
    uint8_t left[32];
    _mm_storeu_si128((__m128i *)left, one);
    memcpy(left + 16, at, (size_t)(end - at));
    uint32_t rest = 0;
    for (const uint8_t *byte = left; byte < left + 16 + (end - at); byte++) {
        rest ^= *byte;
        for (int bit = 0; bit < 8; bit++)
            rest = rest >> 1 ^ (GENERATOR & (0u - (rest & 1u)));
    }
    return ~rest;
}

/* The checksum; -1 for a few bytes, and where the processor cannot. */
EXPORT int64_t trimon_crc32(const uint8_t *data, int64_t size)
{
    if (size < LEAST_BYTES || !__builtin_cpu_supports("pclmul"))
        return -1;
    return checksum(data, size);
}
#else
EXPORT int64_t trimon_crc32(const uint8_t *data, int64_t size)
{
    (void)data, (void)size;
    return -1;
}
#endif
