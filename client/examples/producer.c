/* producer.c - sends a message, waits for the broker's word, then sends some without waiting.
 *     cc producer.c $(pkg-config --cflags --libs libcmq) -o producer && ./producer 127.0.0.1:9876 Orders 10 */
#include <cmq.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_int stored, lost;

static void on_sent(void *arg, const struct cmq_send_result *result, const struct cmq_error *err)
{
    (void)arg;
    if (result != NULL) {
        atomic_fetch_add(&stored, 1);
    } else {
        atomic_fetch_add(&lost, 1);
        fprintf(stderr, "%s\n", err->words);
    }
}

int main(int argc, char **argv)
{
    const char *servers = argc > 1 ? argv[1] : "127.0.0.1:9876", *topic = argc > 2 ? argv[2] : "Orders";
    int n = argc > 3 ? atoi(argv[3]) : 10;
    struct cmq_error err;
    struct cmq_producer *producer;
    struct cmq_config *config = cmq_config_new();

    if (cmq_config_set(config, "namesrvAddr", servers, &err) != CMQ_OK || cmq_producer_new(config, &producer, &err) != CMQ_OK) {
        fprintf(stderr, "%s\n", err.words);
        return 1;
    }
    cmq_config_free(config);

    struct cmq_message *first = cmq_message_new(topic, "hello", 5);
    struct cmq_send_result result;
    cmq_message_set_tag(first, "greeting", &err);
    if (cmq_producer_send(producer, first, &result, &err) == CMQ_OK)
        printf("stored %s in %s, queue %d, offset %lld\n", result.msg_id, result.broker_name, (int)result.queue_id, (long long)result.queue_offset);
    else
        fprintf(stderr, "%s %s\n", err.words, err.remark);
    cmq_message_free(first);

    for (int i = 1; i < n; i++) {
        char text[32];
        int length = snprintf(text, sizeof text, "number %d", i);
        struct cmq_message *m = cmq_message_new(topic, text, (size_t)length);
        if (cmq_producer_send_async(producer, m, on_sent, NULL, &err) != CMQ_OK) {
            fprintf(stderr, "%s\n", err.words);
            cmq_message_free(m); /* refused: it is still ours */
        }
    }
    cmq_producer_free(producer); /* waits until all are answered */
    printf("%d more stored, %d lost\n", atomic_load(&stored), atomic_load(&lost));
    return atomic_load(&lost) > 0;
}
