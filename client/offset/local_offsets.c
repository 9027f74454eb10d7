/* local_offsets.c - the file is Apache's offsets.json: {"offsetTable":{{"brokerName":"a","queueId":0,"topic":"t"}:12}}.
 *
 * It is replaced by rename, so that a reader finds the old one or the new one whole. A save that fails is told and tried again with the
 * next one: broadcasting promises no more than that members find their place again. */
#include "client/offset/local_offsets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/hashmap.h"
#include "common/base/mem.h"
#include "common/protocol/json.h"
#include "common/protocol/queue_json.h"

enum { FILE_MAX = 16 << 20, KEY_MAX = 600 };

struct local_offset {
    struct hash_node node; /* key = text */
    int64_t queue_off;
    size_t topic_n, broker_n;
    int32_t queue_id;
    char text[]; /* topic NUL broker NUL id */
};
struct local_offsets {
    struct hashmap all;
    bool changed;
    char *dir, *file; /* NULL: memory only */
};

static struct slice key_of(const struct cmq_queue *q, char *to)
{
    int n = snprintf(to, KEY_MAX, "%s%c%s%c%d", q->topic, 1, q->broker_name, 1, (int)q->queue_id);
    return slice_make(to, n < KEY_MAX ? (size_t)n : KEY_MAX - 1);
}

int64_t local_offsets_get(const struct local_offsets *l, const struct cmq_queue *q)
{
    char text[KEY_MAX];
    struct hash_node *it = hashmap_get(&l->all, key_of(q, text));
    return it ? CONTAINER_OF(it, struct local_offset, node)->queue_off : -1;
}

bool local_offsets_put(struct local_offsets *l, const struct cmq_queue *q, int64_t queue_off)
{
    char text[KEY_MAX];
    struct slice key = key_of(q, text);
    struct hash_node *it = hashmap_get(&l->all, key);
    struct local_offset *o = it ? CONTAINER_OF(it, struct local_offset, node) : mem_zalloc(sizeof *o + key.n);
    if (o == NULL)
        return false;
    if (it == NULL) {
        memcpy(o->text, key.p, key.n);
        o->topic_n = strlen(q->topic);
        o->broker_n = strlen(q->broker_name);
        o->queue_id = q->queue_id;
        if (!hashmap_add(&l->all, &o->node, slice_make(o->text, key.n))) {
            mem_free(o);
            return false;
        }
    }
    l->changed = l->changed || it == NULL || o->queue_off != queue_off;
    o->queue_off = queue_off;
    return true;
}

enum mq_err local_offsets_parse(struct local_offsets *l, struct slice json, struct fault *why)
{
    json_t *root = json_parse(json, why), *value;
    const char *key;
    if (root == NULL)
        return MQ_EMALFORMED;
    bool whole = true;
    json_object_foreach(json_object_get(root, "offsetTable"), key, value) {
        json_t *q = json_parse(slice_str(key), NULL);
        char topic[256], broker[256];
        struct cmq_queue queue = {.topic = slice_copy(json_str(q, "topic"), topic, sizeof topic),
                                  .broker_name = slice_copy(json_str(q, "brokerName"), broker, sizeof broker),
                                  .queue_id = (int32_t)json_i64(q, "queueId", -1)};
        if (q != NULL && queue.queue_id >= 0 && topic[0] && json_is_integer(value) && json_integer_value(value) >= 0)
            whole = local_offsets_put(l, &queue, json_integer_value(value)) && whole;
        json_decref(q);
    }
    json_decref(root);
    l->changed = false;
    return whole ? MQ_OK : fault_set(why, MQ_ENOMEM, 0, "offsets");
}

static enum mq_err make_dirs(char *path, struct fault *why)
{
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char was = *at;
        *at = '\0';
        int failed = mkdir(path, 0777) != 0 && errno != EEXIST;
        if (failed)
            return fault_set(why, MQ_EIO, errno, "make folder %s", path);
        *at = was;
        if (was == '\0')
            return MQ_OK;
    }
}

