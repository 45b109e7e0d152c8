/* Series and their samples as JSON, from what is text already.
 *
 *   numbers   [1.0,2.5,null,1e-7]                     as a JSON library writes floats: shortest, in its own form
 *   stamps    1700000000 1700000015 1700000030.5      one behind the other, `stamp_ends` tells where each ends
 *   metrics   {"job":"a"}{"job":"b"}                  in the same way
 *
 *   out       {"metric":{"job":"a"},"values":[[1700000000,"1"],[1700000015,"2.5"]]},{"metric":...
 *
 * A number is written in Prometheus' form: without a fraction where it is whole, plain from 1e-6 to below 1e21, else with an
 * exponent of two digits at least; what has no number is NaN or an infinity, as `values` says.
 */
#include "loops.h"

#define DIGITS_MAX 32
#define STAMP_BYTES 16

typedef struct {
    uint8_t *at, *end;
    int full;
} Out;

static void put(Out *out, const void *bytes, int64_t size)
{
    if (size < 0 || size > out->end - out->at) {
        out->full = 1;
        return;
    }
    memcpy(out->at, bytes, (size_t)size);
    out->at += size;
}

static void put_zeros(Out *out, int count)
{
    while (count-- > 0)
        put(out, "0", 1);
}

/* A number with an exponent, `text` to `end`, written anew; 0 where it is none. */
static int put_scaled(Out *out, const uint8_t *text, const uint8_t *end)
{
    uint8_t digits[DIGITS_MAX];
    int count = 0, point = -1, exponent = 0, sign = 1;
    if (text < end && *text == '-') {
        put(out, "-", 1);
        text++;
    }
    for (; text < end && *text != 'e' && *text != 'E'; text++) {
        if (*text == '.') {
            point = count;
            continue;
        }
        if (*text < '0' || *text > '9' || count == DIGITS_MAX)
            return 0;
        digits[count++] = *text;
    }
    if (text == end || count == 0)
        return 0;
    if (point < 0)
        point = count;
    text++;
    if (text < end && (*text == '-' || *text == '+'))
        sign = *text++ == '-' ? -1 : 1;
    if (text == end || end - text > 4)
        return 0;
    for (; text < end; text++) {
        if (*text < '0' || *text > '9')
            return 0;
        exponent = exponent * 10 + (*text - '0');
    }
    while (count > 1 && digits[count - 1] == '0')
        count--;
    /* 0.d1d2d3... times ten to the power of `power` */
    int power = point + sign * exponent;
    if (power > -6 && power <= 0) {
        put(out, "0.", 2);
        put_zeros(out, -power);
        put(out, digits, count);
    } else if (power > 0 && power <= 21) {
        put(out, digits, count < power ? count : power);
        put_zeros(out, power - count);
        if (count > power) {
            put(out, ".", 1);
            put(out, digits + power, count - power);
        }
    } else {
        int shown = power - 1;
        put(out, digits, 1);
        if (count > 1) {
            put(out, ".", 1);
            put(out, digits + 1, count - 1);
        }
        put(out, shown < 0 ? "e-" : "e+", 2);
        if (shown < 0)
            shown = -shown;
        uint8_t written[4];
        int size = 0;
        if (shown >= 100)
            written[size++] = (uint8_t)('0' + shown / 100);
        written[size++] = (uint8_t)('0' + shown / 10 % 10);
        written[size++] = (uint8_t)('0' + shown % 10);
        put(out, written, size);
    }
    return 1;
}

/* The next number of the list and what stands behind it; NULL where there is none, or no room. */
static const uint8_t *put_odd_number(Out *out, const uint8_t *text, const uint8_t *end, double value)
{
    const uint8_t *stop = text;
    while (stop < end && *stop != ',' && *stop != ']')
        stop++;
    if (stop == end || stop == text)
        return NULL;
    if (*text == 'n') {
        if (value != value)
            put(out, "NaN", 3);
        else
            put(out, value > 0 ? "+Inf" : "-Inf", 4);
    } else if (!put_scaled(out, text, stop)) {
        return NULL;
    }
    return out->full ? NULL : stop + 1;
}

