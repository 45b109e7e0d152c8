/* Runs of neighbouring items copied from one array to another. The twin is `copy_runs_plainly` in
 * trimon/storage/head/runs.py. */
#include "loops.h"

/* Run `i` has `lengths[i]` items of eight bytes, from `starts[i]` of `from` to `places[i]` of `to`. Zero, or -1 at the first run
 * that is out of its bounds: those before it are copied. */
EXPORT int64_t trimon_copy_runs(
    const uint64_t *from, int64_t from_items, const int64_t *starts, const int64_t *lengths, int64_t count, uint64_t *to,
    int64_t to_items, const int64_t *places)
{
    for (int64_t run = 0; run < count; run++) {
        const int64_t start = starts[run], length = lengths[run], place = places[run];
        if (length < 0 || start < 0 || start > from_items - length || place < 0 || place > to_items - length)
            return -1;
        memcpy(to + place, from + start, (size_t)length * 8);
    }
    return 0;
}
