/* Lists an open directory: the stat fields of each name, in MessagePack, sorted by name.
 *
 * Nothing is opened, allocated or kept here. Whatever is not as usual ends the listing without a word: the caller lists such a
 * directory in Python, which finds what is the matter, and says so. So there is one way to fail, and no error is told twice.
 */

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64

#include "native.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As the kernel lays it out: getdents64(2). */
struct kernel_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

enum {
    NAME_SIZE_MAX = 255,
    /* A name with its header, and eleven integers of nine bytes with theirs: no row is longer. */
    ROW_SIZE_MAX = 1 + 2 + NAME_SIZE_MAX + 11 * 9,
    HEADER_SIZE_MAX = 5,
};

static const int64_t NS = 1000000000;
/* 285 years from 1970: later and earlier times may not fit into 64 bits of nanoseconds. */
static const int64_t SECONDS_MAX = 9000000000;

struct sink {
    unsigned char *at;
    unsigned char *end;
};

static bool has_room(const struct sink *sink, size_t size)
{
    return (size_t)(sink->end - sink->at) >= size;
}

static void put_big_endian(struct sink *sink, uint64_t number, int size)
{
    for (int shift = 8 * (size - 1); shift >= 0; shift -= 8)
        *sink->at++ = (unsigned char)(number >> shift);
}

static void put_tagged(struct sink *sink, unsigned char tag, uint64_t number, int size)
{
    *sink->at++ = tag;
    put_big_endian(sink, number, size);
}

/* The shortest form of each integer, as the specification of MessagePack asks for. */
static void put_unsigned(struct sink *sink, uint64_t number)
{
    if (number <= 0x7f)
        *sink->at++ = (unsigned char)number;
    else if (number <= UINT8_MAX)
        put_tagged(sink, 0xcc, number, 1);
    else if (number <= UINT16_MAX)
        put_tagged(sink, 0xcd, number, 2);
    else if (number <= UINT32_MAX)
        put_tagged(sink, 0xce, number, 4);
    else
        put_tagged(sink, 0xcf, number, 8);
}

static void put_signed(struct sink *sink, int64_t number)
{
    if (number >= 0)
        put_unsigned(sink, (uint64_t)number);
    else if (number >= -32)
        *sink->at++ = (unsigned char)number;
    else if (number >= INT8_MIN)
        put_tagged(sink, 0xd0, (uint64_t)number, 1);
    else if (number >= INT16_MIN)
        put_tagged(sink, 0xd1, (uint64_t)number, 2);
    else if (number >= INT32_MIN)
        put_tagged(sink, 0xd2, (uint64_t)number, 4);
    else
        put_tagged(sink, 0xd3, (uint64_t)number, 8);
}

static void put_array_header(struct sink *sink, size_t count)
{
    if (count < 16)
        *sink->at++ = (unsigned char)(0x90 | count);
    else if (count <= UINT16_MAX)
        put_tagged(sink, 0xdc, count, 2);
    else
        put_tagged(sink, 0xdd, count, 4);
}

static void put_name(struct sink *sink, const char *name, size_t size)
{
    put_tagged(sink, 0xc4, size, 1);
    memcpy(sink->at, name, size);
    sink->at += size;
}

/* Python has -1 for an identifier that is not set, and for no other. */
static void put_id(struct sink *sink, uint32_t id)
{
    put_signed(sink, id == UINT32_MAX ? -1 : (int64_t)id);
}

static bool is_narrow(const struct timespec *time)
{
    return time->tv_sec > -SECONDS_MAX && time->tv_sec < SECONDS_MAX;
}

static int64_t in_ns(const struct timespec *time)
{
    return (int64_t)time->tv_sec * NS + time->tv_nsec;
}

