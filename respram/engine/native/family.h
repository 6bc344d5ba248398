/* What the engine's parts ask of collections. Only prototypes may live here; the types are in engine.h. */
#ifndef RESPRAM_FAMILY_H
#define RESPRAM_FAMILY_H

#include <string.h>

/* places.c: the array of a family's members */
static inline Place *place_at(const Family *family, uint64_t place) {
    return place >= CHUNK_MEMBERS ? &family->more[place / CHUNK_MEMBERS - 1][place % CHUNK_MEMBERS]
        : &family->first[place];
}

static inline Record *family_member(const Family *family, uint64_t place) {
    uint64_t address;
    memcpy(&address, place_at(family, place), sizeof address);
    return (Record *)(uintptr_t)(address & ((UINT64_C(1) << (8 * PLACE_BYTES)) - 1));
}

void place_point(Family *family, uint64_t place, const Record *record);
void place_put(Engine *engine, Family *family, Record *record, uint64_t place);
bool places_grow(Engine *engine, Family *family); /* makes room for one more */
void places_shrink(Engine *engine, Family *family);
void places_free(Engine *engine, Family *family);
bool family_number(Engine *engine, Family *family);
void family_give_number(Engine *engine, const Family *family);

/* members.c: whole keys, and the name that lies in a record */
Span member_head(Span member);
Span member_name(Span member);
bool member_key(Buffer *out, Span key, Span name);
uint64_t member_hash(const Engine *engine, Span key, Span name);
Whole whole_of(const Engine *engine, const Record *record);
size_t whole_bytes(const Whole *whole);
void whole_put(const Whole *whole, uint8_t *out);
Name record_called(const Engine *engine, const Record *record);
Record *keyspace_find(Engine *engine, int space, uint64_t hash, Span key);
Record *member_find(const Engine *engine, const Family *family, uint64_t hash, Span name);
Record *family_seen(const Engine *engine, const Family *family, uint64_t hash, Span name, int64_t now_ms);

/* family.c: the first are called for every change of a head or a member */
bool family_before(Engine *engine, const Record *record, uint32_t stub, int db, uint64_t hash, Span key,
                   const Content *content, uint64_t clock, uint16_t node, int64_t now_ms);
void family_after_all(Engine *engine, int db, Span key, const Content *content);
void family_head_comes(Engine *engine, Record *head);
void family_head_goes(Engine *engine, const Record *head, uint64_t cleared);
void family_marked(Engine *engine, int db, Span key, uint64_t clock);
void family_link(Engine *engine, Record *record);
void family_unlink(Engine *engine, Record *record);
void family_moved(Engine *engine, Record *record);
bool family_is_cleared(Engine *engine, int space, Span member, uint64_t clock, int64_t now_ms);
bool family_is_dying(const Engine *engine, const Record *member);
bool family_is_empty(Engine *engine, const Record *head, int64_t now_ms);
uint64_t family_sweep(Engine *engine, int db, Span key, uint64_t clock);
Record *family_head(const Engine *engine, int db, uint64_t hash, Span key, int64_t now_ms);
void family_note(Engine *engine, uint8_t first_note, int space, Span key, int64_t now_ms);
Span family_key(const Family *family);
Family *family_named(Engine *engine, int space, Span key);
void family_gains(Engine *engine, Record *member, Span whole);
void family_loses(Engine *engine, const Record *member);
void family_clear_one(Engine *engine, Family *family, uint64_t place);
void family_cleared(Engine *engine, Family *family);
void family_enqueue(Engine *engine, Family *family);
void family_forget_if_bare(Engine *engine, Family *family);

/* slices.c: what is done with many members, a few at a time */
#define SPARED_BEHIND 2 /* the mark of who begins anew behind an end is 1 above that of the end */
void family_lengthen(Engine *engine, const Record *head, int64_t now_ms);
uint64_t family_work(Engine *engine, int64_t now_ms, uint64_t budget);
void family_wipe_cleared(Engine *engine, int64_t now_ms);
bool family_spares(Engine *engine, const Record *head, uint64_t clock, uint64_t began, int64_t now_ms);
typedef struct Head { /* what a head says, without its key and its stamp */
    uint8_t kind; /* 0: there is none that lives */
    bool implicit;
    int64_t deadline_ms, shadow_ms;
} Head;
Head family_living(const Record *record, int64_t now_ms);
void family_begin_behind(Engine *engine, const Head *head, int db, uint64_t hash, Span key, uint32_t stub,
                         int64_t now_ms);

/* settling.c; engine/settling.py has the same bounds, and says what they are for */
#define SETTLED_AT_ONCE 1024
#define ENDED_AT_ONCE 2048
#define PASSED_AT_ONCE 8192
#define ENDED_BYTES 512
#define KEYS_UNASKED_MAX 64
Family *family_settled(Engine *engine, const Record *head, int64_t now_ms);
int64_t family_settle(Engine *engine, const Record *head, int64_t now_ms);
bool settling_may_begin(Engine *engine, int db, const Command *command, int64_t now_ms);
bool settling_watched(Engine *engine, const Session *session, int64_t now_ms);

/* ranking.c: the order of a sorted set's family */
void ranking_leave(Engine *engine, Family *family, const Record *record);
void ranking_enter(Engine *engine, Family *family, Record *record);
void ranking_move(Engine *engine, Family *family, const Record *before, Record *after);
uint64_t family_place(Engine *engine, const Record *head, double score, const Span *name, bool after, int64_t now_ms);
size_t family_ranked(Engine *engine, const Record *head, uint64_t start, size_t count, bool downwards, int64_t now_ms,
                     Ranked *out);
bool family_found(Engine *engine, int db, uint64_t hash, Span key, uint8_t kind, int64_t deadline_ms, bool implicit,
                  int64_t now_ms);
Record *family_find(Engine *engine, const Record *head, Span name, int64_t now_ms);
bool family_put(Engine *engine, Record *head, Span name, Span value, int64_t deadline_ms, int64_t now_ms, bool *is_new);
bool family_let_go(Engine *engine, const Record *head, Span name, int64_t now_ms, bool *found);
bool family_fetch(Engine *engine, const Record *head, uint64_t bytes_max, int64_t now_ms, Buffer *out);
void family_free(Engine *engine);

/* copying.c */
uint64_t family_copy_bytes(const Engine *engine, const Record *head, size_t *most);
bool family_copy(Engine *engine, const Record *head, int db, uint64_t hash, Span target, int64_t now_ms);

#endif
