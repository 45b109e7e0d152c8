/* The cells of one row of the log, as differences from the row before. The twin, which says what the bytes mean, is
 * `pack_cells_plain` in trimon/storage/wal/cells.py. */
#include "loops.h"

#include <math.h>

#define SAME 255
#define XOR 0
#define WHOLE 1
#define MILLI 2
#define KINDS 3
#define EXACT_MAX 4503599627370496.0 /* 2**52 */

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Whether both are multiples of 1/scale to the bit; then their difference in multiples, small magnitudes as small numbers. */
static int scaled(double previous, double value, double scale, uint64_t *number)
{
    /* Adding zero makes minus zero plus zero, which then does not pass for the same bits. */
    double now = rint(value * scale) + 0.0, before = rint(previous * scale) + 0.0;
    if (!(fabs(now) < EXACT_MAX && fabs(before) < EXACT_MAX))
        return 0;
    if (bits_of(now / scale) != bits_of(value) || bits_of(before / scale) != bits_of(previous))
        return 0;
    int64_t difference = (int64_t)(now - before);
    *number = ((uint64_t)difference << 1) ^ (uint64_t)(difference >> 63);
    return 1;
}

static int bytes_of(uint64_t number)
{
    int bytes = 0;
    for (; number; number >>= 8)
        bytes++;
    return bytes;
}

/* `header` gets how many cells changed, how many of these are whole and milli, and the widths of whole, milli and XOR; `out`,
 * with room for 10 bytes a cell and 8 more, the bytes; how many they are. `kinds` and `numbers` are scratch for a cell each. */
EXPORT int64_t trimon_pack_cells(
    const double *previous, const double *values, int64_t cells, uint8_t *kinds, uint64_t *numbers, int64_t *header, uint8_t *out)
{
    uint64_t all[KINDS] = {0, 0, 0};
    int64_t counts[KINDS] = {0, 0, 0};
    for (int64_t cell = 0; cell < cells; cell++) {
        uint64_t now = bits_of(values[cell]), before = bits_of(previous[cell]), number;
        int kind = SAME;
        if (now != before) {
            if (scaled(previous[cell], values[cell], 1.0, &number))
                kind = WHOLE;
            else if (scaled(previous[cell], values[cell], 1000.0, &number))
                kind = MILLI;
            else {
                kind = XOR;
                number = now ^ before;
            }
            all[kind] |= number;
            counts[kind]++;
            numbers[cell] = number;
        }
        kinds[cell] = (uint8_t)kind;
    }
    int64_t changed = counts[XOR] + counts[WHOLE] + counts[MILLI];
    uint8_t *at = out;
    header[0] = changed;
    header[1] = counts[WHOLE];
    header[2] = counts[MILLI];
    header[3] = bytes_of(all[WHOLE]);
    header[4] = bytes_of(all[MILLI]);
    header[5] = bytes_of(all[XOR]);
    if (!changed)
        return 0;
    if (changed < cells) {
        memset(at, 0, (size_t)(cells + 7) / 8);
        for (int64_t cell = 0; cell < cells; cell++)
            at[cell >> 3] |= (uint8_t)((kinds[cell] != SAME) << (7 - (cell & 7)));
        at += (cells + 7) / 8;
    }
    if (counts[WHOLE] != changed && counts[MILLI] != changed && counts[XOR] != changed)
        for (int64_t cell = 0; cell < cells; cell++)
            if (kinds[cell] != SAME)
                *at++ = kinds[cell];
    uint8_t *parts[KINDS];
    parts[WHOLE] = at;
    parts[MILLI] = parts[WHOLE] + counts[WHOLE] * header[3];
    parts[XOR] = parts[MILLI] + counts[MILLI] * header[4];
    const int64_t widths[KINDS] = {header[5], header[3], header[4]};
    for (int64_t cell = 0; cell < cells; cell++) {
        if (kinds[cell] == SAME)
            continue;
        int kind = kinds[cell];
        uint8_t *byte = parts[kind]++;
        uint64_t number = numbers[cell];
        for (int64_t plane = 0; plane < widths[kind]; plane++, number >>= 8, byte += counts[kind])
            *byte = (uint8_t)number;
    }
    return at - out + counts[WHOLE] * header[3] + counts[MILLI] * header[4] + counts[XOR] * header[5];
}

/* The cells of a row: what `header` (counts of changed, whole and milli cells, widths of whole, milli and XOR) and `data` of so
 * many bytes make of the row before. How many bytes that took; -1 where the counts fit neither one another nor the bytes. */
EXPORT int64_t trimon_unpack_cells(const double *previous, int64_t cells, int64_t changed, int64_t wholes, int64_t millis,
    int64_t whole_width, int64_t milli_width, int64_t xor_width, const uint8_t *data, int64_t size, double *values)
{
    const int64_t counts[KINDS] = {changed - wholes - millis, wholes, millis};
    int64_t widths[KINDS] = {xor_width, whole_width, milli_width};
    if (changed <= 0 || changed > cells || wholes < 0 || millis < 0 || wholes > changed || millis > changed - wholes)
        return -1;
    for (int kind = 0; kind < KINDS; kind++)
        if (widths[kind] < 0 || widths[kind] > 8 || (!counts[kind] && widths[kind]))
            return -1;
    const uint8_t *flags = NULL, *kinds = NULL, *parts[KINDS];
    int64_t used = 0, left[KINDS] = {counts[XOR], counts[WHOLE], counts[MILLI]};
    if (changed < cells) {
        flags = data;
        used = (cells + 7) / 8;
    }
    if (counts[XOR] != changed && counts[WHOLE] != changed && counts[MILLI] != changed) {
        kinds = data + used;
        used += changed;
    }
    const int64_t total = used + wholes * whole_width + millis * milli_width + counts[XOR] * xor_width;
    if (total > size)
        return -1;
    parts[WHOLE] = data + used;
    parts[MILLI] = parts[WHOLE] + wholes * whole_width;
    parts[XOR] = parts[MILLI] + millis * milli_width;
    int only = wholes == changed ? WHOLE : millis == changed ? MILLI : XOR;
    int64_t seen = 0;
    for (int64_t cell = 0; cell < cells; cell++) {
        if (flags && !(flags[cell >> 3] >> (7 - (cell & 7)) & 1)) {
            values[cell] = previous[cell];
            continue;
        }
        if (seen == changed)
            return -1;
        int kind = kinds ? kinds[seen] : only;
        seen++;
        if (kind >= KINDS || !left[kind]--)
            return -1;
        const uint8_t *byte = parts[kind]++;
        uint64_t number = 0;
        for (int64_t plane = 0; plane < widths[kind]; plane++, byte += counts[kind])
            number |= (uint64_t)*byte << 8 * plane;
        if (kind == XOR) {
            const uint64_t bits = bits_of(previous[cell]) ^ number;
            memcpy(&values[cell], &bits, sizeof bits);
            continue;
        }
        const double scale = kind == WHOLE ? 1.0 : 1000.0;
        values[cell] = (rint(previous[cell] * scale) + (double)(int64_t)(number >> 1 ^ (~(number & 1) + 1))) / scale;
    }
    return seen == changed ? total : -1;
}
