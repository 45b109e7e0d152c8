/* The number by which Python knows whether library and callers are of one age. */
#include "loops.h"

EXPORT int32_t trimon_loops_version(void)
{
    return TRIMON_LOOPS_VERSION;
}
