/* fake_disk.c - the fake disk keeps its own promises: what the simulator proves is worth no more than this. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "tests/lib/fake_disk.h"

enum { RW = STORE_OPEN_WRITE | STORE_OPEN_CREATE };
static struct fake_disk *disk;
static const struct store_io *io;

static void setup(void)
{
    disk = fake_disk_new(1);
    io = fake_disk_io(disk);
}
static void teardown(void) { fake_disk_free(disk); }
TestSuite(fake_disk, .init = setup, .fini = teardown);

static int make(const char *path, int fill, size_t n) /* open, written, not synced */
{
    uint8_t bytes[8192];
    int fd = io->open(io->ctx, path, RW);
    cr_assert_geq(fd, 0);
    memset(bytes, fill, sizeof bytes);
    cr_assert_eq(io->pwrite(io->ctx, fd, bytes, n, 0), (int64_t)n);
    return fd;
}
static bool all_are(struct fake_disk *d, const char *path, uint64_t off, uint64_t n, int value)
{
    uint64_t size = 0;
    const uint8_t *p = fake_disk_bytes(d, path, &size);
    for (uint64_t i = off; p != NULL && i < off + n; i++)
        if (i >= size || p[i] != value)
            return false;
    return p != NULL;
}
static uint64_t size_of(struct fake_disk *d, const char *path) /* UINT64_MAX: absent */
{
    uint64_t n = UINT64_MAX;
    fake_disk_bytes(d, path, &n);
    return n;
}

Test(fake_disk, what_was_synced_survives_every_cut)
{
    int fd = make("a/b/f", 7, 2000);
    cr_assert_eq(io->datasync(io->ctx, fd), 0);
    cr_assert_eq(io->sync_dir(io->ctx, "a/b"), 0);
    cr_assert_eq(io->sync_dir(io->ctx, "a"), 0);
    cr_assert_eq(io->sync_dir(io->ctx, "."), 0);
    cr_assert_eq(fake_disk_dirty(disk), 0);
    for (int how = CUT_KILL; how <= CUT_LAST; how++) {
        struct fake_disk *d = fake_disk_clone(disk, 1);
        fake_disk_cut(d, (enum fake_cut)how, 3);
        cr_expect_eq(size_of(d, "a/b/f"), 2000, "%s", fake_cut_name((enum fake_cut)how));
        cr_expect(all_are(d, "a/b/f", 0, 2000, 7), "%s", fake_cut_name((enum fake_cut)how));
        fake_disk_free(d);
    }
}

Test(fake_disk, what_was_not_synced_is_lost_or_kept_as_asked)
{
    int fd = make("f", 1, 1024);
    io->datasync(io->ctx, fd);
    io->sync_dir(io->ctx, ".");
    make("f", 2, 2048);
    make("g", 3, 10);
    static const struct { enum fake_cut how; uint64_t f, g; int fill; } expected[] = {
        {CUT_KILL, 2048, 10, 2}, {CUT_KEEP, 2048, 10, 2}, {CUT_LOSE, 1024, UINT64_MAX, 1}};
    for (size_t i = 0; i < 3; i++) {
        struct fake_disk *d = fake_disk_clone(disk, 1);
        fake_disk_cut(d, expected[i].how, 0);
        cr_expect_eq(size_of(d, "f"), expected[i].f);
        cr_expect_eq(size_of(d, "g"), expected[i].g);
        cr_expect(all_are(d, "f", 0, expected[i].f, expected[i].fill));
        fake_disk_free(d);
    }
}

Test(fake_disk, a_sector_is_old_or_new)
{
    int fd = make("f", 1, 8192), mixed = 0;
    io->datasync(io->ctx, fd);
    io->sync_dir(io->ctx, ".");
    make("f", 2, 8192);
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct fake_disk *d = fake_disk_clone(disk, 1);
        int fresh = 0;
        fake_disk_cut(d, CUT_RANDOM, seed);
        for (uint64_t at = 0; at < 8192; at += FAKE_SECTOR) {
            bool is_new = all_are(d, "f", at, FAKE_SECTOR, 2);
            cr_assert(is_new || all_are(d, "f", at, FAKE_SECTOR, 1), "seed %d sector at %d", (int)seed, (int)at);
            fresh += is_new;
        }
        mixed += fresh > 0 && fresh < 16;
        fake_disk_free(d);
    }
    cr_assert_gt(mixed, 40);
}

