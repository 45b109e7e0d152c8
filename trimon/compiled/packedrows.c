/* Rows of samples, packed by column. The twins, which say what the bytes mean, are `pack_plain` and `unpack_plain` in
 * trimon/storage/head/packedrows.py. */
#include "loops.h"

/* `values[row][column]` as bits, at least one row. `firsts` gets the first row, `codes` by column width and shift, `out`, with
 * room for 8 bytes a value, the bytes; how many they are. */
EXPORT int64_t trimon_pack_rows(
    const uint64_t *values, int64_t rows, int64_t columns, uint64_t *firsts, uint8_t *codes, uint8_t *out)
{
    uint8_t *at = out;
    for (int64_t column = 0; column < columns; column++) {
        const uint64_t first = values[column];
        uint64_t differ = 0;
        for (int64_t row = 1; row < rows; row++)
            differ |= values[row * columns + column] ^ first;
        firsts[column] = first;
        if (!differ) {
            codes[column] = 0;
            continue;
        }
        const int shift = __builtin_ctzll(differ) / 8, width = 8 - __builtin_clzll(differ) / 8 - shift;
        codes[column] = (uint8_t)(width | shift << 4);
        for (int64_t row = 1; row < rows; row++) {
            uint64_t word = (values[row * columns + column] ^ first) >> (8 * shift);
            for (int byte = 0; byte < width; byte++, word >>= 8)
                *at++ = (uint8_t)word;
        }
    }
    return at - out;
}

/* Rows `begin` to `end` of some columns, of `rows` in all: `out[row - begin][place]` of `wanted[place]`. `starts` has of every
 * 16th column where its bytes begin in `data`, after which follow 8 more. Zero, or -1 when anything is out of its bounds. */
EXPORT int64_t trimon_unpack_rows(
    const uint64_t *firsts, const uint8_t *codes, const int64_t *starts, int64_t columns, const uint8_t *data, int64_t size,
    const int64_t *wanted, int64_t count, int64_t rows, int64_t begin, int64_t end, uint64_t *out)
{
    if (begin < 0 || end < begin || rows < end)
        return -1;
    for (int64_t place = 0; place < count; place++) {
        const int64_t column = wanted[place];
        if (column < 0 || column >= columns)
            return -1;
        const uint64_t first = firsts[column];
        const int width = codes[column] & 15, shift = codes[column] >> 4;
        if (!width) {
            for (int64_t row = begin; row < end; row++)
                out[(row - begin) * count + place] = first;
            continue;
        }
        int64_t before = 0;
        for (int64_t other = column & ~(int64_t)15; other < column; other++)
            before += codes[other] & 15;
        const int64_t start = starts[column / 16] + before * (rows - 1);
        if (width + shift > 8 || start < 0 || start > size || end - 1 > (size - start) / width)
            return -1;
        const uint64_t mask = width == 8 ? ~(uint64_t)0 : ((uint64_t)1 << (8 * width)) - 1;
        for (int64_t row = begin; row < end; row++) {
            const uint64_t word = row ? word_at(data + start + (row - 1) * width) & mask : 0;
            out[(row - begin) * count + place] = first ^ word << (8 * shift);
        }
    }
    return 0;
}
