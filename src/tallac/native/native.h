/* What Python calls; `tallac.native` has the same, in ctypes. Change TALLAC_NATIVE_VERSION with anything in here. */

#ifndef TALLAC_NATIVE_H
#define TALLAC_NATIVE_H

#include <stdint.h>

#define TALLAC_NATIVE_VERSION 1

/* So many names are hashed at a time: `tallac.source.listing` has the same number. */
#define TALLAC_SIGNATURE_CHUNK 1024

/* Memory of the caller's, which a listing is made in. */
struct tallac_listing_space {
    char *names;             /* what the system says of the names; aligned to 8 bytes */
    const char **order;      /* one pointer for each of count_max names */
    unsigned char *entries;
    unsigned char *covered;
    uint64_t names_size;
    uint64_t entries_size;
    uint64_t covered_size;
    uint32_t count_max;
};

struct tallac_listing {
    uint64_t entries_size;   /* used of `entries`: an array of `SourceEntry` */
    uint64_t covered_size;   /* used of `covered`: what the signature is a hash of */
    int64_t changed_ns;      /* the latest ctime; 0 without names */
    uint32_t count;
    uint32_t directories;
};

uint32_t tallac_native_version(void);

/* Returns 0; or -1 where the directory has to be listed in another way, whatever the reason. */
int tallac_list_directory(int directory, struct tallac_listing_space *space, struct tallac_listing *listing);

#endif
