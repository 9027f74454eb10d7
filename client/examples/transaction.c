/* transaction.c - an order is booked in our own ledger (a file), and the message about it reaches consumers when, and only when, it was.
 * Kill it at any moment and start it again: what it left open is looked up in the ledger when the broker asks.
 *     cc transaction.c $(pkg-config --cflags --libs libcmq) -o transaction && ./transaction 127.0.0.1:9876 Orders ledger.txt 42 */
#include <cmq.h>
#include <stdio.h>
#include <string.h>

static const char *ledger;

/* Our work: a line with the message's key. Only a whole line counts. */
static enum cmq_transaction_state book(void *arg, const struct cmq_message *m)
{
    (void)arg;
    FILE *f = fopen(ledger, "a");
    int good = f != NULL && fprintf(f, "%s\n", cmq_message_keys(m)) > 0;
    good = f != NULL && fclose(f) == 0 && good;
    return good ? CMQ_TRANSACTION_COMMIT : CMQ_TRANSACTION_UNKNOWN; /* a line that may be there: look_up() will see */
}

/* The broker asks: was it done? */
static enum cmq_transaction_state look_up(void *arg, const struct cmq_message *m)
{
    (void)arg;
    char line[128];
    FILE *f = fopen(ledger, "r");
    int found = 0;
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        found = strcmp(line, cmq_message_keys(m)) == 0;
    }
    if (f != NULL)
        fclose(f);
    printf("asked about %s: %s\n", cmq_message_keys(m), found ? "booked" : "not booked");
    return found ? CMQ_TRANSACTION_COMMIT : CMQ_TRANSACTION_ROLLBACK;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return fprintf(stderr, "usage: transaction SERVERS TOPIC LEDGER KEY\n"), 2;
    struct cmq_error err;
    struct cmq_producer *producer;
    struct cmq_send_result result;
    struct cmq_config *config = cmq_config_new();
    ledger = argv[3];
    if (cmq_config_set(config, "namesrvAddr", argv[1], &err) != CMQ_OK || cmq_config_set(config, "producerGroup", "bookkeepers", &err) != CMQ_OK ||
        cmq_producer_new(config, &producer, &err) != CMQ_OK)
        return fprintf(stderr, "%s\n", err.words), 1;
    cmq_config_free(config);
    struct cmq_message *m = cmq_message_new(argv[2], argv[4], strlen(argv[4]));
    cmq_message_set_keys(m, argv[4], &err);
    int stored = cmq_producer_on_check(producer, look_up, NULL, &err) == CMQ_OK &&
                 cmq_producer_send_in_transaction(producer, m, book, NULL, &result, &err) == CMQ_OK && result.status == CMQ_SEND_OK;
    if (stored)
        printf("booked %s\n", argv[4]);
    else
        fprintf(stderr, "%s %s\n", err.words, err.remark);
    cmq_message_free(m);
    cmq_producer_free(producer);
    return !stored;
}
