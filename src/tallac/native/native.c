#include "native.h"

uint32_t tallac_native_version(void)
{
    return TALLAC_NATIVE_VERSION;
}
