/* err.h - what can go wrong, as a code for programs and a fault for people.
 * Thread: any. Libraries return a code and fill a fault; the edge (handler, timer, main) logs it once. */
#ifndef COMMON_BASE_ERR_H
#define COMMON_BASE_ERR_H

#define MQ_ERRORS(X)                                                                    \
    X(MQ_OK, "ok")                                                                      \
    X(MQ_ENOMEM, "out of memory")                                                       \
    X(MQ_EIO, "disk or socket failed")                    /* see fault.sys */           \
    X(MQ_EMALFORMED, "bytes do not decode")               /* the sender's bug */        \
    X(MQ_ECORRUPT, "damage on disk")                      /* what names file and offset */ \
    X(MQ_EINVAL, "value not allowed")                     /* config, argument */        \
    X(MQ_ELIMIT, "a limit was reached")                                                 \
    X(MQ_EFULL, "no room on the disk")                                                  \
    X(MQ_ENOTFOUND, "not found")                                                        \
    X(MQ_EAGAIN, "would block")                                                         \
    X(MQ_ETIMEOUT, "no answer in time")                                                 \
    X(MQ_ECLOSED, "connection closed")                                                  \
    X(MQ_EBUSY, "in use by another process")                                            \
    X(MQ_EREFUSED, "the peer refused")                                                  \
    X(MQ_EFAILED, "failed earlier; its state is final")

#define MQ_ERR_ENUM(code, words) code,
enum mq_err { MQ_ERRORS(MQ_ERR_ENUM) MQ_ERR_COUNT };
#undef MQ_ERR_ENUM

/* What a person needs to repair it; lives on the caller's stack. */
struct fault {
    enum mq_err err;
    int sys;        /* errno of the call that failed, or 0 */
    char what[200]; /* action and object: "open commitlog/00000000001073741824" */
};

/* Static words for a code; never NULL. */
const char *mq_err_words(enum mq_err err);

/* Fills `why` (NULL allowed) and returns `err`, so that failing is one statement:
 *     return fault_set(why, MQ_EIO, errno, "open %s", path); */
__attribute__((format(printf, 4, 5))) enum mq_err fault_set(struct fault *why, enum mq_err err, int sys, const char *fmt, ...);

/* Writes "what: words (errno text)" into out[n], always terminated; returns out. why NULL: that the reason is not known. */
const char *fault_text(const struct fault *why, char *out, unsigned long n);
#endif