/* The same; most numbers are copied as they are: all bytes that they may have at once, and their end is looked for then. */
static const uint8_t *put_number(Out *out, const uint8_t *text, const uint8_t *end, double value)
{
    if (out->end - out->at < DIGITS_MAX)
        return NULL;
    if (end - text < DIGITS_MAX)
        memcpy(out->at, text, (size_t)(end - text));
    else
        memcpy(out->at, text, DIGITS_MAX);
    int64_t size = 0, most = end - text < DIGITS_MAX ? end - text : DIGITS_MAX;
    /* Digits, a point and a sign stand between the comma and the colon. */
    while (size < most && (uint8_t)(text[size] - '-') < ':' - '-')
        size++;
    if (size == 0 || size == most || (text[size] != ',' && text[size] != ']'))
        return put_odd_number(out, text, end, value);
    out->at += size > 2 && text[size - 1] == '0' && text[size - 2] == '.' ? size - 2 : size;
    return text + size + 1;
}

/* Writes `rows` series, whose samples end at `row_ends` among `count` samples; with `single` each has one sample, as the value of
 * an instant. How many bytes it took, or -1 where the arguments do not fit each other or there is no room for 32 bytes more. */
EXPORT int64_t trimon_json_rows(
    const uint8_t *numbers, int64_t numbers_bytes, const double *values, int64_t count,
    const uint8_t *stamps, int64_t stamps_bytes, const int64_t *stamp_ends, int64_t stamp_count, const int32_t *stamp_of,
    const uint8_t *metrics, int64_t metrics_bytes, const int64_t *metric_ends, const int64_t *row_ends, int64_t rows,
    int32_t single, uint8_t *out, int64_t out_bytes)
{
    Out to = {out, out + out_bytes, 0};
    const uint8_t *text = numbers + 1, *numbers_end = numbers + numbers_bytes;
    int64_t sample = 0, metric = 0;
    if (numbers_bytes < 2)
        return -1;
    for (int64_t row = 0; row < rows; row++) {
        if (row)
            put(&to, ",", 1);
        if (metric_ends[row] < metric || metric_ends[row] > metrics_bytes || row_ends[row] < sample || row_ends[row] > count)
            return -1;
        put(&to, "{\"metric\":", 10);
        put(&to, metrics + metric, metric_ends[row] - metric);
        metric = metric_ends[row];
        if (single)
            put(&to, ",\"value\":", 9);
        else
            put(&to, ",\"values\":[", 11);
        for (int first = 1; sample < row_ends[row]; sample++, first = 0) {
            int64_t stamp = stamp_of[sample];
            if (stamp < 0 || stamp >= stamp_count || text >= numbers_end)
                return -1;
            int64_t begin = stamp ? stamp_ends[stamp - 1] : 0, stop = stamp_ends[stamp];
            if (begin < 0 || begin > stop || stop > stamps_bytes)
                return -1;
            int64_t size = stop - begin;
            if (size > to.end - to.at - 8)
                return -1;
            if (!first)
                *to.at++ = ',';
            *to.at++ = '[';
            if (size <= STAMP_BYTES && to.end - to.at >= STAMP_BYTES && stamps_bytes - begin >= STAMP_BYTES)
                memcpy(to.at, stamps + begin, STAMP_BYTES); /* of a known size, which is one instruction */
            else
                memcpy(to.at, stamps + begin, (size_t)size);
            to.at += size;
            *to.at++ = ',';
            *to.at++ = '"';
            text = put_number(&to, text, numbers_end, values[sample]);
            if (text == NULL || to.end - to.at < 2)
                return -1;
            *to.at++ = '"';
            *to.at++ = ']';
        }
        put(&to, single ? "}" : "]}", single ? 1 : 2);
        if (to.full)
            return -1;
    }
    return to.at - out;
}
