/* Blocks for records: slabs of 64 KiB, each cut into blocks of one size.
 *
 * Sizes go up in steps of 4 bytes to 256 and then by an eighth, so a block wastes 2 bytes on average
 * where small and 6% where large; an allocator of general purpose takes 8 to 16 bytes per block and
 * 16 for its alignment. A slab's header is found by masking a block's address, so a block needs no
 * header at all. Free blocks are chained through their first bytes and are all zeros otherwise.
 * A block lies at a multiple of 4, and where its size is a multiple of 8 at one of those.
 *
 * Slabs whose blocks have all been given back wait in a stack; below the SPARES_RESIDENT_MAX on top their
 * pages go back to the system, one slab at a time: freeing 100 MB at once would stop the process for
 * milliseconds. Records live on schedule and so their slabs empty together.
 *
 * New slabs are written from their beginning to their end, so a store of more than one region knows which
 * pages it will want and asks for half a MiB ahead (prefault.c). Slabs whose pages went back likewise: they are
 * asked for from the top of the stack, and count as resident from then on, so that they go back again when
 * slabs are put on top of them.
 */
#include "engine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLAB_HEADER_BYTES 64 /* blocks of 64 and 128 bytes then start on cache lines */
#define REGION_BYTES ((size_t)8 << 20)
#define ASKED_BYTES ((size_t)512 << 10) /* requested at a time; by then as much again is ready */
#define ASKED_SPARES 8                  /* slabs */
#define SPARES_RESIDENT_MAX 64 /* slabs, 4 MiB */
/* With RESPRAM_PLAIN_BLOCKS every block is the C library's own, so that the sanitizers see its ends. */
#ifdef RESPRAM_PLAIN_BLOCKS
#define BLOCK_BYTES_MAX 0
#else
#define BLOCK_BYTES_MAX ARENA_BLOCK_BYTES_MAX
#endif
#if defined __linux__ && !defined MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* since 5.18; the C library may be older than the kernel */
#endif
#define SMALL_STEP 4
#define SMALL_BYTES_MAX 256

struct Slab {
    Slab *next, *prev; /* in the list of its class's partial slabs */
    uint32_t free_first; /* offset of a free block, 0: none */
    uint32_t untouched;  /* offset after which no block has been allocated yet */
    uint32_t used, block_bytes;
    uint32_t class;
    bool listed;
};

/* The class of a request, and the size of its blocks. Above 256 bytes there are eight classes to each
 * doubling: 288, 320 .. 512, 576 .. 4096. */
static uint32_t class_of(size_t bytes, uint32_t *block_bytes) {
    if (bytes <= SMALL_BYTES_MAX) {
        uint32_t class = bytes <= SMALL_STEP ? 0 : (uint32_t)((bytes - 1) / SMALL_STEP);
        *block_bytes = (class + 1) * SMALL_STEP;
        return class;
    }
    uint32_t last = (uint32_t)bytes - 1;
    uint32_t power = 31 - (uint32_t)__builtin_clz(last); /* 8 .. 11 */
    uint32_t eighth = last >> (power - 3);               /* 8 .. 15 */
    *block_bytes = (eighth + 1) << (power - 3);
    _Static_assert(SMALL_BYTES_MAX / SMALL_STEP + 4 * 8 == ARENA_CLASSES, "as many as there are lists");
    return SMALL_BYTES_MAX / SMALL_STEP + (power - 8) * 8 + (eighth - 8);
}

size_t arena_block_bytes(size_t bytes) {
    uint32_t block_bytes;
    if (bytes > ARENA_BLOCK_BYTES_MAX)
        return (bytes + 15) & ~(size_t)15;
    class_of(bytes, &block_bytes);
    return block_bytes;
}

static bool grow_list(uint8_t ***list, size_t *capacity) {
    size_t wanted = *capacity ? *capacity * 2 : 64;
    uint8_t **grown = realloc(*list, wanted * sizeof **list);
    if (!grown)
        return false;
    *list = grown;
    *capacity = wanted;
    return true;
}

