/* The labels of new lines of an exposition as numbers of label pairs, looked up by their texts. Twins:
 * trimon/scrape/exposition/pairtexts.py.
 *
 * Texts that are known lie one after the other: `ends[i]` is where text i ends, and 0 is nobody's. A text is the name of a metric,
 * a label's name with `="` behind it, or that with the value behind it: no two of these are ever the same. `names[i]` is 0 for a
 * metric's name, -1 for a label's, and for a pair the number of its label's name. Numbers without a text are not in the table.
 */
#include "loops.h"

enum { NOT_PLAIN = -1, FULL = -2 };

enum { SHAPES_MAX = 32, VALUE_MAX = 1024, LABELS_MAX = 200 };

typedef struct {
    uint8_t *text;
    int64_t text_room;
    int32_t *ends, *names, *table;
    uint64_t mask, seed;
    int64_t room, used;
} book;

/* The number of a text, which is added where it is new; FULL where there is no room for it. */
static int32_t number_of(book *known, const uint8_t *text, int64_t size, int32_t name)
{
    uint64_t place = hash_of(text, size, known->seed) & known->mask;
    int32_t other;
    while ((other = known->table[place]) > 0) {
        if (other >= known->used)
            return FULL;
        int64_t begin = known->ends[other - 1];
        if (known->ends[other] - begin == size && !memcmp(known->text + begin, text, (size_t)size))
            return other;
        place = (place + 1) & known->mask;
    }
    int64_t begin = known->ends[known->used - 1];
    if (known->used >= known->room || begin < 0 || begin + size > known->text_room)
        return FULL;
    int32_t number = (int32_t)known->used++;
    memcpy(known->text + begin, text, (size_t)size);
    known->ends[number] = (int32_t)(begin + size);
    known->names[number] = name;
    known->table[place] = number;
    return number;
}

static int is_letter(uint8_t byte)
{
    return (uint8_t)((byte | 0x20) - 'a') < 26 || byte == '_';
}

static int is_digit(uint8_t byte)
{
    return (uint8_t)(byte - '0') < 10;
}

/* Where a pair ends, before its last quote, which began at `at`: NULL where it is not plain. `equals` is behind the first quote. */
static const uint8_t *pair_end(const uint8_t *at, const uint8_t *end, const uint8_t **equals)
{
    if (at >= end || !is_letter(*at))
        return NULL;
    for (at++; at < end && (is_letter(*at) || is_digit(*at)); at++)
        ;
    if (end - at < 2 || at[0] != '=' || at[1] != '"')
        return NULL;
    at += 2;
    *equals = at;
    for (; at < end && *at != '"'; at++)
        if (*at == '\\' || !*at || *at >= 0x80 || *at == '\n')
            return NULL;
    return at < end && at > *equals && at - *equals <= VALUE_MAX ? at : NULL;
}

/* The pairs of one line, from its begin: where the series ends, with the space behind it, NULL where it is not plain; `*count` is how
 * many pairs there are, FULL where something has no room. */
static const uint8_t *read_head(
    book *known, const uint8_t *at, const uint8_t *end, int32_t *pieces, int64_t room, int64_t *count)
{
    const uint8_t *begin = at, *equals;
    int64_t found = 0;
    *count = 0;
    for (; at < end && (is_letter(*at) || *at == ':' || (at > begin && is_digit(*at))); at++)
        ;
    if (at == begin || at - begin > VALUE_MAX)
        return NULL;
    *count = FULL;
    if (room < 1 || (pieces[found++] = number_of(known, begin, at - begin, 0)) < 0)
        return at;
    if (at < end && *at == '{') {
        at++;
        while (at < end && *at != '}') {
            const uint8_t *stop = pair_end(at, end, &equals);
            if (!stop || found > LABELS_MAX)
                return NULL;
            int32_t name = number_of(known, at, equals - at, -1);
            if (found >= room || name < 0 || (pieces[found++] = number_of(known, at, stop - at, name)) < 0)
                return at;
            at = stop + 1;
            if (at < end && *at == ',')
                at++;
            else if (at >= end || *at != '}')
                return NULL;
        }
        if (at >= end)
            return NULL;
        at++;
    }
    *count = found;
    if (end - at < 2 || at[0] != ' ' || at[1] == ' ' || at[1] == '\t' || at[1] == '{' || !at[1] || at[1] == '\n')
        return NULL;
    return at + 1;
}

/* Reads the series of lines, from `begins[i]` to `stops[i]`. Of each: `sizes` how long its text is with the space behind it,
 * `pieces` the numbers of its metric's name and pairs, in order, up to `piece_ends`; `shapes` by which names they have, which is
 * that of line `shape_lines[shape]`. `used` is how many numbers the book has, and is set to how many it has then. How many shapes there
 * are; NOT_PLAIN where a line is something else, or has a value that is empty or not ASCII; FULL where there was no room.
 * `table` has `places`, a power of two, more than `room`. */