static enum mq_err load(struct local_offsets *l, struct fault *why)
{
    struct buf text = {0};
    FILE *f = fopen(l->file, "re");
    if (f == NULL)
        return errno == ENOENT ? MQ_OK : fault_set(why, MQ_EIO, errno, "open %s", l->file);
    size_t n = 0;
    uint8_t *at;
    do {
        at = buf_room(&text, 65536);
        n = at ? fread(at, 1, 65536, f) : 0;
        text.n += n;
    } while (n > 0 && text.n <= FILE_MAX);
    enum mq_err err = MQ_OK;
    if (ferror(f) || text.n > FILE_MAX)
        err = fault_set(why, MQ_EIO, errno, "read %s", l->file);
    else if (text.failed)
        err = fault_set(why, MQ_ENOMEM, 0, "read %s", l->file);
    else if (local_offsets_parse(l, buf_view(&text), why) != MQ_OK)
        err = fault_set(why, MQ_EMALFORMED, 0, "%s is not a table of offsets", l->file);
    fclose(f);
    buf_free(&text);
    return err;
}

enum mq_err local_offsets_open(const char *dir, const char *client_id, const char *group, struct local_offsets **out, struct fault *why)
{
    struct local_offsets *l = mem_zalloc(sizeof *l);
    if (l == NULL)
        return fault_set(why, MQ_ENOMEM, 0, "offsets");
    enum mq_err err = MQ_OK;
    if (dir[0]) {
        size_t n = strlen(dir) + strlen(client_id) + strlen(group) + 32;
        l->dir = mem_alloc(n);
        l->file = mem_alloc(n);
        if (l->dir == NULL || l->file == NULL) {
            err = fault_set(why, MQ_ENOMEM, 0, "offsets");
        } else {
            snprintf(l->dir, n, "%s/%s/%s", dir, client_id, group);
            snprintf(l->file, n, "%s/offsets.json", l->dir);
            err = make_dirs(l->dir, why);
        }
        if (err == MQ_OK)
            err = load(l, why);
    }
    if (err == MQ_OK)
        *out = l;
    else
        local_offsets_close(l);
    return err;
}

void local_offsets_close(struct local_offsets *l)
{
    if (l == NULL)
        return;
    struct hash_node *it;
    while ((it = hashmap_first(&l->all)) != NULL) {
        hashmap_remove(&l->all, it);
        mem_free(CONTAINER_OF(it, struct local_offset, node));
    }
    hashmap_fini(&l->all);
    mem_free(l->dir);
    mem_free(l->file);
    mem_free(l);
}

static void write_json(const struct local_offsets *l, struct buf *out)
{
    struct jw w = jw_over(out, false);
    jw_object(&w);
    jw_key(&w, "offsetTable");
    jw_object(&w);
    for (struct hash_node *it = hashmap_first(&l->all); it != NULL; it = hashmap_next(&l->all, it)) {
        const struct local_offset *o = CONTAINER_OF(it, struct local_offset, node);
        queue_json_key(&w, slice_make(o->text + o->topic_n + 1, o->broker_n), slice_make(o->text, o->topic_n), o->queue_id);
        jw_i64(&w, o->queue_off);
    }
    jw_end_object(&w);
    jw_end_object(&w);
}

enum mq_err local_offsets_save(struct local_offsets *l, struct fault *why)
{
    if (l->file == NULL || !l->changed)
        return MQ_OK;
    struct buf json = {0};
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.tmp", l->file);
    write_json(l, &json);
    enum mq_err err = json.failed ? fault_set(why, MQ_ENOMEM, 0, "offsets") : MQ_OK;
    int fd = err == MQ_OK ? open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
    if (err == MQ_OK && fd < 0)
        err = fault_set(why, MQ_EIO, errno, "open %s", temporary);
    if (err == MQ_OK && (write(fd, json.p, json.n) != (ssize_t)json.n || fdatasync(fd) != 0))
        err = fault_set(why, MQ_EIO, errno, "write %s", temporary);
    if (fd >= 0)
        close(fd);
    if (err == MQ_OK && rename(temporary, l->file) != 0)
        err = fault_set(why, MQ_EIO, errno, "rename %s", temporary);
    l->changed = err != MQ_OK;
    buf_free(&json);
    return err;
}
