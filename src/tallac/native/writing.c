/* Makes small files that have an owner, permissions and a time, and nothing else, one after the other.
 *
 * The calls for each file, and their order, are those of `tallac.restore.files`. At the first result that is not as usual this ends:
 * that file is left as it is by then, open where it could be opened, and Python goes on with it, and says what is the matter. So
 * nothing is undone here, and no error is told twice.
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
#include <sys/stat.h>
#include <unistd.h>

enum {
    NS = 1000000000,
    /* FAT keeps times in steps of two seconds; no file system has longer ones. */
    TIME_STEP_MAX_SECONDS = 2,
};

struct rights {
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

static bool is_near(const struct timespec *found, const struct timespec *wanted)
{
    if (found->tv_sec < wanted->tv_sec - TIME_STEP_MAX_SECONDS || found->tv_sec > wanted->tv_sec + TIME_STEP_MAX_SECONDS)
        return false;
    int64_t difference = (int64_t)(found->tv_sec - wanted->tv_sec) * NS + (found->tv_nsec - wanted->tv_nsec);
    return difference > -(int64_t)TIME_STEP_MAX_SECONDS * NS && difference < (int64_t)TIME_STEP_MAX_SECONDS * NS;
}

static bool write_content(int descriptor, const char *content, uint64_t size, struct tallac_writing *writing)
{
    if (size == 0)
        return true;
    ssize_t written = write(descriptor, content, size);
    if (written > 0)
        writing->written = (uint64_t)written;
    return written > 0 && (uint64_t)written == size;
}

/* Sets owner, mode and time, and looks whether the file has them now. */
static bool set_metadata(int descriptor, const struct rights *wanted, const struct timespec *time, struct tallac_writing *writing)
{
    struct stat status;
    if (!writing->is_owner_known) {
        if (fstat(descriptor, &status) != 0)
            return false;
        writing->made_uid = status.st_uid;
        writing->made_gid = status.st_gid;
        writing->is_owner_known = 1;
    }
    const struct timespec times[2] = {*time, *time};
    /* Where the owner is not so after all, the look at the end shows it. */
    if ((wanted->uid != writing->made_uid || wanted->gid != writing->made_gid) && fchown(descriptor, wanted->uid, wanted->gid) != 0)
        return false;
    if (fchmod(descriptor, wanted->mode) != 0 || futimens(descriptor, times) != 0 || fstat(descriptor, &status) != 0)
        return false;
    return (status.st_mode & 07777) == wanted->mode && status.st_uid == wanted->uid && status.st_gid == wanted->gid
        && is_near(&status.st_mtim, time);
}

static bool make_file(int directory, const char *name, const struct tallac_new_files *files, struct tallac_writing *writing)
{
    uint64_t number = writing->number;
    const uint32_t *own = files->rights + 3 * number;
    const struct rights rights = {own[0], own[1], own[2]};
    const struct timespec time = {files->times[2 * number], (long)files->times[2 * number + 1]};
    /* A file that exists under the name is never opened, let alone followed; until all is set it is for the user alone. */
    writing->descriptor = openat(directory, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (writing->descriptor < 0)
        return false;
    if (!write_content(writing->descriptor, files->contents[number], files->sizes[number], writing)
        || !set_metadata(writing->descriptor, &rights, &time, writing))
        return false;
    int descriptor = writing->descriptor;
    writing->descriptor = -1;
    if (close(descriptor) == 0)
        return true;
    writing->error = errno;
    return false;
}

int tallac_write_files(int directory, const struct tallac_new_files *files, struct tallac_writing *writing)
{
    int64_t began_ms = now_ms();
    while (writing->number < files->count) {
        writing->written = 0;
        writing->descriptor = -1;
        writing->error = 0;
        if (writing->name_at >= files->names_size)
            return -1;
        const char *name = files->names + writing->name_at;
        size_t size = strnlen(name, files->names_size - writing->name_at);
        if (size == files->names_size - writing->name_at || !make_file(directory, name, files, writing))
            return -1;
        writing->name_at += size + 1;
        writing->number++;
        if (writing->number < files->count && has_turn_ended(began_ms))
            return 1;
    }
    return 0;
}
