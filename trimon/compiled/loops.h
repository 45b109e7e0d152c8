/* What all files of the loops share.
 *
 * The rules: no allocation, no state, no errno, no Python. A function gets flat arrays with their lengths from the caller,
 * who owns them; it never reads or writes beyond a length it was given, whatever the content is. It returns a count, or a
 * negative number that the caller turns into an error. All numbers are little-endian, as on every machine there are wheels for.
 */
#ifndef TRIMON_LOOPS_H
#define TRIMON_LOOPS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "these loops are for little-endian machines"
#endif

/* Raised with every change of a function's arguments: a library of another number is not loaded. */
#define TRIMON_LOOPS_VERSION 17

#define EXPORT __attribute__((visibility("default")))

static inline uint64_t word_at(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

static inline uint64_t folded(uint64_t a, uint64_t b)
{
    const unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* A hash of some bytes; `seed` is another one in every process, so that nobody can prepare bytes that collide. */
static inline uint64_t hash_of(const uint8_t *data, int64_t size, uint64_t seed)
{
    uint64_t hash = seed ^ (uint64_t)size;
    int64_t at = 0;
    for (; at + 16 <= size; at += 16)
        hash = folded(word_at(data + at) ^ 0x9E3779B97F4A7C15u ^ seed, word_at(data + at + 8) ^ hash);
    uint64_t low = 0, high = 0;
    if (at + 8 <= size) {
        low = word_at(data + at);
        at += 8;
    }
    memcpy(&high, data + at, (size_t)(size - at));
    hash = folded(low ^ 0xD1B54A32D192ED03u ^ seed, high ^ hash);
    return folded(hash ^ 0x8CB92BA72F3D8DD7u, seed ^ 0xA0761D6478BD642Fu);
}

#endif
