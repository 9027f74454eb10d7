/* pull.c - reads one queue by hand, from its beginning, on this thread: no group shares the queue with us.
 *     cc pull.c $(pkg-config --cflags --libs libcmq) -o pull && ./pull 127.0.0.1:9876 Orders broker-a 0 */
#include <cmq.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct cmq_queue queue = {argc > 2 ? argv[2] : "Orders", argc > 3 ? argv[3] : "broker-a", argc > 4 ? atoi(argv[4]) : 0};
    struct cmq_error err;
    struct cmq_consumer *consumer = NULL;
    struct cmq_message *m;
    struct cmq_config *config = cmq_config_new();

    if (cmq_config_set(config, "namesrvAddr", argc > 1 ? argv[1] : "127.0.0.1:9876", &err) != CMQ_OK ||
        cmq_config_set(config, "consumerGroup", "readers", &err) != CMQ_OK ||
        cmq_consumer_new(config, &consumer, &err) != CMQ_OK ||
        cmq_consumer_assign(consumer, &queue, 1, &err) != CMQ_OK ||
        cmq_consumer_seek(consumer, &queue, 0, &err) != CMQ_OK ||
        cmq_consumer_start(consumer, &err) != CMQ_OK) {
        fprintf(stderr, "%s\n", err.words);
        return 1;
    }
    cmq_config_free(config);
    while (cmq_consumer_poll(consumer, 2000, &m, &err) == CMQ_OK) { /* until nothing comes for two seconds */
        size_t length;
        const char *body = cmq_message_body(m, &length);
        printf("%lld %s: %.*s\n", (long long)cmq_message_queue_offset(m), cmq_message_id(m), (int)length, body);
        cmq_message_free(m);
    }
    cmq_consumer_free(consumer);
    return err.code != CMQ_ERR_TIMEOUT;
}