/* Address space is taken in regions aligned to huge pages; pages come when they are first written, or are asked for. */
static uint8_t *take_region(Arena *arena) {
    size_t align = (size_t)2 << 20;
    if (arena->region_count == arena->region_capacity && !grow_list(&arena->regions, &arena->region_capacity))
        return NULL;
    uint8_t *raw = mmap(NULL, REGION_BYTES + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    size_t lead = (align - (uintptr_t)raw % align) % align;
    if (lead)
        munmap(raw, lead);
    if (align - lead)
        munmap(raw + lead + REGION_BYTES, align - lead);
#ifdef MADV_DONTDUMP
    madvise(raw + lead, REGION_BYTES, MADV_DONTDUMP);
#endif
    arena->regions[arena->region_count++] = raw + lead;
    return raw + lead;
}

static bool begin_region(Arena *arena) {
    uint8_t *region = arena->next ? arena->next : take_region(arena);
    if (!region)
        return false;
    arena->asked = arena->next ? region + ASKED_BYTES : region;
    arena->next = NULL;
    arena->fresh = region;
    arena->fresh_end = region + REGION_BYTES;
    return true;
}

/* Asks for the pages of the slabs that come next. A small store asks for none. */
static void ask_for_pages(Arena *arena) {
    if (arena->region_count < 2)
        return;
    if (arena->asked < arena->fresh)
        arena->asked = arena->fresh;
    if (arena->asked < arena->fresh_end) {
        if ((size_t)(arena->asked - arena->fresh) <= ASKED_BYTES && prefault_ask(arena->asked, ASKED_BYTES))
            arena->asked += ASKED_BYTES;
    } else if (!arena->next && (size_t)(arena->asked - arena->fresh) <= ASKED_BYTES
               && (arena->next = take_region(arena))) {
        prefault_ask(arena->next, ASKED_BYTES);
    }
}

/* The same for the slabs on top of the stack. */
static void look_below(Arena *arena) {
    size_t resident = arena->spares_resident;
    if (resident < ASKED_SPARES && resident < arena->spares
        && prefault_ask(arena->spare[arena->spares - 1 - resident], SLAB_BYTES))
        arena->spares_resident++;
}

static Slab *take_slab(Arena *arena) {
    if (arena->spares) {
        Slab *slab = (Slab *)arena->spare[--arena->spares];
        if (arena->spares_resident)
            arena->spares_resident--;
        look_below(arena);
        return slab;
    }
    if (arena->fresh == arena->fresh_end && !begin_region(arena))
        return NULL;
    Slab *slab = (Slab *)arena->fresh;
    arena->fresh += SLAB_BYTES;
    ask_for_pages(arena);
    return slab;
}

static void list_slab(Arena *arena, Slab *slab) {
    slab->prev = NULL;
    slab->next = arena->partial[slab->class];
    if (slab->next)
        slab->next->prev = slab;
    arena->partial[slab->class] = slab;
    slab->listed = true;
}

static void unlist_slab(Arena *arena, Slab *slab) {
    if (slab->prev)
        slab->prev->next = slab->next;
    else
        arena->partial[slab->class] = slab->next;
    if (slab->next)
        slab->next->prev = slab->prev;
    slab->listed = false;
}

static Slab *open_slab(Arena *arena, uint32_t class, uint32_t block_bytes) {
    Slab *slab = take_slab(arena);
    if (!slab)
        return NULL;
    memset(slab, 0, sizeof *slab);
    slab->class = class;
    slab->block_bytes = block_bytes;
    slab->untouched = SLAB_HEADER_BYTES;
    list_slab(arena, slab);
    return slab;
}

void *arena_take(Arena *arena, size_t bytes) {
    if (bytes > BLOCK_BYTES_MAX) {
        void *block = malloc(arena_block_bytes(bytes));
        if (block)
            arena->used_bytes += arena_block_bytes(bytes);
        return block;
    }
    uint32_t block_bytes, class = class_of(bytes, &block_bytes);
    Slab *slab = arena->partial[class];
    if (!slab && !(slab = open_slab(arena, class, block_bytes)))
        return NULL;
    uint8_t *block = (uint8_t *)slab;
    if (slab->free_first) {
        block += slab->free_first;
        memcpy(&slab->free_first, block, sizeof slab->free_first);
    } else {
        block += slab->untouched;
        slab->untouched += block_bytes;
    }
    slab->used++;
    if (!slab->free_first && slab->untouched + block_bytes > SLAB_BYTES)
        unlist_slab(arena, slab);
    arena->used_bytes += block_bytes;
    return block;
}

/* Pages go back to the system, their addresses stay. Locked ones go under another name, in newer kernels only. */
void give_pages(void *pages, size_t bytes) {
    pages_withdraw(pages, bytes);
    if (madvise(pages, bytes, MADV_DONTNEED) == 0)
        return;
#ifdef __linux__
    madvise(pages, bytes, MADV_DONTNEED_LOCKED);
#endif
}

void unmap_pages(void *pages, size_t bytes) {
    pages_withdraw(pages, bytes);
    munmap(pages, bytes);
}

static void close_slab(Arena *arena, Slab *slab) {
    if (arena->spares == arena->spare_capacity && !grow_list(&arena->spare, &arena->spare_capacity))
        return; /* it stays in its class's list, empty */
    unlist_slab(arena, slab);
    arena->spare[arena->spares++] = (uint8_t *)slab;
    if (arena->spares_resident < SPARES_RESIDENT_MAX)
        arena->spares_resident++;
    else
        give_pages(arena->spare[arena->spares - 1 - SPARES_RESIDENT_MAX], SLAB_BYTES);
}

void arena_give(Arena *arena, void *block, size_t bytes) {
    wipe(block, bytes);
    arena->used_bytes -= arena_block_bytes(bytes);
    if (bytes > BLOCK_BYTES_MAX) {
        free(block);
        return;
    }
    Slab *slab = (Slab *)((uintptr_t)block & ~(uintptr_t)(SLAB_BYTES - 1));
    always(slab->used && slab->block_bytes == arena_block_bytes(bytes)); /* freed twice, or with a wrong size */
    memcpy(block, &slab->free_first, sizeof slab->free_first);
    slab->free_first = (uint32_t)((uint8_t *)block - (uint8_t *)slab);
    if (!slab->listed)
        list_slab(arena, slab);
    if (--slab->used == 0)
        close_slab(arena, slab);
}

void arena_free(Arena *arena) {
    for (size_t number = 0; number < arena->region_count; number++)
        unmap_pages(arena->regions[number], REGION_BYTES);
    free(arena->regions);
    free(arena->spare);
    memset(arena, 0, sizeof *arena);
}