Test(fake_disk, a_write_tears_at_every_sector)
{
    int fd = make("f", 1, 4096);
    io->datasync(io->ctx, fd);
    io->sync_dir(io->ctx, ".");
    make("f", 2, 4096);
    cr_assert_eq(fake_disk_dirty(disk), 8);
    for (uint64_t n = 0; n <= 8; n++) {
        struct fake_disk *first = fake_disk_clone(disk, 1), *last = fake_disk_clone(disk, 1);
        fake_disk_cut(first, CUT_FIRST, n);
        fake_disk_cut(last, CUT_LAST, n);
        cr_expect(all_are(first, "f", 0, n * 512, 2) && all_are(first, "f", n * 512, 4096 - n * 512, 1));
        cr_expect(all_are(last, "f", 0, n * 512, 1) && all_are(last, "f", n * 512, 4096 - n * 512, 2));
        fake_disk_free(first);
        fake_disk_free(last);
    }
}

Test(fake_disk, names_of_a_folder_are_lost_from_the_newest_back)
{
    io->close(io->ctx, make("d/one", 1, 1));
    io->sync_dir(io->ctx, ".");
    io->sync_dir(io->ctx, "d");
    cr_assert_eq(io->rename(io->ctx, "d/one", "d/two"), 0);
    cr_assert_eq(io->unlink(io->ctx, "d/two"), 0);
    int seen[3] = {0};
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct fake_disk *d = fake_disk_clone(disk, 1);
        fake_disk_cut(d, CUT_RANDOM, seed);
        bool one = size_of(d, "d/one") != UINT64_MAX, two = size_of(d, "d/two") != UINT64_MAX;
        cr_assert(!(one && two));
        seen[one ? 0 : two ? 1 : 2]++;
        fake_disk_free(d);
    }
    cr_assert(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
    io->sync_dir(io->ctx, "d");
    fake_disk_cut(disk, CUT_LOSE, 0);
    cr_assert_eq(size_of(disk, "d/two"), UINT64_MAX);
}

Test(fake_disk, a_file_in_a_folder_whose_name_was_not_synced_is_lost)
{
    int fd = make("d/f", 1, 1);
    io->datasync(io->ctx, fd);
    io->sync_dir(io->ctx, "d");
    fake_disk_cut(disk, CUT_LOSE, 0);
    cr_assert_eq(size_of(disk, "d/f"), UINT64_MAX);
}

Test(fake_disk, a_cut_file_grows_again_with_zeros_that_are_not_yet_on_the_medium)
{
    int fd = make("f", 9, 1000);
    io->datasync(io->ctx, fd);
    io->sync_dir(io->ctx, ".");
    cr_assert_eq(io->set_size(io->ctx, fd, 100, false), 0);
    cr_assert_eq(io->set_size(io->ctx, fd, 1000, false), 0);
    cr_assert(all_are(disk, "f", 0, 100, 9) && all_are(disk, "f", 100, 900, 0));
    struct fake_disk *d = fake_disk_clone(disk, 1);
    fake_disk_cut(d, CUT_LOSE, 0);
    cr_assert(all_are(d, "f", 0, 1000, 9));
    fake_disk_free(d);
    io->datasync(io->ctx, fd);
    fake_disk_cut(disk, CUT_LOSE, 0);
    cr_assert(all_are(disk, "f", 100, 900, 0));
}

Test(fake_disk, after_a_failed_datasync_the_next_one_succeeds_and_saves_nothing)
{
    int fd = make("f", 1, 512);
    io->datasync(io->ctx, fd);
    io->sync_dir(io->ctx, ".");
    fd = make("f", 2, 512);
    fake_disk_fail(disk, FAKE_DATASYNC, 1, -EIO, false);
    cr_assert_eq(io->datasync(io->ctx, fd), -EIO);
    cr_assert(fake_disk_did_fail(disk));
    cr_assert_eq(io->datasync(io->ctx, fd), 0);
    cr_assert(all_are(disk, "f", 0, 512, 2)); /* the cache still shows it */
    fake_disk_cut(disk, CUT_KEEP, 0);
    cr_assert(all_are(disk, "f", 0, 512, 1));
}

Test(fake_disk, the_nth_operation_fails_once_or_for_ever)
{
    int fd = make("f", 1, 10);
    char byte = 5;
    fake_disk_fail(disk, FAKE_PWRITE, 2, -ENOSPC, false);
    cr_assert_eq(io->pwrite(io->ctx, fd, &byte, 1, 0), 1);
    cr_assert_eq(io->pwrite(io->ctx, fd, &byte, 1, 1), -ENOSPC);
    cr_assert(all_are(disk, "f", 1, 1, 1));
    cr_assert_eq(io->pwrite(io->ctx, fd, &byte, 1, 1), 1);
    fake_disk_fail(disk, FAKE_RENAME, 1, -EIO, true);
    cr_assert_eq(io->rename(io->ctx, "f", "g"), -EIO);
    cr_assert_eq(io->rename(io->ctx, "f", "g"), -EIO);
    fake_disk_fail(disk, FAKE_ANY, 0, 0, false);
    cr_assert_eq(io->rename(io->ctx, "f", "g"), 0);
}

