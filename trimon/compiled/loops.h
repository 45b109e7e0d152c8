/* What all files of the loops share.
 *
 * The rules: no allocation, no state, no errno, no Python. A function gets flat arrays with their lengths from the caller,
 * who owns them; it never reads or writes beyond a length it was given, whatever the content is. It returns a count, or a
 * negative number that the caller turns into an error. All numbers are little-endian, as on every machine there are wheels for.
 */
#ifndef TRIMON_LOOPS_H
#define TRIMON_LOOPS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "these loops are for little-endian machines"
#endif

/* Raised with every change of a function's arguments: a library of another number is not loaded. */
#define TRIMON_LOOPS_VERSION 10

#define EXPORT __attribute__((visibility("default")))

#endif
