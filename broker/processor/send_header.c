/* send_header.c - one switch over one letter per field; a long name is turned into its letter first. A send is the most frequent
 * request of all: looking up a dozen names one by one in a dozen fields costs more than encoding the record.
 * (test: unit/processor/send) */
#include "broker/processor/send_header.h"
#include <stdio.h>

static const struct { const char *name; char letter; } names[] = {
    {"producerGroup", 'a'}, {"topic", 'b'}, {"defaultTopic", 'c'}, {"defaultTopicQueueNums", 'd'}, {"queueId", 'e'},
    {"sysFlag", 'f'}, {"bornTimestamp", 'g'}, {"flag", 'h'}, {"properties", 'i'}, {"reconsumeTimes", 'j'},
    {"unitMode", 'k'}, {"maxReconsumeTimes", 'l'}, {"batch", 'm'}};
enum { N_NAMES = sizeof names / sizeof *names };

static char letter_of(struct slice key)
{
    if (key.n == 1)
        return (char)key.p[0];
    for (unsigned i = 0; i < N_NAMES; i++)
        if (slice_is(key, names[i].name))
            return names[i].letter;
    return 0;
}

#define BIT(letter) (1u << ((letter) - 'a'))

/* False: bad says which of the fields that must be there is not. */
static bool complete(uint32_t seen, char bad[160])
{
    const uint32_t all = BIT('b') | BIT('e') | BIT('f') | BIT('g') | BIT('h');
    uint32_t absent = all & ~seen;
    if (absent != 0)
        snprintf(bad, 160, "field %s is missing", names[__builtin_ctz(absent)].name);
    return absent == 0;
}

bool send_header_read(const struct command *cmd, struct send_header *out, char bad[160])
{
    struct send_header h = {.max_reconsume_times = -1};
    uint32_t seen = 0;
    for (const struct ext_field *f = cmd->ext, *end = f + cmd->n_ext; f < end; f++) {
        const struct slice v = f->value;
        char letter = letter_of(f->key);
        bool good = true;
        switch (letter) {
        case 'a': h.group = v; break;
        case 'b': h.topic = v; break;
        case 'c': h.default_topic = v; break;
        case 'd': good = v.n == 0 || slice_i32(v, &h.default_queues); break;
        case 'e': good = slice_i32(v, &h.queue_id); break;
        case 'f': good = slice_i32(v, &h.sys_flag); break;
        case 'g': good = slice_i64(v, &h.born_ms); break;
        case 'h': good = slice_i32(v, &h.flag); break;
        case 'i': h.properties = v; break;
        case 'j': good = v.n == 0 || slice_i32(v, &h.reconsume_times); break;
        case 'k': h.unit_mode = slice_bool(v); break;
        case 'l': good = v.n == 0 || slice_i32(v, &h.max_reconsume_times); break;
        case 'm': h.batch = slice_bool(v); break;
        default: continue; /* brokerName and what newer clients add */
        }
        if (!good) {
            snprintf(bad, 160, "field %s is not a number: %.*s", names[letter - 'a'].name, SLICE_ARG(slice_head(v, 40)));
            return false;
        }
        seen |= BIT(letter);
    }
    if (!complete(seen, bad))
        return false;
    *out = h;
    return true;
}
