/* One member of gzip, whole and without anything unusual: what targets answer with. RFC 1951 and 1952.
 *
 * Whatever is not so is left to zlib, which is the twin and says what is wrong. The checksum is the caller's to compare.
 */
#include "loops.h"

#define FAST_BITS 10
#define LITERALS 288
#define DISTANCES 32
#define BITS_MAX 15
#define HEAD_BYTES 10
#define TAIL_BYTES 8

typedef struct {
    uint16_t fast[1 << FAST_BITS]; /* length << 9 | symbol by the next bits; 0 where the code is longer */
    uint16_t counts[BITS_MAX + 1];
    uint16_t symbols[LITERALS];
} code;

typedef struct {
    const uint8_t *at, *end;
    uint64_t bits;
    int count;
    int missing; /* zero bytes that were made up behind the end */
} source;

static const uint16_t LENGTH[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                    31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t LENGTH_BITS[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint16_t DISTANCE[30] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                      193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
static const uint8_t DISTANCE_BITS[30] = {0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                                          6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};
static const uint8_t ORDER[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

/* At least 56 bits from now on. */
static void refill(source *in)
{
    if (in->end - in->at >= 8) {
        uint64_t next;
        memcpy(&next, in->at, 8);
        in->bits |= next << in->count;
        in->at += (63 - in->count) >> 3;
        in->count |= 56;
        return;
    }
    while (in->count <= 56) {
        if (in->at < in->end)
            in->bits |= (uint64_t)*in->at++ << in->count;
        else
            in->missing++;
        in->count += 8;
    }
}

static uint32_t take(source *in, int count)
{
    uint32_t bits = (uint32_t)(in->bits & ((UINT64_C(1) << count) - 1));
    in->bits >>= count;
    in->count -= count;
    return bits;
}

/* -1 for lengths that make no complete code. */
static int build(code *made, const uint8_t *lengths, int symbols)
{
    uint16_t offsets[BITS_MAX + 2], next[BITS_MAX + 2];
    int left = 1;
    memset(made->counts, 0, sizeof made->counts);
    memset(made->fast, 0, sizeof made->fast);
    for (int symbol = 0; symbol < symbols; symbol++)
        made->counts[lengths[symbol]]++;
    made->counts[0] = 0;
    offsets[1] = next[1] = 0;
    for (int length = 1; length <= BITS_MAX; length++) {
        left = 2 * left - made->counts[length];
        if (left < 0)
            return -1;
        offsets[length + 1] = (uint16_t)(offsets[length] + made->counts[length]);
        next[length + 1] = (uint16_t)((next[length] + made->counts[length]) << 1);
    }
    if (left)
        return -1;
    for (int symbol = 0; symbol < symbols; symbol++) {
        int length = lengths[symbol];
        if (!length)
            continue;
        made->symbols[offsets[length]++] = (uint16_t)symbol;
        unsigned number = next[length]++, turned = 0;
        if (length > FAST_BITS)
            continue;
        for (int bit = 0; bit < length; bit++)
            turned |= ((number >> bit) & 1u) << (length - 1 - bit);
        for (unsigned place = turned; place < (1u << FAST_BITS); place += 1u << length)
            made->fast[place] = (uint16_t)(length << 9 | symbol);
    }
    return 0;
}

/* The next symbol; -1 where no code fits. There are 15 bits. */
static int symbol_of(source *in, const code *with)
{
    unsigned entry = with->fast[in->bits & ((1u << FAST_BITS) - 1)];
    if (entry) {
        in->bits >>= entry >> 9;
        in->count -= (int)(entry >> 9);
        return (int)(entry & 511);
    }
    int number = 0, first = 0, index = 0;
    for (int length = 1; length <= BITS_MAX; length++) {
        number |= (int)take(in, 1);
        int count = with->counts[length];
        if (number - count < first)
            return with->symbols[index + number - first];
        index += count;
        first = (first + count) << 1;
        number <<= 1;
    }
    return -1;
}

static int read_codes(source *in, code *literals, code *distances)
{
    uint8_t lengths[LITERALS + DISTANCES];
    refill(in);
    int many = (int)take(in, 5) + 257, far = (int)take(in, 5) + 1, given = (int)take(in, 4) + 4, place = 0;
    if (many > 286 || far > 30)
        return -1;
    memset(lengths, 0, 19);
    for (; place < given; place++) {
        refill(in);
        lengths[ORDER[place]] = (uint8_t)take(in, 3);
    }
    if (build(literals, lengths, 19))
        return -1;
    for (place = 0; place < many + far;) {
        refill(in);
        int symbol = symbol_of(in, literals), repeat = 0, length = 0;
        if (symbol < 0)
            return -1;
        if (symbol < 16) {
            lengths[place++] = (uint8_t)symbol;
            continue;
        }
        if (symbol == 16) {
            if (!place)
                return -1;
            length = lengths[place - 1];
            repeat = 3 + (int)take(in, 2);
        } else if (symbol == 17)
            repeat = 3 + (int)take(in, 3);
        else
            repeat = 11 + (int)take(in, 7);
        if (place + repeat > many + far)
            return -1;
        memset(lengths + place, length, (size_t)repeat);
        place += repeat;
    }
    if (!lengths[256])
        return -1;
    return build(literals, lengths, many) || build(distances, lengths + many, far) ? -1 : 0;
}

static void fixed_codes(code *literals, code *distances)
{
    uint8_t lengths[LITERALS];
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    build(literals, lengths, LITERALS);
    memset(lengths, 5, DISTANCES);
    build(distances, lengths, DISTANCES);
}

/* What one block with codes stands for; where it ends, -1 for what is wrong or does not fit. */
static int64_t block(source *from, const code *literals, const code *distances, uint8_t *out, int64_t used, int64_t room)
{
    /* A copy of its own: what is written to `out` might be the original, as far as the compiler knows. */
    source in = *from;
    uint8_t *to = out + used, *const end = out + room;
    for (;;) {
        refill(&in);
        unsigned entry = literals->fast[in.bits & ((1u << FAST_BITS) - 1)];
        /* Text has runs of literals, and there are bits for some. */
        for (int more = 0; more < 4 && entry && (entry & 511) < 256 && to < end; more++) {
            in.bits >>= entry >> 9;
            in.count -= (int)(entry >> 9);
            *to++ = (uint8_t)entry;
            entry = literals->fast[in.bits & ((1u << FAST_BITS) - 1)];
        }
        if (in.count < 48)
            refill(&in);
        if (in.missing > 8)
            return -1;
        int symbol = symbol_of(&in, literals);
        if (symbol < 256) {
            if (symbol < 0 || to == end)
                return -1;
            *to++ = (uint8_t)symbol;
            continue;
        }
        if (symbol == 256) {
            *from = in;
            return to - out;
        }
        symbol -= 257;
        if (symbol >= 29)
            return -1;
        int64_t length = LENGTH[symbol] + take(&in, LENGTH_BITS[symbol]);
        symbol = symbol_of(&in, distances);
        if (symbol < 0 || symbol >= 30)
            return -1;
        if (in.count < 13)
            refill(&in);
        int64_t distance = DISTANCE[symbol] + take(&in, DISTANCE_BITS[symbol]);
        if (distance > to - out || length > end - to)
            return -1;
        const uint8_t *back = to - distance;
        uint8_t *stop = to + length;
        if (distance >= 8 && end - stop >= 8)
            do {
                memcpy(to, back, 8);
                to += 8;
                back += 8;
            } while (to < stop);
        else
            do
                *to++ = *back++;
            while (to < stop);
        to = stop;
    }
}

/* The contents of a gzip file of one member with the simplest of heads, of which `room` says how long they are.
 * How many bytes they are; -1 for anything else. */
EXPORT int64_t trimon_gunzip(const uint8_t *data, int64_t size, uint8_t *out, int64_t room)
{
    static const uint8_t head[4] = {0x1f, 0x8b, 8, 0};
    code literals, distances;
    if (size < HEAD_BYTES + TAIL_BYTES || memcmp(data, head, sizeof head))
        return -1;
    source in = {data + HEAD_BYTES, data + size - TAIL_BYTES, 0, 0, 0};
    int64_t used = 0;
    for (int last = 0; !last;) {
        refill(&in);
        last = (int)take(&in, 1);
        uint32_t kind = take(&in, 2);
        if (kind == 1)
            fixed_codes(&literals, &distances);
        else if (kind != 2 || read_codes(&in, &literals, &distances))
            return -1;
        used = block(&in, &literals, &distances, out, used, room);
        if (used < 0)
            return -1;
    }
    /* Whole bytes that were read and not needed were made up, or there is more than one member. */
    return used == room && in.at == in.end && in.count / 8 == in.missing ? used : -1;
}