/* The fields of `tallac.source.SourceEntry`, in its order; and of these what a signature covers, which is all but device and blocks. */
static void put_entry(struct sink *sink, const char *name, size_t size, const struct stat *status, bool is_signed)
{
    put_array_header(sink, is_signed ? 10 : 12);
    put_name(sink, name, size);
    put_unsigned(sink, status->st_mode);
    put_id(sink, status->st_uid);
    put_id(sink, status->st_gid);
    put_signed(sink, status->st_size);
    put_signed(sink, in_ns(&status->st_mtim));
    put_signed(sink, in_ns(&status->st_ctim));
    put_unsigned(sink, status->st_ino);
    if (!is_signed)
        put_unsigned(sink, status->st_dev);
    put_unsigned(sink, status->st_nlink);
    put_unsigned(sink, status->st_rdev);
    if (!is_signed)
        put_signed(sink, status->st_blocks);
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int compare_names(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

/* Sorts names, and keeps one of those that were listed twice, as happens beside a rename. */
static uint32_t sort_names(const char **names, uint32_t count)
{
    uint32_t kept = 0;
    qsort(names, count, sizeof *names, compare_names);
    for (uint32_t number = 0; number < count; number++)
        if (kept == 0 || strcmp(names[kept - 1], names[number]) != 0)
            names[kept++] = names[number];
    return kept;
}

/* The names, in the order in which the system has them; -1 where there are too many, or they can't be read. */
static int64_t read_names(int directory, struct tallac_listing_space *space)
{
    size_t used = 0;
    uint32_t count = 0;
    if (lseek(directory, 0, SEEK_SET) != 0)
        return -1;
    for (;;) {
        /* The kernel wants room for one name at least; 4 KiB are more. */
        if (space->names_size - used < 4096)
            return -1;
        long got = syscall(SYS_getdents64, directory, space->names + used, space->names_size - used);
        if (got < 0)
            return -1;
        if (got == 0)
            return count;
        for (size_t at = used, end = used + (size_t)got; at < end;) {
            const struct kernel_entry *entry = (const void *)(space->names + at);
            at += entry->size;
            if (is_dots(entry->name))
                continue;
            if (count == space->count_max)
                return -1;
            space->order[count++] = entry->name;
        }
        used += ((size_t)got + 7) / 8 * 8;
    }
}

int tallac_list_directory(int directory, struct tallac_listing_space *space, struct tallac_listing *listing)
{
    memset(listing, 0, sizeof *listing);
    int64_t found = read_names(directory, space);
    /* Who lists it next, in whatever way, begins at the beginning. */
    if (lseek(directory, 0, SEEK_SET) != 0 || found < 0)
        return -1;
    uint32_t count = sort_names(space->order, (uint32_t)found);

    struct sink entries = {space->entries, space->entries + space->entries_size};
    struct sink covered = {space->covered, space->covered + space->covered_size};
    if (!has_room(&entries, HEADER_SIZE_MAX))
        return -1;
    put_array_header(&entries, count);
    for (uint32_t number = 0; number < count; number++) {
        const char *name = space->order[number];
        size_t size = strlen(name);
        struct stat status;
        if (size > NAME_SIZE_MAX || !has_room(&entries, ROW_SIZE_MAX) || !has_room(&covered, HEADER_SIZE_MAX + ROW_SIZE_MAX))
            return -1;
        if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !is_narrow(&status.st_mtim) || !is_narrow(&status.st_ctim))
            return -1;
        if (number % TALLAC_SIGNATURE_CHUNK == 0) {
            uint32_t left = count - number;
            put_array_header(&covered, left < TALLAC_SIGNATURE_CHUNK ? left : TALLAC_SIGNATURE_CHUNK);
        }
        put_entry(&covered, name, size, &status, true);
        put_entry(&entries, name, size, &status, false);
        if (S_ISDIR(status.st_mode))
            listing->directories++;
        int64_t changed = in_ns(&status.st_ctim);
        if (number == 0 || changed > listing->changed_ns)
            listing->changed_ns = changed;
    }
    listing->count = count;
    listing->entries_size = (uint64_t)(entries.at - space->entries);
    listing->covered_size = (uint64_t)(covered.at - space->covered);
    return 0;
}
