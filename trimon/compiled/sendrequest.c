/* The samples of a remote-write request of 1.0: a field a sample, whose labels are copied from what the series table holds.
 *
 *   0a  length  labels...  12 10  09 value(8)  10 time(6)         a value
 *   0a  length  labels...  12 07               10 time(6)         the value +0, which has no field
 *
 * Times take six bytes: the caller sees to it that they are from 2^35 to below 2^42.
 */
#include "loops.h"

static size_t varint_bytes(uint64_t value)
{
    size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

static uint8_t *put_varint(uint8_t *out, uint64_t value)
{
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

/* Writes the fields of `count` samples; how many bytes they take, or -1 where `out_bytes` or a series' number is too small.
 * `starts` and `lengths` tell where in `labels` those of each of `known` series are. */
EXPORT int64_t trimon_send_samples(
    const uint8_t *labels, int64_t labels_bytes, const int64_t *starts, const int32_t *lengths, int64_t known,
    const int32_t *series, const int64_t *times_ms, const double *values, int64_t count,
    uint8_t *out, int64_t out_bytes)
{
    uint8_t *at = out, *end = out + out_bytes;
    for (int64_t place = 0; place < count; place++) {
        int64_t number = series[place];
        if (number < 0 || number >= known)
            return -1;
        int64_t start = starts[number], length = lengths[number];
        if (start < 0 || length < 0 || start > labels_bytes - length)
            return -1;
        uint64_t bits;
        memcpy(&bits, &values[place], 8);
        int64_t size = length + (bits ? 18 : 9);
        if ((int64_t)varint_bytes((uint64_t)size) + 1 + size > end - at)
            return -1;
        *at++ = 0x0a;
        at = put_varint(at, (uint64_t)size);
        memcpy(at, labels + start, (size_t)length);
        at += length;
        *at++ = 0x12;
        *at++ = bits ? 0x10 : 0x07;
        if (bits) {
            *at++ = 0x09;
            memcpy(at, &bits, 8);
            at += 8;
        }
        *at++ = 0x10;
        uint64_t time = (uint64_t)times_ms[place];
        for (int digit = 0; digit < 5; digit++) {
            *at++ = (uint8_t)(time | 0x80);
            time >>= 7;
        }
        *at++ = (uint8_t)(time & 0x7f);
    }
    return at - out;
}
