/* Loose samples: judged and put in order when they are pushed, and as bytes of the log and back.
 *
 * The twins are `Arrivals.judged` and what follows it in `storage/head/head.py`, and `packed`, `unpacked` in
 * `storage/wal/loosecells.py`.
 */
#include "loops.h"

static const uint64_t ABSENT_BITS = 0x7FF47472696D6F6Eu;
static const int64_t NEVER_MS = -((int64_t)1 << 62);
static const double EXACT_MAX = 4503599627370496.0; /* 2^52 */

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits;
}

static double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

/* What of a batch of samples is in order, which is all or nothing.
 *
 * `numbers` int32[listed]: the series; `order` int64[listed]: its places in ascending order of the series; `whose`
 * int32[samples]: the place of each sample's series, ascending. The newest sample of each series is in `last_times` (ms) and
 * `last_values`, `known` of them, and is overwritten. Out: `begins` int64[listed + 1], where the samples of each place begin;
 * `old_times`, `old_values` [listed], what stood there before; the samples by series.
 *
 * Returns 0; -1 where anything is not in order, out of bounds, new and not after `older_max_ms`, or a series is listed twice:
 * then the newest samples are what they were.
 */
EXPORT int64_t trimon_loose_take(
    const int32_t *numbers, const int64_t *order, int64_t listed, const int32_t *whose, const int64_t *times,
    const double *values, int64_t samples, int64_t *last_times, double *last_values, int64_t known, int64_t lowest_ms,
    int64_t highest_ms, int64_t older_max_ms, int64_t *begins, int64_t *old_times, double *old_values,
    int32_t *series_out, int64_t *times_out, double *values_out)
{
    int64_t sample = 0, done = 0, used = 0;
    for (int64_t place = 0; place < listed; place++) {
        begins[place] = sample;
        while (sample < samples && whose[sample] == place)
            sample++;
    }
    begins[listed] = sample;
    if (sample != samples)
        return -1;
    int64_t before = -1;
    for (; done < listed; done++) {
        const int64_t place = order[done];
        if (place < 0 || place >= listed)
            break;
        const int64_t number = numbers[place];
        if (number <= before || number >= known)
            break;
        before = number;
        int64_t at = begins[place];
        const int64_t end = begins[place + 1];
        int64_t last = last_times[number];
        old_times[place] = last;
        old_values[place] = last_values[number];
        if (at == end)
            continue;
        if (last == NEVER_MS && times[at] <= older_max_ms)
            break;
        for (; at < end; at++) {
            const int64_t time = times[at];
            if (time <= last || time < lowest_ms || time > highest_ms || bits_of(values[at]) == ABSENT_BITS)
                break;
            last = time;
            if (used >= samples)
                break;
            series_out[used] = (int32_t)number;
            times_out[used] = time;
            values_out[used] = values[at];
            used++;
        }
        if (at < end)
            break;
        last_times[number] = last;
        last_values[number] = values[end - 1];
    }
    if (done == listed)
        return 0;
    while (done-- > 0) {
        last_times[numbers[order[done]]] = old_times[order[done]];
        last_values[numbers[order[done]]] = old_values[order[done]];
    }
    return -1;
}

static uint64_t zigzagged(int64_t number)
{
    return (uint64_t)number << 1 ^ (uint64_t)(number >> 63);
}

static int64_t unzigzagged(uint64_t number)
{
    return (int64_t)(number >> 1 ^ (~(number & 1) + 1));
}

/* How many low bytes hold all bits. */
static int64_t width_of(uint64_t bits)
{
    int64_t width = 0;
    for (; bits; bits >>= 8)
        width++;
    return width;
}

/* The low bytes of numbers, plane by plane. */
static uint8_t *planes(uint8_t *out, const uint64_t *numbers, int64_t count, int64_t width)
{
    for (int64_t plane = 0; plane < width; plane++)
        for (int64_t i = 0; i < count; i++)
            *out++ = (uint8_t)(numbers[i] >> 8 * plane);
    return out;
}

static void joined(uint64_t *numbers, const uint8_t *data, int64_t count, int64_t width)
{
    memset(numbers, 0, (size_t)count * 8);
    for (int64_t plane = 0; plane < width; plane++)
        for (int64_t i = 0; i < count; i++)
            numbers[i] |= (uint64_t)data[plane * count + i] << 8 * plane;
}

