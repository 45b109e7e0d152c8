/* The hash table of a head's series, by the numbers of their label pairs. Twins: trimon/storage/head/seriestable.py.
 *
 * `flat[offsets[s]]` to `flat[offsets[s + 1] - 1]` are the pairs of series s, `hashes[s]` is the sum of their hashes; `table` has
 * `places`, a power of two, of which more than half are free (-1). Runs to look up lie one after the other in `pairs`.
 */
#include "loops.h"

typedef struct {
    int32_t *table;
    uint64_t mask;
    uint64_t *hashes;
    int64_t *offsets;
    int32_t *flat;
    int64_t series;
} index_of;

/* The series of a run, -1 where there is none; `*place` is where it was looked for last. */
static int32_t find(const index_of *known, const int32_t *run, int64_t length, uint64_t hash, uint64_t *place)
{
    int32_t series;
    for (*place = hash & known->mask; (series = known->table[*place]) >= 0; *place = (*place + 1) & known->mask) {
        if (series >= known->series || known->hashes[series] != hash)
            continue;
        int64_t begin = known->offsets[series];
        if (known->offsets[series + 1] - begin == length && !memcmp(known->flat + begin, run, (size_t)length * sizeof *run))
            return series;
    }
    return -1;
}

/* The series of runs: `found[i]` and `sums[i]`, their hashes. How many there are none of; -1 where a number is none of a pair. */
EXPORT int64_t trimon_find_series(
    const int32_t *pairs, const int64_t *lengths, int64_t count, int64_t total, const uint64_t *pair_hashes, int64_t pair_count,
    int32_t *table, int64_t places, uint64_t *hashes, int64_t *offsets, int32_t *flat, int64_t series, int32_t *found,
    uint64_t *sums)
{
    index_of known = {table, (uint64_t)places - 1, hashes, offsets, flat, series};
    int64_t at = 0, missing = 0;
    if (places <= series || (places & (places - 1)))
        return -1;
    for (int64_t run = 0; run < count; run++) {
        uint64_t sum = 0, place;
        if (lengths[run] < 0 || lengths[run] > total - at)
            return -1;
        for (int64_t pair = 0; pair < lengths[run]; pair++) {
            int32_t number = pairs[at + pair];
            if (number < 0 || number >= pair_count)
                return -1;
            sum += pair_hashes[number];
        }
        sums[run] = sum;
        found[run] = find(&known, pairs + at, lengths[run], sum, &place);
        missing += found[run] < 0;
        at += lengths[run];
    }
    return missing;
}

/* Makes the series of which `found` has none, in order, until there are `limit` if that is not 0: then it stays -1. How many there are
 * then; -1 where there is no room. The arrays have room for `room` series and `flat_room` pairs. */
EXPORT int64_t trimon_add_series(
    const int32_t *pairs, const int64_t *lengths, int64_t count, const uint64_t *sums, int64_t limit, int32_t *table,
    int64_t places, uint64_t *hashes, int64_t *offsets, int32_t *flat, int64_t series, int64_t room, int64_t flat_room,
    int32_t *found)
{
    index_of known = {table, (uint64_t)places - 1, hashes, offsets, flat, series};
    int64_t at = 0;
    if (places <= room || (places & (places - 1)))
        return -1;
    for (int64_t run = 0; run < count; at += lengths[run++]) {
        uint64_t place;
        if (found[run] >= 0)
            continue;
        found[run] = find(&known, pairs + at, lengths[run], sums[run], &place);
        if (found[run] >= 0 || (limit && known.series >= limit))
            continue;
        int64_t begin = offsets[known.series];
        if (known.series >= room || begin + lengths[run] > flat_room)
            return -1;
        memcpy(flat + begin, pairs + at, (size_t)lengths[run] * sizeof *pairs);
        hashes[known.series] = sums[run];
        offsets[known.series + 1] = begin + lengths[run];
        table[place] = found[run] = (int32_t)known.series++;
    }
    return known.series;
}
