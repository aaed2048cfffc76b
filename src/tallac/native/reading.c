/* Reads small regular files whole, one after the other, with the metadata that they had afterwards.
 *
 * The calls for each file, and their order, are those of `tallac.backup.file_storer`. A file about which anything is not as usual is
 * closed again, and this ends before it: Python reads it from the beginning, and says what is the matter.
 */

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64

#include "native.h"
#include "turn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* FS_IOC_GETFLAGS: _IOR('f', 1, long), of which the kernel writes an int. */
#define GET_FLAGS _IOR('f', 1, long)

static bool has_no_xattrs(int descriptor)
{
    char names[256];
    ssize_t size = flistxattr(descriptor, names, sizeof names);
    return size == 0 || (size < 0 && errno == EOPNOTSUPP);
}

static bool has_no_flags(int descriptor, uint32_t kept)
{
    union {
        uint32_t flags;
        long room;
    } answer = {.room = 0};
    if (ioctl(descriptor, GET_FLAGS, &answer) != 0)
        return errno == ENOTTY || errno == EOPNOTSUPP;
    return (answer.flags & kept) == 0;
}

/* A damaged file system may have more; Python carries them over into the seconds. */
static bool is_in_second(const struct timespec *time)
{
    return time->tv_nsec >= 0 && time->tv_nsec < 1000000000;
}

static bool is_unchanged(const struct stat *before, const struct stat *after)
{
    return before->st_size == after->st_size && before->st_mtim.tv_sec == after->st_mtim.tv_sec
        && before->st_mtim.tv_nsec == after->st_mtim.tv_nsec && before->st_ctim.tv_sec == after->st_ctim.tv_sec
        && before->st_ctim.tv_nsec == after->st_ctim.tv_nsec;
}

static bool is_usual(const struct stat *status, uint64_t size_max)
{
    /* With less allocated than the size takes it may have holes. */
    return S_ISREG(status->st_mode) && status->st_size >= 0 && (uint64_t)status->st_size <= size_max
        && status->st_blocks >= (status->st_size + 511) / 512;
}

/* Reads an open file into the room that is left; `before` is what it was when it was opened. */
static bool read_file(int descriptor, const struct stat *before, const struct tallac_reading *reading, uint64_t used)
{
    struct stat after;
    size_t size = (size_t)before->st_size;
    /* One byte more shows whether the size is true. */
    if (pread(descriptor, reading->contents + used, size + 1, 0) != (ssize_t)size)
        return false;
    if (!has_no_xattrs(descriptor) || !has_no_flags(descriptor, reading->flags_kept) || fstat(descriptor, &after) != 0)
        return false;
    if (!is_in_second(&after.st_mtim) || !is_in_second(&after.st_ctim))
        return false;
    /* Python has -1 for an owner that is not set. */
    if (!is_unchanged(before, &after) || after.st_uid == UINT32_MAX || after.st_gid == UINT32_MAX)
        return false;
    reading->files[reading->count] = (struct tallac_read_file){
        .content_at = used,
        .size = size,
        .mtime_seconds = after.st_mtim.tv_sec,
        .mtime_ns = after.st_mtim.tv_nsec,
        .ctime_seconds = after.st_ctim.tv_sec,
        .ctime_ns = after.st_ctim.tv_nsec,
        .inode = after.st_ino,
        .device = after.st_dev,
        .links = after.st_nlink,
        .mode = after.st_mode,
        .uid = after.st_uid,
        .gid = after.st_gid,
    };
    return true;
}

int tallac_read_files(int directory, struct tallac_reading *reading)
{
    uint64_t used = 0;
    int64_t began_ms = now_ms();
    reading->count = 0;
    while (reading->name_at < reading->names_size && reading->count < reading->count_max) {
        const char *name = reading->names + reading->name_at;
        uint64_t left = reading->names_size - reading->name_at;
        size_t length = strnlen(name, left);
        if (length == left)
            return -1;
        int descriptor = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (descriptor < 0)
            return -1;
        struct stat before;
        bool is_known = fstat(descriptor, &before) == 0 && is_usual(&before, reading->size_max);
        bool has_room = is_known && (uint64_t)before.st_size < reading->contents_size - used;
        bool is_read = has_room && read_file(descriptor, &before, reading, used);
        if (close(descriptor) != 0)
            return -1;
        /* What does not fit any more is the first one of the next call. */
        if (is_known && !has_room && used > 0)
            return 0;
        if (!is_read)
            return -1;
        used += (uint64_t)before.st_size;
        reading->name_at += length + 1;
        reading->count++;
        if (has_turn_ended(began_ms))
            return 0;
    }
    return 0;
}