/* The multiple of 1/1000 that a value is, times 1000; whether it is one. */
static int milli_of(double value, int64_t *out)
{
    const double scaled = value * 1000.0;
    if (!(scaled > -EXACT_MAX && scaled < EXACT_MAX))
        return 0;
    const double whole = scaled < 0 ? (scaled - EXACT_MAX) + EXACT_MAX : (scaled + EXACT_MAX) - EXACT_MAX;
    if (!(whole > -EXACT_MAX && whole < EXACT_MAX) || bits_of((whole + 0.0) / 1000.0) != bits_of(value))
        return 0;
    *out = (int64_t)whole;
    return 1;
}

static int whole_of(double value, int64_t *out)
{
    if (!(value > -EXACT_MAX && value < EXACT_MAX))
        return 0;
    const int64_t number = (int64_t)value;
    if (bits_of((double)number) != bits_of(value))
        return 0;
    *out = number;
    return 1;
}

/* The arrays of a loose section of the log.
 *
 * `scratch` uint64[4 * count]; `out` has room for 24 * count + 16 bytes. `header` int64[9]: widths of series and times, then
 * changed, whole, milli, and the widths of whole, milli and xor cells; the number of them that count is the last.
 * Returns the bytes written.
 */
EXPORT int64_t trimon_loose_pack(const int32_t *series, const int64_t *times, const double *values, int64_t count,
                                 uint64_t *scratch, int64_t *header, uint8_t *out)
{
    uint8_t *at = out;
    uint64_t all = 0;
    int64_t before = 0;
    for (int64_t i = 0; i < count; i++) {
        scratch[i] = zigzagged(series[i] - before);
        all |= scratch[i];
        before = series[i];
    }
    header[0] = width_of(all);
    at = planes(at, scratch, count, header[0]);
    all = 0;
    uint64_t earlier = 0;
    for (int64_t i = 0; i < count; i++) {
        scratch[i] = zigzagged((int64_t)((uint64_t)times[i] - earlier));
        all |= scratch[i];
        earlier = (uint64_t)times[i];
    }
    header[1] = width_of(all);
    at = planes(at, scratch, count, header[1]);
    uint64_t *wholes = scratch, *millis = scratch + count, *crossed = scratch + 2 * count;
    uint8_t *kinds = (uint8_t *)(scratch + 3 * count);
    uint64_t whole_bits = 0, milli_bits = 0, cross_bits = 0;
    int64_t changed = 0, whole = 0, milli = 0, cross = 0;
    for (int64_t i = 0; i < count; i++) {
        const uint64_t bits = bits_of(values[i]);
        int64_t number;
        if (bits == 0)
            continue;
        if (whole_of(values[i], &number)) {
            kinds[changed++] = 1;
            wholes[whole] = zigzagged(number);
            whole_bits |= wholes[whole++];
        } else if (milli_of(values[i], &number)) {
            kinds[changed++] = 2;
            millis[milli] = zigzagged(number);
            milli_bits |= millis[milli++];
        } else {
            kinds[changed++] = 0;
            crossed[cross++] = bits;
            cross_bits |= bits;
        }
    }
    header[2] = changed;
    header[8] = 3;
    if (changed == 0)
        return at - out;
    header[3] = whole;
    header[4] = milli;
    header[5] = width_of(whole_bits);
    header[6] = width_of(milli_bits);
    header[7] = width_of(cross_bits);
    header[8] = 8;
    if (changed < count) {
        memset(at, 0, (size_t)((count + 7) / 8));
        for (int64_t i = 0; i < count; i++)
            if (bits_of(values[i]))
                at[i / 8] |= (uint8_t)(0x80 >> i % 8);
        at += (count + 7) / 8;
    }
    if (whole != changed && milli != changed && cross != changed) {
        memcpy(at, kinds, (size_t)changed);
        at += changed;
    }
    at = planes(at, wholes, whole, header[5]);
    at = planes(at, millis, milli, header[6]);
    at = planes(at, crossed, cross, header[7]);
    return at - out;
}

