/* How long a call of many files may take: Python answers a signal only after it. */

#ifndef TALLAC_TURN_H
#define TALLAC_TURN_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline int64_t now_ms(void)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline bool has_turn_ended(int64_t began_ms)
{
    return now_ms() - began_ms >= 100;
}

#endif