EXPORT int64_t trimon_read_heads(
    const uint8_t *body, int64_t size, const int32_t *begins, const int32_t *stops, int64_t count, uint8_t *text,
    int64_t text_room, int32_t *ends, int32_t *names, int64_t room, int32_t *table, int64_t places, uint64_t seed, int64_t *used,
    int32_t *sizes, int32_t *shapes, int32_t *pieces, int64_t pieces_room, int32_t *piece_ends, int32_t *shape_lines)
{
    if (*used < 1 || *used > room || places <= room || (places & (places - 1)))
        return FULL;
    book known = {text, text_room, ends, names, table, (uint64_t)places - 1, seed, room, *used};
    int64_t at = 0, shape_count = 0, shape = 0, result = 0;
    for (int64_t line = 0; line < count && result >= 0; line++) {
        if (begins[line] < 0 || stops[line] < begins[line] || stops[line] > size) {
            result = NOT_PLAIN;
            break;
        }
        const uint8_t *begin = body + begins[line], *stop;
        int64_t found = 0;
        stop = read_head(&known, begin, body + stops[line], pieces + at, pieces_room - at, &found);
        if (!stop || found < 0) {
            result = stop ? FULL : NOT_PLAIN;
            break;
        }
        sizes[line] = (int32_t)(stop - begin);
        piece_ends[line] = (int32_t)(at + found);
        /* The shape of the line before is looked at first. */
        int64_t tried = 0;
        for (; tried <= shape_count; tried++) {
            int64_t other = tried ? tried - 1 : shape;
            if (other >= shape_count)
                continue;
            int64_t model = shape_lines[other], first = model ? piece_ends[model - 1] : 0;
            if (piece_ends[model] - first != found)
                continue;
            int64_t piece = 0;
            while (piece < found && names[pieces[first + piece]] == names[pieces[at + piece]])
                piece++;
            if (piece == found) {
                shape = other;
                break;
            }
        }
        if (tried > shape_count) {
            if (shape_count == SHAPES_MAX)
                result = NOT_PLAIN;
            else {
                shape = shape_count;
                shape_lines[shape_count++] = (int32_t)line;
            }
        }
        shapes[line] = (int32_t)shape;
        at += found;
    }
    *used = known.used;
    return result < 0 ? result : shape_count;
}

/* Puts the pairs of lines in the order of their shapes, behind those of the target, and hashes them as Python hashes tuples.
 *
 * `orders` has of each shape, up to `order_ends`, the place of each label among the target's `targets` and then the line's own.
 * `kinds[i]` says how bounds are written below the line's family: as they are (0), or as `bounds` has them, by number, of a
 * histogram (1) or summary (2). `flat` gets the numbers, `ends` where those of each line end, `hashes` their hashes. How many numbers
 * there are; -1 where something does not fit. */
EXPORT int64_t trimon_arrange_pairs(
    const int32_t *pieces, const int32_t *piece_ends, const int32_t *shapes, const int32_t *kinds, int64_t count,
    const int32_t *orders, const int32_t *order_ends, int64_t shape_count, const int32_t *targets, int64_t target_count,
    const int32_t *bounds, const int64_t *pair_hashes, int64_t used, int32_t *flat, int64_t room, int32_t *ends, int64_t *hashes)
{
    int64_t at = 0;
    for (int64_t line = 0; line < count; line++) {
        int64_t shape = shapes[line], first = line ? piece_ends[line - 1] : 0, own = piece_ends[line] - first;
        if (shape < 0 || shape >= shape_count || kinds[line] < 0 || kinds[line] > 2)
            return -1;
        int64_t order = shape ? order_ends[shape - 1] : 0, length = order_ends[shape] - order;
        if (length < 0 || length > room - at)
            return -1;
        uint64_t hash = UINT64_C(2870177450012600261);
        for (int64_t label = 0; label < length; label++) {
            int64_t place = orders[order + label], number;
            if (place < 0 || place >= target_count + own)
                return -1;
            number = place < target_count ? targets[place] : pieces[first + place - target_count];
            if (number < 0 || number >= used)
                return -1;
            if (kinds[line] && place >= target_count)
                number = bounds[2 * number + kinds[line] - 1];
            if (number < 0 || number >= used)
                return -1;
            flat[at + label] = (int32_t)number;
            hash += (uint64_t)pair_hashes[number] * UINT64_C(14029467366897019727);
            hash = (hash << 31 | hash >> 33) * UINT64_C(11400714785074694791);
        }
        hash += (uint64_t)length ^ (UINT64_C(2870177450012600261) ^ UINT64_C(3527539));
        hashes[line] = hash == UINT64_MAX ? INT64_C(1546275796) : (int64_t)hash;
        at += length;
        ends[line] = (int32_t)at;
    }
    return at;
}

/* Whether two of the numbers are the same, or one is among the others. `table` has `places`, a power of two, more than `count`. */
EXPORT int64_t trimon_any_twice(
    const int64_t *numbers, int64_t count, const int64_t *others, int64_t other_count, int32_t *table, int64_t places)
{
    if (places <= count || (places & (places - 1)))
        return -1;
    uint64_t mask = (uint64_t)places - 1;
    memset(table, 0xff, (size_t)places * sizeof *table);
    for (int64_t each = 0; each < count + other_count; each++) {
        int64_t number = each < count ? numbers[each] : others[each - count];
        uint64_t place = folded((uint64_t)number, UINT64_C(0x9E3779B97F4A7C15)) & mask;
        for (; table[place] >= 0; place = (place + 1) & mask)
            if (numbers[table[place]] == number)
                return 1;
        if (each < count)
            table[place] = (int32_t)each;
    }
    return 0;
}
