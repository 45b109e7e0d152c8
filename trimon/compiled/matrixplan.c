/* How the series of a matrix of samples are encoded: class, exponent, base and the numbers that are stored of each.
 *
 * The twin is `encode` in `storage/codec/matrix.py`, where the classes are explained.
 */
#include "loops.h"

enum { CONSTANT = 0, DELTA = 1, SECOND = 2, XOR = 3, EXPONENTS = 8, SHIFTED = 128 };

static const int EXPONENT_OF[EXPONENTS] = {1, 2, 3, 4, 6, 9, 12, 15};
static const double SCALE_OF[EXPONENTS] = {1e1, 1e2, 1e3, 1e4, 1e6, 1e9, 1e12, 1e15};
static const double ROUNDS = 4503599627370496.0;     /* 2^52: from here on every float is whole */
static const double EXACT_MAX = 9007199254740992.0;  /* 2^53 */

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits;
}

static inline int is_finite(double value)
{
    return (bits_of(value) & 0x7FF0000000000000u) != 0x7FF0000000000000u;
}

static inline double rounded(double x)
{
    if (!(x > -ROUNDS && x < ROUNDS))
        return x;
    return x < 0 ? (x - ROUNDS) + ROUNDS : (x + ROUNDS) - ROUNDS;
}

/* The whole number that a value is after scaling; 0 and `broken` where it is none, exactly. */
static inline __attribute__((always_inline)) int64_t mantissa_of(double value, double scale, int *broken)
{
    const double whole = rounded(value * scale);
    if (!(whole > -EXACT_MAX && whole < EXACT_MAX)) {
        *broken = 1;
        return 0;
    }
    const int64_t mantissa = (int64_t)whole;
    *broken = bits_of((double)mantissa / scale) != bits_of(value);
    return mantissa;
}

/* The mantissas of a series and which cells are none; whether nearly all are. */
static inline __attribute__((always_inline)) int decimals(const double *values, int64_t samples, double scale, int64_t *mantissas, uint8_t *broken,
                    int64_t *broken_count)
{
    int64_t odd = 0, strange = 0;
    for (int64_t i = 0; i < samples; i++) {
        int bad;
        mantissas[i] = mantissa_of(values[i], scale, &bad);
        broken[i] = (uint8_t)bad;
        if (bad) {
            if (is_finite(values[i])) {
                if (++odd > samples / 32)
                    return 0;
            } else {
                strange++;
            }
        }
    }
    *broken_count = odd + strange;
    return strange <= samples / 2 + 1;
}

/* The first exponent, by its place, that fits the probed samples; -1 if none does. */
static int likely_exponent(const double *values, const int64_t *probes, int64_t count)
{
    int64_t finite = 0;
    for (int64_t i = 0; i < count; i++)
        finite += is_finite(values[probes[i]]);
    for (int place = 0; finite && place < EXPONENTS; place++) {
        int64_t misses = 0;
        for (int64_t i = 0; i < count && misses <= 1; i++) {
            int bad;
            mantissa_of(values[probes[i]], SCALE_OF[place], &bad);
            misses += bad && is_finite(values[probes[i]]);
        }
        if (misses <= 1)
            return place;
    }
    return -1;
}

static int code_of(uint64_t largest)
{
    if (largest < 16)
        return largest < 2 ? 4 : largest < 4 ? 5 : 6;
    return largest < 256 ? 0 : largest < 65536 ? 1 : largest >> 32 == 0 ? 2 : 3;
}

static uint64_t zigzagged(int64_t number)
{
    return (uint64_t)number << 1 ^ (uint64_t)(number >> 63);
}

/* Takes away the lowest bits that are 0 in all of some whole numbers; how many there are. */
static int without_zeros(int64_t *mantissas, int64_t samples)
{
    uint64_t used = 0;
    for (int64_t i = 0; i < samples; i++)
        used |= (uint64_t)mantissas[i];
    if (used == 0 || used & 1)
        return 0;
    const int zeros = __builtin_ctzll(used);
    for (int64_t i = 0; i < samples; i++)
        mantissas[i] >>= zeros;
    return zeros;
}

static double size_of(int64_t number)
{
    return (double)(number < 0 ? -number : number);
}

/* The numbers of a decimal series and what it is; -1 where sums are too large to be exact. */
static int differences(const int64_t *mantissas, int64_t samples, uint64_t *numbers, int64_t *base)
{
    const int64_t span = mantissas[samples - 1] - mantissas[0], steps = samples - 1;
    const int64_t mean = span / steps - (span % steps < 0);
    int64_t lowest = INT64_MAX, highest = INT64_MIN, before = 0;
    double curvature = 0, spread = 0;
    for (int64_t i = 1; i < samples; i++) {
        const int64_t step = mantissas[i] - mantissas[i - 1];
        lowest = step < lowest ? step : lowest;
        highest = step > highest ? step : highest;
        spread += size_of(step - mean);
        if (i > 1)
            curvature += size_of(step - before);
        before = step;
    }
    if (spread >= EXACT_MAX || curvature >= EXACT_MAX)
        return -1;
    uint64_t largest = 0;
    numbers[0] = 0;
    if (curvature * 2 < spread) {
        *base = mantissas[1] - mantissas[0];
        numbers[1] = 0;
        for (int64_t i = 2; i < samples; i++) {
            numbers[i] = zigzagged(mantissas[i] - 2 * mantissas[i - 1] + mantissas[i - 2]);
            largest = numbers[i] > largest ? numbers[i] : largest;
        }
        return SECOND + 4 * code_of(largest);
    }
    const int narrow = highest - lowest < 16;
    *base = narrow ? lowest : mean;
    for (int64_t i = 1; i < samples; i++) {
        const int64_t rest = mantissas[i] - mantissas[i - 1] - *base;
        numbers[i] = narrow ? (uint64_t)rest : zigzagged(rest);
        largest = numbers[i] > largest ? numbers[i] : largest;
    }
    return DELTA + 4 * code_of(largest);
}