/* The samples of a section.
 *
 * `header` int64[8] as above (with `changed` 0 the rest is not looked at); `scratch` uint64[3 * count]. Out: `numbers` int64,
 * the series as the log numbers them, `times` int64 in ms, `values`. Returns the bytes read, or -1 for what is no section.
 */
EXPORT int64_t trimon_loose_unpack(const uint8_t *data, int64_t size, const int64_t *header, int64_t count,
                                   uint64_t *scratch, int64_t *numbers, int64_t *times, double *values)
{
    const int64_t widths[2] = {header[0], header[1]};
    int64_t *const outs[2] = {numbers, times};
    int64_t at = 0;
    if (count < 0)
        return -1;
    for (int part = 0; part < 2; part++) {
        if (widths[part] < 0 || widths[part] > 8 || widths[part] * count > size - at)
            return -1;
        joined(scratch, data + at, count, widths[part]);
        at += widths[part] * count;
        uint64_t sum = 0;
        for (int64_t i = 0; i < count; i++) {
            sum += (uint64_t)unzigzagged(scratch[i]);
            outs[part][i] = (int64_t)sum;
        }
    }
    const int64_t changed = header[2];
    if (changed == 0) {
        memset(values, 0, (size_t)count * 8);
        return at;
    }
    const int64_t whole = header[3], milli = header[4], cross = changed - whole - milli;
    if (changed < 0 || changed > count || whole < 0 || whole > changed || milli < 0 || milli > changed || cross < 0)
        return -1;
    const uint8_t *bitmap = NULL, *kinds = NULL;
    if (changed < count) {
        if ((count + 7) / 8 > size - at)
            return -1;
        bitmap = data + at;
        at += (count + 7) / 8;
    }
    if (whole != changed && milli != changed && cross != changed) {
        if (changed > size - at)
            return -1;
        kinds = data + at;
        at += changed;
    }
    const int64_t counts[3] = {whole, milli, cross};
    uint64_t *const parts[3] = {scratch, scratch + count, scratch + 2 * count};
    for (int kind = 0; kind < 3; kind++) {
        const int64_t width = header[5 + kind];
        if (counts[kind] == 0 && width == 0)
            continue;
        if (width < 0 || width > 8 || width * counts[kind] > size - at)
            return -1;
        joined(parts[kind], data + at, counts[kind], width);
        at += width * counts[kind];
    }
    int64_t taken[3] = {0, 0, 0};
    const int only = whole == changed ? 0 : milli == changed ? 1 : 2;
    int64_t cell = 0;
    for (int64_t i = 0; i < count; i++) {
        if (bitmap && !(bitmap[i / 8] & 0x80 >> i % 8)) {
            values[i] = 0.0;
            continue;
        }
        if (cell >= changed)
            return -1;
        int kind = only;
        if (kinds)
            kind = kinds[cell] == 1 ? 0 : kinds[cell] == 2 ? 1 : kinds[cell] == 0 ? 2 : -1;
        cell++;
        if (kind < 0 || taken[kind] >= counts[kind])
            return -1;
        const uint64_t number = parts[kind][taken[kind]++];
        values[i] = kind == 2   ? of_bits(number)
                    : kind == 1 ? (0.0 + (double)unzigzagged(number)) / 1000.0
                                : (double)unzigzagged(number);
    }
    return cell == changed ? at : -1;
}

/* Brings the newest sample of each series up to date, `known` of them: of several at one time the first counts.
 *
 * `span` int64[2] takes the earliest and the latest time. Returns 0, or -1 for a series that is none: nothing is changed then.
 */
EXPORT int64_t trimon_loose_newest(const int32_t *series, const int64_t *times, const double *values, int64_t count,
                                   int64_t *last_times, double *last_values, int64_t known, int64_t *span)
{
    int64_t earliest = INT64_MAX, latest = INT64_MIN;
    for (int64_t i = 0; i < count; i++)
        if (series[i] < 0 || series[i] >= known)
            return -1;
    for (int64_t i = 0; i < count; i++) {
        const int64_t time = times[i];
        earliest = time < earliest ? time : earliest;
        latest = time > latest ? time : latest;
        if (time > last_times[series[i]]) {
            last_times[series[i]] = time;
            last_values[series[i]] = values[i];
        }
    }
    span[0] = earliest;
    span[1] = latest;
    return 0;
}
