/* consumer.c - a member of a group: the library's threads call on_message() until ENTER is pressed.
 *     cc consumer.c $(pkg-config --cflags --libs libcmq) -o consumer && ./consumer 127.0.0.1:9876 Orders billing */
#include <cmq.h>
#include <stdio.h>

static enum cmq_consume_result on_message(void *arg, const struct cmq_message *const *m, size_t n)
{
    (void)arg;
    for (size_t i = 0; i < n; i++) {
        size_t length;
        const char *body = cmq_message_body(m[i], &length);
        printf("%s %s queue %d offset %lld: %.*s\n", cmq_message_topic(m[i]), cmq_message_tag(m[i]), (int)cmq_message_queue_id(m[i]),
               (long long)cmq_message_queue_offset(m[i]), (int)length, body);
    }
    fflush(stdout);
    return CMQ_CONSUME_SUCCESS; /* CMQ_RECONSUME_LATER: the group gets them again after a while */
}

int main(int argc, char **argv)
{
    struct cmq_error err;
    struct cmq_consumer *consumer = NULL;
    struct cmq_config *config = cmq_config_new();

    if (cmq_config_set(config, "namesrvAddr", argc > 1 ? argv[1] : "127.0.0.1:9876", &err) != CMQ_OK ||
        cmq_config_set(config, "consumerGroup", argc > 3 ? argv[3] : "billing", &err) != CMQ_OK ||
        cmq_config_set(config, "consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET", &err) != CMQ_OK ||
        cmq_consumer_new(config, &consumer, &err) != CMQ_OK ||
        cmq_consumer_subscribe(consumer, argc > 2 ? argv[2] : "Orders", "*", &err) != CMQ_OK ||
        cmq_consumer_on_message(consumer, on_message, NULL, &err) != CMQ_OK ||
        cmq_consumer_start(consumer, &err) != CMQ_OK) {
        fprintf(stderr, "%s\n", err.words);
        return 1;
    }
    cmq_config_free(config);
    getchar();
    cmq_consumer_free(consumer); /* finishes what runs, reports how far it came, leaves the group */
    return 0;
}
