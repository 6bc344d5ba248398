# Part of _native.pyx: the numbers that INFO and metrics tell.

cdef object counters_of(NativeEngine engine):
    cdef int db, number
    records = 0
    for db in range(SPACES):
        records += engine.c.live[db]
    counters = {
        "hits": engine.c.hits,
        "misses": engine.c.misses,
        "writes": engine.c.writes,
        "expired": engine.c.expired,
        "stubs": engine.c.stubs.count + engine.c.stub_rows,
        "stub_bytes": stubs_bytes(&engine.c.stubs) + engine.c.stub_key_bytes + engine.c.stub_rows * (
            RECORD_OVERHEAD_BYTES + SHADOW_BYTES + (TRACED_BYTES if engine.c.digests.enabled else 0)),
        "records": records,
        "defaulted": engine.c.defaulted,
        "counters_merged": engine.c.counters_merged,
        "script_errors": engine.c.script_errors,
        "record_overhead_bytes": RECORD_OVERHEAD_BYTES + (TRACED_BYTES if engine.c.digests.enabled else 0),
    }
    for number in range(LATE_BOUNDS + 1):
        counters["late_%d" % number] = engine.c.late.counts[number]
    counters["late_sum_ms"] = engine.c.late.sum_ms
    counters["wiped_bytes"] = engine.c.late.wiped_bytes
    counters["late_last_at_ms"], counters["late_last_by_ms"] = engine.c.late.last_at_ms, engine.c.late.last_by_ms
    for number in range(1, HOT_COUNT):
        counters["hot_" + (<bytes>ROWS[number].name).decode()] = engine.c.calls[number]
    return counters
