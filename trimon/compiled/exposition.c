/* Lines of a text exposition beside those of the body before: which are the same but for the number, and the numbers.
 *
 * Remembered lines are texts that lie one after the other: `ends[i]` is where that of line i ends. `slots[i]` says what the
 * line is: a remark (REMARK), which is the whole of its line, or the head of a sample, behind which a number stands. Twins:
 * trimon/scrape/exposition/samelines.py and alignment.py.
 */
#include "loops.h"

#define REMARK (-1)
/* Powers of five of which a quotient or product with 64 bits is exact in 128. */
#define POWER_MAX 27
#define DIGITS_MAX 19

typedef unsigned __int128 wide;

static const uint64_t FIVE[POWER_MAX + 1] = {
    UINT64_C(1), UINT64_C(5), UINT64_C(25), UINT64_C(125), UINT64_C(625), UINT64_C(3125), UINT64_C(15625), UINT64_C(78125),
    UINT64_C(390625), UINT64_C(1953125), UINT64_C(9765625), UINT64_C(48828125), UINT64_C(244140625), UINT64_C(1220703125),
    UINT64_C(6103515625), UINT64_C(30517578125), UINT64_C(152587890625), UINT64_C(762939453125), UINT64_C(3814697265625),
    UINT64_C(19073486328125), UINT64_C(95367431640625), UINT64_C(476837158203125), UINT64_C(2384185791015625),
    UINT64_C(11920928955078125), UINT64_C(59604644775390625), UINT64_C(298023223876953125), UINT64_C(1490116119384765625),
    UINT64_C(7450580596923828125),
};

static const double TEN[23] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/* The double nearest to a number of 64 bits, whose highest is set, times a power of two, ties to even; `more` says that
 * something smaller than the last bit follows. All results of this file are far from the ends of a double's range. */
static double rounded(uint64_t bits, int more, int power)
{
    uint64_t kept = bits >> 11, rest = bits & 0x7ff;
    if (rest > 0x400 || (rest == 0x400 && (more || (kept & 1)))) {
        kept++;
        if (kept >> 53) {
            kept >>= 1;
            power++;
        }
    }
    uint64_t all = ((uint64_t)(power + 11 + 52 + 1023) << 52) | (kept & ((UINT64_C(1) << 52) - 1));
    double value;
    memcpy(&value, &all, sizeof value);
    return value;
}

/* number * 10**power for a number that is not 0 and |power| <= POWER_MAX, correctly rounded. */
static double exact(uint64_t number, int power)
{
    int shift = __builtin_clzll(number);
    uint64_t left = number << shift;
    if (power >= 0) {
        wide product = (wide)left * FIVE[power];
        uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
        if (!high)
            return rounded(low, 0, power - shift);
        int up = __builtin_clzll(high);
        uint64_t bits = up ? (high << up) | (low >> (64 - up)) : high;
        return rounded(bits, (low << up) != 0, power - shift + 64 - up);
    }
    int by = __builtin_clzll(FIVE[-power]);
    uint64_t divisor = FIVE[-power] << by;
    wide dividend = (wide)left << 63;
    uint64_t quotient = (uint64_t)(dividend / divisor);
    int more = dividend != (wide)quotient * divisor;
    int up = __builtin_clzll(quotient);
    return rounded(quotient << up, more, power - shift + by - 63 - up);
}

/* A plain decimal from `at` up to a line's end or `end`: where it ends, NULL for anything else. */
static const uint8_t *decimal(const uint8_t *at, const uint8_t *end, double *value)
{
    uint64_t number = 0;
    int digits = 0, any = 0, power = 0, negative = 0;
    if (at < end && (*at == '-' || *at == '+'))
        negative = *at++ == '-';
    for (; at < end && (uint8_t)(*at - '0') < 10; at++) {
        any = 1;
        number = number * 10 + (uint64_t)(*at - '0');
        digits += number != 0;
        if (digits > DIGITS_MAX)
            return NULL;
    }
    if (at < end && *at == '.') {
        for (at++; at < end && (uint8_t)(*at - '0') < 10; at++) {
            any = 1;
            number = number * 10 + (uint64_t)(*at - '0');
            digits += number != 0;
            power--;
            if (digits > DIGITS_MAX || power < -400)
                return NULL;
        }
    }
    if (!any)
        return NULL;
    if (at < end && (*at == 'e' || *at == 'E')) {
        int sign = 1, exponent = 0, figures = 0;
        at++;
        if (at < end && (*at == '-' || *at == '+'))
            sign = *at++ == '-' ? -1 : 1;
        for (; at < end && (uint8_t)(*at - '0') < 10; at++) {
            exponent = exponent * 10 + (*at - '0');
            if (++figures > 4)
                return NULL;
        }
        if (!figures)
            return NULL;
        power += sign * exponent;
    }
    if (at < end && *at != '\n')
        return NULL;
    double result;
    if (!number)
        result = 0.0;
    else if (number < (UINT64_C(1) << 53) && power >= -22 && power <= 22)
        result = power < 0 ? (double)number / TEN[-power] : (double)number * TEN[power];
    else if (power >= -POWER_MAX && power <= POWER_MAX)
        result = exact(number, power);
    else
        return NULL;
    *value = negative ? -result : result;
    return at;
}

