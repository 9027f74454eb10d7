/* model.c - messages made from a number, and what is read compared with them.
 * A message's bytes follow from topic, queue and id alone; ids are never used twice, also not after a cut, so a record that comes back
 * from an earlier life of the file is told from the one that took its place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/store/model.h"

const char *const sim_topics[SIM_TOPICS] = {"orders", "TBW102", "a-topic-with-a-rather-long-name%RETRY"};

void sim_message_make(struct sim_message *to, unsigned topic, unsigned queue, uint32_t id, uint32_t body_n)
{
    struct rng r = rng_of(id * 31u + topic * 7 + queue);
    struct message *m = &to->m;
    int props = snprintf(to->props, sizeof to->props, "KEYS%ck%u all%cUNIQ_KEY%cU%08u%cTAGS%ctag%u%c", 1, id % 5, 2, 1, id, 2, 1, id % 3, 2);
    snprintf(to->key, sizeof to->key, "U%08u", id);
    for (uint32_t i = 0; i < body_n; i += 8) {
        uint64_t v = rng_next(&r);
        memcpy(to->body + i, &v, 8);
    }
    *m = (struct message){.queue_id = (int32_t)queue, .flag = (int32_t)(id & 0xff), .reconsume_times = (int32_t)(id % 4),
                          .born_ms = SIM_START_MS - 5 + id, .prepared_off = 0, .body = slice_make(to->body, body_n),
                          .topic = slice_str(sim_topics[topic]), .properties = slice_make(to->props, (size_t)props)};
    memcpy(m->born.ip, (uint8_t[]){10, 0, 0, (uint8_t)id}, 4);
    memcpy(m->store.ip, (uint8_t[]){10, 0, 0, 1}, 4);
    m->born.port = (uint16_t)(id % 60000);
    m->store.port = 10911;
}

uint32_t sim_body_for_record(unsigned topic, uint32_t record)
{
    static struct sim_message probe;
    sim_message_make(&probe, topic, 0, 1, 0);
    uint32_t fixed = (uint32_t)message_size(&probe.m);
    return record > fixed ? record - fixed : 0;
}

bool sim_message_is(const struct message *got, unsigned topic, unsigned queue, uint32_t id, uint32_t body_n)
{
    static struct sim_message want;
    sim_message_make(&want, topic, queue, id, body_n);
    const struct message *w = &want.m;
    return got->queue_id == w->queue_id && got->flag == w->flag && got->reconsume_times == w->reconsume_times && got->born_ms == w->born_ms &&
           slice_eq(got->body, w->body) && slice_eq(got->topic, w->topic) && slice_eq(got->properties, w->properties) &&
           memcmp(got->born.ip, w->born.ip, 4) == 0 && got->born.port == w->born.port && got->store.port == w->store.port;
}

struct sim_msg *sim_model_add(struct sim_model *m, unsigned topic, unsigned queue, uint32_t body_n)
{
    struct sim_queue *q = &m->queues[topic][queue];
    if (q->n == q->cap) {
        q->cap = q->cap * 2 + 16;
        q->msgs = realloc(q->msgs, q->cap * sizeof *q->msgs);
        if (q->msgs == NULL)
            abort();
    }
    q->msgs[q->n] = (struct sim_msg){.id = m->next_id++, .body_n = body_n, .phys_off = -1, .store_ms = -1};
    return &q->msgs[q->n++];
}

void sim_model_copy(struct sim_model *to, const struct sim_model *from)
{
    *to = *from;
    for (int t = 0; t < SIM_TOPICS; t++)
        for (int k = 0; k < SIM_QUEUES; k++) {
            struct sim_queue *q = &to->queues[t][k];
            q->cap = q->n;
            q->msgs = malloc((q->n + 1) * sizeof *q->msgs);
            if (q->msgs == NULL)
                abort();
            if (q->n > 0)
                memcpy(q->msgs, from->queues[t][k].msgs, q->n * sizeof *q->msgs);
        }
}

void sim_model_free(struct sim_model *m)
{
    for (int t = 0; t < SIM_TOPICS; t++)
        for (int k = 0; k < SIM_QUEUES; k++)
            free(m->queues[t][k].msgs);
    memset(m, 0, sizeof *m);
}

int sim_topic_of(struct slice name)
{
    for (int t = 0; t < SIM_TOPICS; t++)
        if (slice_is(name, sim_topics[t]))
            return t;
    return -1;
}