/* Plans a matrix `values` [count, samples], bit for bit.
 *
 * `probes` int64[probe_count]: the samples by which exponents are guessed; `scratch` int64[samples]. Out, of each series:
 * `groups` (class + 4 * code), `exponents`, `firsts`, `bases`; of each cell the number that is stored, and whether it is an
 * exception, whose bits are stored aside. Returns the number of exceptions, or -1 for a matrix that the twin takes.
 */
EXPORT int64_t trimon_matrix_plan(const double *values, int64_t count, int64_t samples, const int64_t *probes,
                                  int64_t probe_count, int64_t *scratch, uint8_t *groups, uint8_t *exponents,
                                  int64_t *firsts, int64_t *bases, uint64_t *numbers, uint8_t *broken)
{
    int64_t exceptions = 0;
    if (samples < 1 || samples > INT32_MAX || count < 0)
        return -1;
    for (int64_t i = 0; i < probe_count; i++)
        if (probes[i] < 0 || probes[i] >= samples)
            return -1;
    for (int64_t series = 0; series < count; series++) {
        const double *row = values + series * samples;
        uint64_t *out = numbers + series * samples;
        uint8_t *bad = broken + series * samples;
        const uint64_t first = bits_of(row[0]);
        int64_t same = 1, flawed = 0;
        while (same < samples && bits_of(row[same]) == first)
            same++;
        exponents[series] = 0;
        bases[series] = 0;
        firsts[series] = (int64_t)first;
        if (same == samples) {
            groups[series] = CONSTANT;
            memset(bad, 0, (size_t)samples);
            continue;
        }
        int place = -1, decimal = decimals(row, samples, 1.0, scratch, bad, &flawed);
        if (!decimal) {
            place = likely_exponent(row, probes, probe_count);
            decimal = place >= 0 && decimals(row, samples, SCALE_OF[place], scratch, bad, &flawed);
        }
        if (!decimal) {
            memset(bad, 0, (size_t)samples);
            groups[series] = XOR + 4 * 3;
            out[0] = 0;
            for (int64_t i = 1; i < samples; i++)
                out[i] = bits_of(row[i]) ^ bits_of(row[i - 1]);
            continue;
        }
        if (flawed) {
            int64_t good = 0;
            while (good < samples && bad[good])
                good++;
            if (good == samples)
                return -1;
            exceptions += flawed;
            int64_t held = scratch[good];
            for (int64_t i = 0; i < samples; i++) {
                if (bad[i])
                    scratch[i] = held;
                held = scratch[i];
            }
        }
        const int zeros = place < 0 ? without_zeros(scratch, samples) : 0;
        exponents[series] = (uint8_t)(place >= 0 ? EXPONENT_OF[place] : zeros ? SHIFTED + zeros : 0);
        firsts[series] = scratch[0];
        const int group = differences(scratch, samples, out, bases + series);
        if (group < 0)
            return -1;
        groups[series] = (uint8_t)group;
    }
    return exceptions;
}

/* One plane of the numbers of some series: of their bytes, or of 1, 2 or 4 bits each for the codes 4 to 6.
 *
 * `rows` int64[count] are places in `numbers` [series, samples]. Returns the bytes written, or -1 for a place beyond it.
 */
EXPORT int64_t trimon_matrix_plane(const uint64_t *numbers, int64_t series, int64_t samples, const int64_t *rows,
                                   int64_t count, int64_t code, int64_t plane, uint8_t *out)
{
    uint8_t *at = out;
    for (int64_t i = 0; i < count; i++) {
        if (rows[i] < 0 || rows[i] >= series)
            return -1;
        const uint64_t *row = numbers + rows[i] * samples;
        if (code < 4) {
            for (int64_t k = 0; k < samples; k++)
                at[k] = (uint8_t)(row[k] >> 8 * plane);
            at += samples;
            continue;
        }
        const int bits = 1 << (code - 4), each = 8 / bits;
        for (int64_t k = 0; k < samples; k += each) {
            unsigned packed = 0;
            for (int64_t m = 0; m < each && k + m < samples; m++)
                packed |= (unsigned)row[k + m] << m * bits;
            *at++ = (uint8_t)packed;
        }
    }
    return at - out;
}