static const uint8_t *line_end(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *found = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    return found ? found : end;
}

/* The number of each slot of a body that has the lines it had: how many lines have something else than a plain decimal behind
 * their heads, -1 where lines are not the same. `odd` gets of each of these the line, and where that rest begins and ends; it has
 * room for all lines. Slots ascend with lines. */
EXPORT int64_t trimon_same_lines(
    const uint8_t *text, const int32_t *ends, const int32_t *slots, int64_t lines, const uint8_t *body, int64_t size,
    double *values, int64_t room, int32_t *odd)
{
    const uint8_t *at = body, *end = body + size;
    int64_t odds = 0;
    int32_t begin = 0;
    for (int64_t line = 0; line < lines; line++) {
        int32_t length = ends[line] - begin;
        double value = 0.0;
        if (length < 0 || length > end - at || memcmp(at, text + begin, (size_t)length))
            return -1;
        begin = ends[line];
        at += length;
        if (slots[line] != REMARK) {
            const uint8_t *after = decimal(at, end, &value);
            if (!after) {
                after = line_end(at, end);
                odd[3 * odds] = (int32_t)line;
                odd[3 * odds + 1] = (int32_t)(at - body);
                odd[3 * odds + 2] = (int32_t)(after - body);
                odds++;
            }
            at = after;
            if (slots[line] >= 0) {
                if (slots[line] >= room)
                    return -1;
                values[slots[line]] = value;
            }
        }
        if (line + 1 == lines)
            return at == end ? odds : -1;
        if (at == end || *at != '\n')
            return -1;
        at++;
    }
    return -1;
}

/* The lines that are remembered, and by their texts where they are: `table` has 2**k places, and is filled when it is first needed. */
typedef struct {
    const uint8_t *text;
    const int32_t *ends, *slots;
    int64_t lines;
    int32_t *table;
    uint64_t mask, seed;
    int filled;
} memory;

static int64_t begin_of(const memory *known, int64_t line)
{
    return line ? known->ends[line - 1] : 0;
}

/* Whether a line begins with a head, or is a remark. */
static int fits(const memory *known, int64_t place, const uint8_t *at, int64_t length)
{
    if (place < 0 || place >= known->lines)
        return 0;
    int64_t begin = begin_of(known, place), size = known->ends[place] - begin;
    if (size > length || (known->slots[place] == REMARK && size != length))
        return 0;
    return !memcmp(at, known->text + begin, (size_t)size);
}

/* How long the last word of a line is. */
static int64_t last_word(const uint8_t *at, int64_t length)
{
    int64_t size = 0;
    while (size < length && at[length - size - 1] != ' ')
        size++;
    return size;
}

/* Whether the text of a line is this one. */
static int is_text(const memory *known, int64_t line, const uint8_t *text, int64_t size)
{
    int64_t begin = begin_of(known, line);
    return known->ends[line] - begin == size && !memcmp(known->text + begin, text, (size_t)size);
}

/* Puts the first line of each text into the table, remarks and heads apart: bodies have the same blank line, and may have
 * the same comment, many times, and places that all are taken by it would be looked at for each. */
