/* What Python calls; `tallac.native` has the same, in ctypes. Change TALLAC_NATIVE_VERSION with anything in here. */

#ifndef TALLAC_NATIVE_H
#define TALLAC_NATIVE_H

#include <stdint.h>

#define TALLAC_NATIVE_VERSION 4

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

/* Files that are to be made, one column for each thing. */
struct tallac_new_files {
    const char *names;           /* each ends with a zero byte, the last one too */
    const char *const *contents;
    const uint64_t *sizes;       /* of the contents */
    const int64_t *times;        /* of the last change: seconds and nanoseconds of each */
    const uint32_t *rights;      /* permission bits, owner and group of each */
    uint64_t names_size;
    uint64_t count;
};

/* How far the writing has come; the caller goes on from there. */
struct tallac_writing {
    uint64_t number;             /* of the next file, or of the one that something unusual was found at */
    uint64_t name_at;            /* where its name begins */
    uint64_t written;            /* so many bytes of its content, where it is open */
    int32_t descriptor;          /* the open file; -1 where there is none */
    int32_t error;               /* why it could not be closed, all else being done */
    uint32_t made_uid;           /* whom new files in the directory belong to at first */
    uint32_t made_gid;
    uint32_t is_owner_known;     /* whether these two are known */
    uint32_t reserved;
};

/* A file that was read, with what it was after that. */
struct tallac_read_file {
    uint64_t content_at;         /* where its content begins */
    uint64_t size;
    int64_t mtime_seconds;
    int64_t mtime_ns;
    int64_t ctime_seconds;
    int64_t ctime_ns;
    uint64_t inode;
    uint64_t device;
    uint64_t links;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint32_t reserved;
};

/* Files that are to be read, and memory of the caller's for what is read. */
struct tallac_reading {
    const char *names;           /* each ends with a zero byte, the last one too */
    char *contents;
    struct tallac_read_file *files;
    uint64_t names_size;
    uint64_t contents_size;
    uint64_t size_max;           /* a larger file is not read */
    uint64_t name_at;            /* where the name of the next file begins, or of one that something unusual was found at */
    uint32_t count_max;          /* so many fit into `files` */
    uint32_t count;              /* so many were read by this call */
    uint32_t flags_kept;         /* inode flags that are not to be passed over */
    uint32_t reserved;
};

uint32_t tallac_native_version(void);

/* Returns 0; or -1 where the directory has to be listed in another way, whatever the reason. */
int tallac_list_directory(int directory, struct tallac_listing_space *space, struct tallac_listing *listing);

/* Returns 0 when all files are made; 1 where that takes long, and there are more to make, so that the caller can answer a signal before it
 * goes on; or -1 where one has to be finished, or made, in another way, whatever the reason. */
int tallac_write_files(int directory, const struct tallac_new_files *files, struct tallac_writing *writing);

/* Returns 0 when all files are read, or as many as there is room or time for; or -1 where one has to be read in another way, whatever the reason. */
int tallac_read_files(int directory, struct tallac_reading *reading);

#endif