Test(fake_disk, nothing_happens_after_the_machine_went_off)
{
    int fd = make("f", 1, 10); /* steps 1 and 2 */
    fake_disk_stop_at(disk, 3);
    cr_assert_eq(io->set_size(io->ctx, fd, 20, false), 0);
    cr_assert_eq(io->set_size(io->ctx, fd, 30, false), -EIO);
    cr_assert_eq(io->open(io->ctx, "g", RW), -EIO);
    cr_assert_eq(io->datasync(io->ctx, fd), -EIO);
    cr_assert_eq(fake_disk_steps(disk), 3);
    fake_disk_cut(disk, CUT_KEEP, 0);
    cr_assert_eq(size_of(disk, "f"), 20);
}

Test(fake_disk, a_full_disk_says_so_and_has_room_after_an_unlink)
{
    uint64_t free_bytes, total;
    fake_disk_capacity(disk, 8 * 512);
    int fd = make("f", 1, 4096);
    cr_assert_eq(io->pwrite(io->ctx, fd, "x", 1, 4096), -ENOSPC);
    cr_assert_eq(io->set_size(io->ctx, fd, 8192, true), -ENOSPC);
    cr_assert_eq(io->set_size(io->ctx, fd, 8192, false), 0); /* a hole */
    cr_assert_eq(io->room(io->ctx, ".", &free_bytes, &total), 0);
    cr_assert(free_bytes == 0 && total == 4096);
    cr_assert_eq(io->unlink(io->ctx, "f"), 0);
    cr_assert_eq(fake_disk_used(disk), 0);
    fake_disk_room(disk, 5, 10);
    cr_assert_eq(io->room(io->ctx, ".", &free_bytes, &total), 0);
    cr_assert(free_bytes == 5 && total == 10);
}

Test(fake_disk, cold_pages_are_read_only_by_waiting)
{
    char to[100];
    int fd = make("f", 1, 100);
    cr_assert_eq(io->pread_nowait(io->ctx, fd, to, 100, 0), 100);
    fake_disk_chill(disk, NULL);
    cr_assert_eq(io->pread_nowait(io->ctx, fd, to, 100, 0), -EAGAIN);
    cr_assert_eq(io->pread(io->ctx, fd, to, 100, 50), 50);
    cr_assert_eq(io->pread_nowait(io->ctx, fd, to, 100, 0), 100);
}

Test(fake_disk, one_descriptor_has_the_lock_until_it_closes)
{
    int a = make("lock", 1, 1), b = make("lock", 1, 1);
    cr_assert_eq(io->lock(io->ctx, a), 0);
    cr_assert_eq(io->lock(io->ctx, b), -EAGAIN);
    io->close(io->ctx, a);
    cr_assert_eq(io->lock(io->ctx, b), 0);
    cr_assert_eq(fake_disk_open_files(disk), 1);
}

static void count(void *arg, const char *name, bool is_dir)
{
    (void)name;
    ((int *)arg)[is_dir]++;
}

Test(fake_disk, folders_are_listed_and_removed_when_empty)
{
    int n[2] = {0};
    struct store_stat st;
    make("d/e/f", 1, 1);
    make("d/g", 1, 1);
    cr_assert_eq(io->list(io->ctx, "d", count, n), 0);
    cr_assert(n[0] == 1 && n[1] == 1);
    cr_assert_eq(io->list(io->ctx, "x", count, n), -ENOENT);
    cr_assert_eq(io->rmdir(io->ctx, "d"), -ENOTEMPTY);
    cr_assert_eq(io->unlink(io->ctx, "d/e/f"), 0);
    cr_assert_eq(io->rmdir(io->ctx, "d/e"), 0);
    cr_assert_eq(io->mkdir(io->ctx, "d/e/h"), 0);
    cr_assert(io->stat(io->ctx, "d/e/h", &st) == 0 && st.is_dir);
    cr_assert(io->stat(io->ctx, "d/g", &st) == 0 && !st.is_dir && st.size == 1);
}

Test(fake_disk, the_same_seed_does_the_same)
{
    uint64_t dirty[2];
    for (int i = 0; i < 2; i++) {
        struct fake_disk *d = fake_disk_new(42);
        const struct store_io *o = fake_disk_io(d);
        fake_disk_writeback(d, 2);
        int fd = o->open(o->ctx, "f", RW);
        for (uint64_t k = 0; k < 200; k++)
            o->pwrite(o->ctx, fd, "abc", 3, k * 700);
        dirty[i] = fake_disk_dirty(d);
        fake_disk_free(d);
    }
    cr_assert_eq(dirty[0], dirty[1]);
    cr_assert(dirty[0] > 0 && dirty[0] < 200);
}