static void fill(memory *known)
{
    known->filled = 1;
    memset(known->table, 0xff, (known->mask + 1) * sizeof *known->table);
    for (int64_t line = 0; line < known->lines; line++) {
        const uint8_t *text = known->text + begin_of(known, line);
        int64_t size = known->ends[line] - begin_of(known, line), other;
        uint64_t place = hash_of(text, size, known->seed) & known->mask;
        while ((other = known->table[place]) >= 0 &&
               !(is_text(known, other, text, size) && (known->slots[other] == REMARK) == (known->slots[line] == REMARK)))
            place = (place + 1) & known->mask;
        if (other < 0)
            known->table[place] = (int32_t)line;
    }
}

/* The place of the text that a line has before its last word; a comment is taken whole. -1: there is none. */
static int64_t found(memory *known, const uint8_t *at, int64_t length)
{
    if (!known->filled)
        fill(known);
    int64_t size = length && *at != '#' ? length - last_word(at, length) : length;
    for (uint64_t place = hash_of(at, size, known->seed) & known->mask; known->table[place] >= 0;
         place = (place + 1) & known->mask)
        if (is_text(known, known->table[place], at, size) && fits(known, known->table[place], at, length))
            return known->table[place];
    return -1;
}

/* Which remembered line each of a body is: `origin[i]` is its place, -1 where there is none, `heads[i]` is where its text ends,
 * `begins[i]` where the line begins, and `values[i]` the number behind a head; of a line that is not known the text ends before its
 * last word where that is a plain decimal, else where the line begins. How many lines have something else there, -1
 * where the body has other than `lines` lines. `table` has more places than there are remembered lines, a power of
 * two; `odd` as above. */
EXPORT int64_t trimon_match_lines(
    const uint8_t *text, const int32_t *ends, const int32_t *slots, int64_t remembered, int32_t *table, int64_t places,
    uint64_t seed, const uint8_t *body, int64_t size, int64_t lines, int32_t *begins, int32_t *origin, int32_t *heads, double *values,
    int32_t *odd)
{
    if (places <= remembered || (places & (places - 1)))
        return -1;
    for (int64_t line = 0; line < remembered; line++)
        if (ends[line] < (line ? ends[line - 1] : 0))
            return -1;
    memory known = {text, ends, slots, remembered, table, (uint64_t)places - 1, seed, 0};
    const uint8_t *at = body, *end = body + size;
    int64_t next = 0, missed = 0, odds = 0;
    for (int64_t line = 0; line < lines; line++) {
        const uint8_t *stop = line_end(at, end);
        int64_t length = stop - at, place = -1;
        if (fits(&known, next, at, length))
            place = next;
        else if (missed && fits(&known, next + missed, at, length))
            place = next + missed;
        else if (!missed && fits(&known, next + 1, at, length))
            place = next + 1;
        else
            place = found(&known, at, length);
        begins[line] = (int32_t)(at - body);
        origin[line] = (int32_t)place;
        heads[line] = begins[line];
        values[line] = 0.0;
        if (place < 0) {
            missed++;
            if (length && *at != '#' && decimal(stop - last_word(at, length), stop, &values[line]) == stop)
                heads[line] += (int32_t)(length - last_word(at, length));
        } else {
            next = place + 1;
            missed = 0;
            heads[line] += (int32_t)(ends[place] - begin_of(&known, place));
            if (slots[place] != REMARK && decimal(body + heads[line], stop, &values[line]) != stop) {
                odd[3 * odds] = (int32_t)line;
                odd[3 * odds + 1] = heads[line];
                odd[3 * odds + 2] = (int32_t)(stop - body);
                odds++;
            }
        }
        if (line + 1 == lines)
            return stop == end ? odds : -1;
        if (stop == end)
            return -1;
        at = stop + 1;
    }
    return -1;
}

/* Copies pieces of a text one behind the other, from `begins[i]` to `stops[i]`, and notes in `ends[i]` where each ends; how long
 * they are together, -1 where that is more than `room` or a piece is not within the text. */
EXPORT int64_t trimon_gather(
    const uint8_t *text, int64_t size, const int32_t *begins, const int32_t *stops, int64_t count, uint8_t *out, int64_t room,
    int32_t *ends)
{
    int64_t used = 0;
    for (int64_t piece = 0; piece < count; piece++) {
        int64_t begin = begins[piece], length = stops[piece] - begin;
        if (begin < 0 || length < 0 || begin + length > size || used + length > room)
            return -1;
        memcpy(out + used, text + begin, (size_t)length);
        used += length;
        ends[piece] = (int32_t)used;
    }
    return used;
}
