/* A remote write request of the usual form in one pass: its series, looked up by the bytes of their labels, and its samples
 * as columns. Whatever is not usual is left to the caller, who reads the request in Python; nothing is half taken.
 *
 * Usual is: nothing but series, each of them label fields and then samples of `12 10 09 value*8 10 time*6` or of
 * `12 07 10 time*6`, whose value is 0.
 */
#include "loops.h"

enum { NOT_USUAL = -1, FULL = -2 };

/* What a series may have at most, and how many places of the table are looked at: beyond it Python takes over. */
enum { LABELS_MAX = 200, PROBES_MAX = 64 };

static const uint64_t MARKER = 0x7FFC6E6174697600u;
static const uint64_t ABSENT = 0x7FF47472696D6F6Eu;

/* A length of up to three bytes and the place behind it; -1 where it is longer or cut. */
static inline int64_t length_at(const uint8_t *data, int64_t *position, int64_t end)
{
    int64_t at = *position, value = 0;
    for (int shift = 0; shift < 21; shift += 7) {
        if (at >= end)
            return -1;
        const uint8_t byte = data[at++];
        value |= (int64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *position = at;
            return value;
        }
    }
    return -1;
}

/* Six bytes of a varint; -1 where it has another number of them. */
static inline int64_t time_at(const uint8_t *at)
{
    uint64_t raw = 0;
    memcpy(&raw, at, 6);
    if ((raw & 0x808080808080u) != 0x008080808080u)
        return -1;
    return (int64_t)((raw & 0x7F) | (raw >> 8 & 0x7F) << 7 | (raw >> 16 & 0x7F) << 14 | (raw >> 24 & 0x7F) << 21 |
                     (raw >> 32 & 0x7F) << 28 | (raw >> 40 & 0x7F) << 35);
}

/* The known labels: an open-addressed table of numbers (-1 where free), of each the hash and where its bytes begin. */
typedef struct {
    const int32_t *slots;
    int64_t mask;
    const uint64_t *hashes;
    const int64_t *offsets;
    int64_t count;
    const uint8_t *text;
    int64_t text_size;
} Known;

static int32_t find(const Known *known, const uint8_t *key, int64_t size, uint64_t hash)
{
    int64_t slot = (int64_t)(hash & (uint64_t)known->mask);
    for (int probe = 0; probe < PROBES_MAX; probe++) {
        const int32_t number = known->slots[slot];
        if (number < 0 || number >= known->count)
            return -1;
        const int64_t begin = known->offsets[number], end = known->offsets[number + 1];
        if (known->hashes[number] == hash && end - begin == size && begin >= 0 && end <= known->text_size &&
            memcmp(known->text + begin, key, (size_t)size) == 0)
            return number;
        slot = (slot + 1) & known->mask;
    }
    return -1;
}

/* The end of the label fields that begin at a place, or NOT_USUAL. */
static int64_t labels_end(const uint8_t *data, int64_t position, int64_t end)
{
    for (int labels = 0; position < end && data[position] == 0x0A; labels++) {
        if (labels == LABELS_MAX)
            return NOT_USUAL;
        position++;
        const int64_t size = length_at(data, &position, end);
        if (size < 0 || size > end - position)
            return NOT_USUAL;
        position += size;
    }
    return position;
}

/* Reads a request.
 *
 * `known`: slots int32[mask + 1], mask, hashes uint64[count], offsets int64[count + 1], count, text uint8[text_size].
 * Out, a series: `numbers` int32 (-1: not known), `labels` int64[2 * series_max] (begin and end of its label bytes),
 * `hashes_out` uint64. Out, a sample: `whose` int32 (place of its series in the request), `times` int64 in ms, `values`.
 * `counts` int64[4]: series, samples, earliest and latest time.
 *
 * Returns how many series are not known, NOT_USUAL, or FULL where a column is too short.
 */
EXPORT int64_t trimon_write_request_read(
    const uint8_t *data, int64_t size, uint64_t seed, const int32_t *slots, int64_t mask, const uint64_t *hashes,
    const int64_t *offsets, int64_t count, const uint8_t *text, int64_t text_size, int64_t series_max,
    int64_t samples_max, int32_t *numbers, int64_t *labels, uint64_t *hashes_out, int32_t *whose, int64_t *times,
    double *values, int64_t *counts)
{
    const Known known = {slots, mask, hashes, offsets, count, text, text_size};
    int64_t series = 0, samples = 0, unknown = 0, position = 0;
    int64_t earliest = INT64_MAX, latest = INT64_MIN;
    while (position < size) {
        if (data[position++] != 0x0A)
            return NOT_USUAL;
        const int64_t length = length_at(data, &position, size);
        if (length < 0 || length > size - position)
            return NOT_USUAL;
        const int64_t begin = position, end = position + length;
        position = labels_end(data, begin, end);
        if (position < 0)
            return NOT_USUAL;
        if (series >= series_max)
            return FULL;
        const uint64_t hash = hash_of(data + begin, position - begin, seed);
        const int32_t number = find(&known, data + begin, position - begin, hash);
        numbers[series] = number;
        labels[2 * series] = begin;
        labels[2 * series + 1] = position;
        hashes_out[series] = hash;
        unknown += number < 0;
        while (position < end) {
            const uint8_t *at = data + position;
            uint64_t bits = 0;
            if (end - position >= 18 && at[0] == 0x12 && at[1] == 0x10 && at[2] == 0x09 && at[11] == 0x10) {
                bits = word_at(at + 3);
                at += 12;
                position += 18;
            } else if (end - position >= 9 && at[0] == 0x12 && at[1] == 0x07 && at[2] == 0x10) {
                at += 3;
                position += 9;
            } else {
                return NOT_USUAL;
            }
            const int64_t time = time_at(at);
            /* Bits that mean something in storage come from nobody: Python says what becomes of them. */
            if (time < 0 || (bits & ~(uint64_t)0xFF) == MARKER || bits == ABSENT)
                return NOT_USUAL;
            if (samples >= samples_max)
                return FULL;
            whose[samples] = (int32_t)series;
            times[samples] = time;
            memcpy(values + samples, &bits, 8);
            samples++;
            earliest = time < earliest ? time : earliest;
            latest = time > latest ? time : latest;
        }
        series++;
    }
    counts[0] = series;
    counts[1] = samples;
    counts[2] = earliest;
    counts[3] = latest;
    return unknown;
}
