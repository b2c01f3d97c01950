/* The bulk path of face/run.py in C, for series "fair": the yardstick of benchmarks/engine.py.
 *
 * It works on the engine's own arrays, so that after a run of each on equal states every byte must be equal.
 * Constants come from a header that benchmarks/twin.py writes from state/layout.py and state/series.py.
 * Covered: faults on initialised enclaves by groups of any depth with limits, low, high and forced reclaim,
 * background items, ksgxd, ageing by the engine's marks. Not covered, because such a run has none of it:
 * other series, removed groups, poisoned pages, signals.
 */
#include <stdint.h>

typedef int64_t i64;
typedef uint64_t u64;

enum { HIT, CREATED, LOADED, EVICT, BUSY, REFUSED, INTERRUPTED, NO_PAGE };
enum { ENCLAVE, GROUP, OFFSET, SIZE, HEAD, SEEN, LEFT, STREAM_COLUMNS };
enum { EVICTIONS = 10, SCANNED = 11, NR_DONE = 12, SHIFT = 12, PAGE = 4096, AHEAD = 16 };
enum { LIST_AHEAD = 20, LIST_STEP = 2 };

static i64 *machine, *totals;
static i64 (*groups)[GROUP_COLUMNS];
static i64 (*enclaves)[ENCLAVE_COLUMNS];
static int32_t (*frames)[FRAME_COLUMNS];
static int32_t *pages;
static uint8_t *marks;


static inline i64 min(i64 a, i64 b) { return a < b ? a : b; }
static inline i64 max(i64 a, i64 b) { return a > b ? a : b; }
static inline i64 whole_pages(i64 limit) { return (i64)((u64)limit >> SHIFT); }

/* Charges. */

static void count_events(i64 refuser)
{
    groups[refuser][GROUP_EVENTS_LOCAL]++;
    for (i64 g = refuser; g && g != ROOT; g = groups[g][GROUP_PARENT])
        groups[g][GROUP_EVENTS]++;
}

/* 0, or the level that has no room. */
static inline i64 charge(i64 group)
{
    u64 capacity = (u64)machine[CAPACITY + RESOURCE_EPC];
    for (i64 level = group; level; level = groups[level][GROUP_PARENT]) {
        i64 *row = groups[level];
        u64 usage = (u64)row[GROUP_USAGE] + PAGE;
        if (__builtin_expect(usage > (u64)row[GROUP_MAX] || usage > capacity, 0)) {
            count_events(level);
            for (; group != level; group = groups[group][GROUP_PARENT])
                groups[group][GROUP_USAGE] -= PAGE;
            return level;
        }
        row[GROUP_USAGE] = (i64)usage;
        if (usage > (u64)row[GROUP_PEAK])
            row[GROUP_PEAK] = (i64)usage;
    }
    return 0;
}

static inline void uncharge(i64 group, i64 nr)
{
    for (; group; group = groups[group][GROUP_PARENT])
        groups[group][GROUP_USAGE] -= nr * PAGE;
}

/* Free pages: first in, first out for each node, pages never used before those given back. */

static inline i64 take_frame(void)
{
    for (i64 step = 0; step < NR_NODES; step++) {
        i64 node = (machine[NODE] + step) % NR_NODES, frame = 0;
        for (i64 i = 0; i < NR_SECTIONS && !frame; i++) {
            i64 *section = machine + SECTIONS + SECTION_WORDS * i;
            if (!section[SECTION_END])
                break;
            if (section[SECTION_FRESH] < section[SECTION_END] && section[SECTION_NODE] == node)
                frame = section[SECTION_FRESH]++;
        }
        i64 *queue = machine + NODES + 2 * node;
        if (!frame && (frame = queue[0])) {
            queue[0] = frames[frame][FRAME_NEXT];
            if (!queue[0])
                queue[1] = 0;
        }
        if (frame) {
            machine[NR_FREE]--;
            frames[frame][FRAME_NEXT] = 0;
            frames[frame][FRAME_FLAGS] = (int32_t)(node << FRAME_NODE_SHIFT);
            return frame;
        }
    }
    return 0;
}

static inline void give_frame(i64 frame)
{
    int32_t *f = frames[frame], node = f[FRAME_FLAGS] >> FRAME_NODE_SHIFT;
    i64 *queue = machine + NODES + 2 * node;
    machine[NR_FREE]++;
    f[FRAME_NEXT] = f[FRAME_PREVIOUS] = f[FRAME_GROUP] = f[FRAME_ENCLAVE] = f[FRAME_PAGE] = 0;
    f[FRAME_FLAGS] = node << FRAME_NODE_SHIFT;
    if (queue[1])
        frames[queue[1]][FRAME_NEXT] = (int32_t)frame;
    else
        queue[0] = frame;
    queue[1] = frame;
}

/* Lists. */

/* Children with reclaimable pages on their list or below, linked in order of creation. */

static inline int is_holder(i64 group)
{
    return groups[group][GROUP_HOLDER_PREVIOUS] || groups[groups[group][GROUP_PARENT]][GROUP_HOLDER_FIRST] == group;
}

static i64 holder_before(i64 parent, i64 group)
{
    i64 sibling = groups[group][GROUP_PREVIOUS], holder = groups[parent][GROUP_HOLDER_LAST];
    for (; holder && groups[holder][GROUP_ID] > groups[group][GROUP_ID]; holder = groups[holder][GROUP_HOLDER_PREVIOUS]) {
        if (!sibling || is_holder(sibling))
            return sibling;
        sibling = groups[sibling][GROUP_PREVIOUS];
    }
    return holder;
}

/* Make two holders neighbours; 0 is the end of the list on that side. */
static void join_holders(i64 parent, i64 left, i64 right)
{
    if (left)
        groups[left][GROUP_HOLDER_NEXT] = right;
    else
        groups[parent][GROUP_HOLDER_FIRST] = right;
    if (right)
        groups[right][GROUP_HOLDER_PREVIOUS] = left;
    else
        groups[parent][GROUP_HOLDER_LAST] = left;
}

static void enter_holder(i64 group)
{
    i64 parent = groups[group][GROUP_PARENT], left, right;
    if (!parent || is_holder(group))
        return;
    left = holder_before(parent, group);
    right = left ? groups[left][GROUP_HOLDER_NEXT] : groups[parent][GROUP_HOLDER_FIRST];
    join_holders(parent, left, group);
    join_holders(parent, group, right);
}

static i64 first_full(i64 group)
{
    while (group && !groups[group][GROUP_NR_LRU_TREE]) {
        i64 *row = groups[group];
        i64 right = row[GROUP_HOLDER_NEXT];
        join_holders(row[GROUP_PARENT], row[GROUP_HOLDER_PREVIOUS], right);
        row[GROUP_HOLDER_NEXT] = row[GROUP_HOLDER_PREVIOUS] = 0;
        group = right;
    }
    return group;
}

static inline void count_listed(i64 group, i64 change)
{
    groups[group][GROUP_NR_LRU] += change;
    for (; group; group = groups[group][GROUP_PARENT]) {
        i64 before = groups[group][GROUP_NR_LRU_TREE];
        groups[group][GROUP_NR_LRU_TREE] = before + change;
        if (!before && change)
            enter_holder(group);
    }
}

/* At the tail of its list; the caller counts it. */
static inline void append(i64 frame)
{
    int32_t *f = frames[frame];
    i64 *row = groups[f[FRAME_GROUP]], tail = row[GROUP_LRU_TAIL];
    f[FRAME_PREVIOUS] = (int32_t)tail;
    f[FRAME_NEXT] = 0;
    if (tail)
        frames[tail][FRAME_NEXT] = (int32_t)frame;
    else
        row[GROUP_LRU_HEAD] = frame;
    row[GROUP_LRU_TAIL] = frame;
    f[FRAME_FLAGS] |= FRAME_LISTED;
}

/* Work items. */

static void queue_item(i64 group)
{
    if (groups[group][GROUP_WORK_PENDING])
        return;
    groups[group][GROUP_WORK_PENDING] = 1;
    groups[group][GROUP_WORK_NEXT] = 0;
    if (machine[WORK_TAIL])
        groups[machine[WORK_TAIL]][GROUP_WORK_NEXT] = group;
    else
        machine[WORK_HEAD] = group;
    machine[WORK_TAIL] = group;
}

static i64 room_wanted(i64 limit) { return min(machine[NR_MARGIN], limit >> 3); }

static i64 background_target(const i64 *row)
{
    i64 limit = whole_pages(row[GROUP_MAX]);
    return min(limit - room_wanted(limit), whole_pages(row[GROUP_HIGH]));
}

static inline void queue_crowded(i64 group)
{
    for (; group; group = groups[group][GROUP_PARENT]) {
        i64 *row = groups[group], limit = whole_pages(row[GROUP_MAX]);
        i64 trigger = limit - (room_wanted(limit) >> 1);
        if (row[GROUP_USAGE] >> SHIFT > min(trigger, whole_pages(row[GROUP_HIGH])) && row[GROUP_NR_LRU_TREE] &&
            machine[WORK_CURRENT] != group)
            queue_item(group);
    }
}

/* Reclaim. */

static void begin_pass(i64 *pass, i64 root, i64 want)
{
    pass[PASS_ROOT] = root;
    pass[PASS_WANT] = want;
    pass[PASS_DONE] = pass[PASS_WRITTEN] = 0;
}

static inline i64 successor(i64 group, i64 root)
{
    if (groups[group][GROUP_FIRST_CHILD])
        return groups[group][GROUP_FIRST_CHILD];
    for (; group != root; group = groups[group][GROUP_PARENT])
        if (groups[group][GROUP_NEXT])
            return groups[group][GROUP_NEXT];
    return 0;
}

/* The next group with pages of its own; groups without any below are not visited. */
static inline i64 next_holding(i64 group, i64 root)
{
    for (;;) {
        i64 onward = first_full(groups[group][GROUP_HOLDER_FIRST]);
        while (!onward && group != root) {
            enter_holder(group);
            onward = first_full(groups[group][GROUP_HOLDER_NEXT]);
            if (!onward)
                group = groups[group][GROUP_PARENT];
        }
        if (!onward || groups[onward][GROUP_NR_LRU])
            return onward;
        group = onward;
    }
}

static int is_protected(i64 group, i64 root)
{
    for (; group != root && group; group = groups[group][GROUP_PARENT]) {
        i64 low = whole_pages(groups[group][GROUP_LOW]);
        if (low && groups[group][GROUP_USAGE] >> SHIFT <= low)
            return 1;
    }
    return 0;
}

static int is_crowded(i64 group, i64 root)
{
    for (; group != root && group; group = groups[group][GROUP_PARENT])
        if (groups[group][GROUP_USAGE] >> SHIFT > background_target(groups[group]))
            return 1;
    return 0;
}

static i64 find_list(i64 root, int crowded, int unprotected)
{
    i64 group = groups[root][GROUP_CURSOR];
    for (int turn = 0; turn < 2; turn++)
        for (group = group ? group : root; group; group = next_holding(group, root))
            if (groups[group][GROUP_NR_LRU] && !(crowded && !is_crowded(group, root)) &&
                !(unprotected && is_protected(group, root)))
                return group;
    return 0;
}

static i64 choose(i64 root)
{
    i64 group = 0, following;
    if (groups[root][GROUP_FIRST_CHILD])
        group = find_list(root, 1, 1);
    if (!group)
        group = find_list(root, 0, 1);
    if (!group) {
        group = find_list(root, 0, 0);
        groups[group][STAT_EVENT_LOW]++;
    }
    following = successor(group, root);
    groups[root][GROUP_CURSOR] = following ? following : root;
    return group;
}

static i64 isolate(i64 group, i64 nr)
{
    i64 done = 0, frame = groups[group][GROUP_LRU_HEAD], *row = machine + BATCH;
    for (; frame && done < min(nr, BATCH_ROWS); done++, row += BATCH_COLUMNS) {
        int32_t *f = frames[frame];
        i64 element = enclaves[f[FRAME_ENCLAVE]][ENCLAVE_OFFSET] + f[FRAME_PAGE];
        __builtin_prefetch(marks + element, 1);
        __builtin_prefetch(pages + element, 1);
        row[0] = f[FRAME_ENCLAVE];
        row[1] = f[FRAME_PAGE];
        row[2] = f[FRAME_GROUP];
        row[3] = frame;
        frame = f[FRAME_NEXT];
        f[FRAME_NEXT] = f[FRAME_PREVIOUS] = 0;
        f[FRAME_FLAGS] = (f[FRAME_FLAGS] & ~FRAME_LISTED) | FRAME_ISOLATED;
    }
    groups[group][GROUP_LRU_HEAD] = frame;
    if (frame)
        frames[frame][FRAME_PREVIOUS] = 0;
    else
        groups[group][GROUP_LRU_TAIL] = 0;
    machine[BATCH_NR] = done;
    groups[group][STAT_SCANNED] += done;
    count_listed(group, -done);
    return done;
}

static i64 step(i64 context, i64 cause)
{
    i64 *pass = machine + context, root = pass[PASS_ROOT], listed, done;
    if (!root)
        return 0;
    listed = groups[root][GROUP_NR_LRU_TREE];
    if (pass[PASS_DONE] >= pass[PASS_WANT] || !listed) {
        pass[PASS_ROOT] = 0;
        return 0;
    }
    machine[BATCH_SERIAL]++;
    machine[BATCH_WRITTEN] = 0;
    machine[BATCH_CONTEXT] = context;
    machine[BATCH_CAUSE] = cause;
    machine[BATCH_IGNORE_AGE] = pass[PASS_IGNORE_AGE];
    machine[BATCH_MAX_WRITTEN] = machine[NR_MAX_WRITTEN];
    done = isolate(choose(root), min(machine[NR_TO_SCAN], max((listed >> 3) + 1, pass[PASS_WANT] - pass[PASS_DONE])));
    pass[PASS_DONE] += done;
    return done;
}

static int is_hopeless(i64 context, i64 root)
{
    i64 *pass = machine + context, rounds = machine[NR_PATIENCE_ROUNDS];
    if (!rounds || pass[PASS_FAILS] <= rounds * groups[root][GROUP_NR_LRU_TREE] + machine[NR_TO_SCAN])
        return 0;
    pass[PASS_FAILS] = pass[PASS_ROOT] = 0;
    return 1;
}

static inline void uncharge_pages(i64 group, i64 nr, int statistic)
{
    groups[group][statistic] -= nr;
    groups[group][GROUP_REFERENCES] -= nr;
    uncharge(group, nr);
}

static void free_frame(i64 frame, i64 group, int statistic)
{
    uncharge_pages(group, 1, statistic);
    give_frame(frame);
}

/* All of one page but its charge. */
static inline void write_out(const i64 *row)
{
    i64 *encl = enclaves[row[0]], group = row[2], forced = machine[WORK_CURRENT];
    groups[group][STAT_RECLAIMED]++;
    pages[encl[ENCLAVE_OFFSET] + row[1]] = (int32_t)(-1 - (groups[group][STAT_RECLAIMED] & ((1 << 30) - 1)));
    machine[EBLOCK]++;
    machine[EWB]++;
    if (encl[ENCLAVE_TRACKED] != machine[BATCH_SERIAL]) {
        encl[ENCLAVE_TRACKED] = machine[BATCH_SERIAL];
        machine[ETRACK]++;
        machine[EWB]++;
    }
    encl[ENCLAVE_NR_EVICTED]++;
    encl[ENCLAVE_NR_CHILDREN]--;
    machine[machine[BATCH_CONTEXT] + PASS_WRITTEN]++;
    machine[BATCH_WRITTEN]++;
    if (!encl[ENCLAVE_NR_CHILDREN] && encl[ENCLAVE_FLAGS] & ENCLAVE_INITIALISED && encl[ENCLAVE_SECS]) {
        i64 secs = encl[ENCLAVE_SECS];
        machine[EWB]++;
        machine[EREMOVE]++;
        encl[ENCLAVE_SECS] = 0;
        encl[ENCLAVE_FLAGS] |= ENCLAVE_SECS_OUT;
        free_frame(secs, frames[secs][FRAME_GROUP], STAT_SECS);
    }
    give_frame(row[3]);
    if (forced && machine[BATCH_CONTEXT] == CONTEXT_WORKER)
        groups[forced][GROUP_FORCED] -= groups[forced][GROUP_FORCED] > 0;
}

/* Age the batch, then write out what is old. */
static void act(void)
{
    i64 nr = machine[BATCH_NR], group = machine[BATCH + 2], accepted = 0;
    uint8_t young[BATCH_ROWS + 1];
    for (i64 i = 0; i < nr; i++) {
        i64 *row = machine + BATCH + BATCH_COLUMNS * i;
        uint8_t *mark = marks + enclaves[row[0]][ENCLAVE_OFFSET] + row[1];
        young[i] = 1;
        if (accepted >= machine[BATCH_MAX_WRITTEN])
            continue;
        if (*mark & PAGE_ACCESSED && !machine[BATCH_IGNORE_AGE])
            *mark &= (uint8_t)~PAGE_ACCESSED;
        else {
            young[i] = 0;
            accepted++;
        }
    }
    for (i64 i = 0; i < nr; i++) {
        i64 *row = machine + BATCH + BATCH_COLUMNS * i;
        if (young[i]) {
            frames[row[3]][FRAME_FLAGS] &= ~FRAME_ISOLATED;
            append(row[3]);
        } else {
            write_out(row);
            row[3] = 0;
        }
    }
    uncharge_pages(group, accepted, STAT_RESIDENT); /* a batch is of one list */
    if (accepted < nr)
        count_listed(group, nr - accepted);
    if (machine[NR_PATIENCE_ROUNDS]) {
        i64 *fails = machine + machine[BATCH_CONTEXT] + PASS_FAILS;
        *fails = machine[BATCH_WRITTEN] ? 0 : *fails + nr;
    }
    machine[BATCH_NR] = 0;
    totals[SCANNED] += nr;
    totals[EVICTIONS] += accepted;
}

/* Background. */

static i64 excess_of(i64 group)
{
    return (groups[group][GROUP_USAGE] >> SHIFT) - background_target(groups[group]);
}

static i64 item_step(i64 group)
{
    i64 *pass = machine + CONTEXT_WORKER, done = step(CONTEXT_WORKER, group);
    if (done)
        return done;
    if (groups[group][GROUP_NR_LRU_TREE] && (excess_of(group) > 0 || groups[group][GROUP_FORCED] > 0) &&
        !is_hopeless(CONTEXT_WORKER, group)) {
        i64 excess = max(excess_of(group), groups[group][GROUP_FORCED]);
        begin_pass(pass, group, min(machine[NR_TO_SCAN], max(excess, 1)));
        return step(CONTEXT_WORKER, group);
    }
    groups[group][GROUP_FORCED] = 0;
    machine[WORK_CURRENT] = 0;
    return 0;
}

static i64 begin_item(void)
{
    i64 group = machine[WORK_HEAD], *pass = machine + CONTEXT_WORKER;
    machine[WORK_HEAD] = groups[group][GROUP_WORK_NEXT];
    if (!machine[WORK_HEAD])
        machine[WORK_TAIL] = 0;
    groups[group][GROUP_WORK_PENDING] = groups[group][GROUP_WORK_NEXT] = 0;
    pass[PASS_ROOT] = pass[PASS_PENDING] = pass[PASS_FAILS] = pass[PASS_EMPTY] = pass[PASS_IGNORE_AGE] = 0;
    if (groups[group][GROUP_USAGE] >> SHIFT > whole_pages(groups[group][GROUP_HIGH]))
        groups[group][STAT_EVENT_HIGH]++;
    return machine[WORK_CURRENT] = group;
}

static i64 ksgxd_step(void)
{
    i64 done = step(CONTEXT_KSGXD, 0);
    if (done)
        return done;
    if (machine[NR_FREE] < machine[NR_HIGH] && groups[ROOT][GROUP_NR_LRU_TREE] > 0 &&
        !is_hopeless(CONTEXT_KSGXD, ROOT)) {
        begin_pass(machine + CONTEXT_KSGXD, ROOT, machine[NR_TO_SCAN]);
        return step(CONTEXT_KSGXD, 0);
    }
    machine[KSGXD_AWAKE] = 0;
    return 0;
}

static i64 next_batch(void)
{
    while (machine[WORK_CURRENT] || machine[WORK_HEAD]) {
        i64 done = item_step(machine[WORK_CURRENT] ? machine[WORK_CURRENT] : begin_item());
        if (done)
            return done;
    }
    return machine[KSGXD_AWAKE] ? ksgxd_step() : 0;
}

/* Faults. */

static i64 direct_pass(i64 root, i64 want, i64 group)
{
    if (!groups[root][GROUP_NR_LRU_TREE] || is_hopeless(CONTEXT_ALLOCATION, root))
        return -REFUSED;
    begin_pass(machine + CONTEXT_ALLOCATION, root, want);
    return step(CONTEXT_ALLOCATION, group) ? -EVICT : -REFUSED;
}

/* A charged frame, or a negative outcome. */
static inline i64 page_of(i64 group)
{
    i64 frame;
    machine[REFUSED_AT] = 0;
    if (machine[CONTEXT_ALLOCATION + PASS_ROOT] && step(CONTEXT_ALLOCATION, group))
        return -EVICT;
    i64 refuser = charge(group);
    if (refuser) {
        machine[REFUSED_AT] = refuser;
        return direct_pass(refuser, 1, group);
    }
    frame = take_frame();
    if (frame)
        queue_crowded(group);
    else {
        uncharge(group, 1);
        frame = direct_pass(ROOT, machine[NR_TO_SCAN], group);
        if (frame == -EVICT)
            return frame;
    }
    if (machine[NR_FREE] < machine[NR_LOW] && groups[ROOT][GROUP_NR_LRU_TREE] > 0)
        machine[KSGXD_AWAKE] = 1;
    return frame;
}

static inline void bind(i64 frame, i64 group, i64 encl, i64 page, int statistic)
{
    frames[frame][FRAME_GROUP] = (int32_t)group;
    frames[frame][FRAME_ENCLAVE] = (int32_t)encl;
    frames[frame][FRAME_PAGE] = (int32_t)page;
    groups[group][GROUP_REFERENCES]++;
    groups[group][statistic]++;
}

static void let_go(i64 *encl)
{
    i64 frame = encl[ENCLAVE_HELD];
    if (frame) {
        machine[EREMOVE]++;
        encl[ENCLAVE_HELD] = 0;
        free_frame(frame, frames[frame][FRAME_GROUP], STAT_RESIDENT);
    }
}

static i64 secs_in(i64 number, i64 *encl, i64 group)
{
    i64 frame = page_of(group);
    if (frame < 0)
        return frame;
    bind(frame, group, number, PAGE_SECS, STAT_SECS);
    encl[ENCLAVE_SECS] = frame;
    encl[ENCLAVE_FLAGS] &= ~(i64)ENCLAVE_SECS_OUT;
    machine[ELDU]++;
    return 0;
}

static i64 grow(i64 number, i64 *encl, i64 group)
{
    if (encl[ENCLAVE_PAGE_COUNT] >= 512 * encl[ENCLAVE_NR_VA]) {
        i64 frame = page_of(group);
        if (frame < 0)
            return frame;
        bind(frame, group, number, PAGE_VA - encl[ENCLAVE_VA_HEAD], STAT_VA);
        machine[EPA]++;
        encl[ENCLAVE_VA_HEAD] = frame;
        encl[ENCLAVE_NR_VA]++;
    }
    encl[ENCLAVE_PAGE_COUNT]++;
    return 0;
}

static inline i64 bring(i64 number, i64 *encl, i64 index, i64 group, i64 held_word)
{
    i64 answer, frame = encl[ENCLAVE_HELD], element = encl[ENCLAVE_OFFSET] + index;
    if (encl[ENCLAVE_FLAGS] & ENCLAVE_SECS_OUT && (answer = secs_in(number, encl, group)))
        return -answer;
    if (!frame || frames[frame][FRAME_GROUP] != group) {
        let_go(encl);
        frame = page_of(group);
        if (frame < 0)
            return -frame;
        bind(frame, group, number, 0, STAT_RESIDENT);
        encl[ENCLAVE_HELD] = frame;
    }
    if (held_word < 0) {
        i64 distance = (groups[group][STAT_RECLAIMED] - (-1 - held_word)) & ((1 << 30) - 1);
        if (distance <= groups[group][STAT_RESIDENT])
            groups[group][STAT_REFAULTS]++;
        machine[ELDU]++;
        encl[ENCLAVE_NR_EVICTED]--;
        frames[frame][FRAME_FLAGS] |= FRAME_LOADED;
        groups[group][STAT_LOADED]++;
    } else {
        answer = grow(number, encl, group);
        if (answer) {
            if (answer != -EVICT)
                let_go(encl);
            return -answer;
        }
        machine[EAUG]++;
        groups[group][STAT_CREATED]++;
        marks[element] |= PAGE_PENDING;
    }
    encl[ENCLAVE_HELD] = 0;
    frames[frame][FRAME_PAGE] = (int32_t)index;
    pages[element] = (int32_t)frame;
    encl[ENCLAVE_NR_CHILDREN]++;
    append(frame);
    count_listed(group, 1);
    return held_word < 0 ? LOADED : CREATED;
}

static inline i64 access_page(i64 number, i64 index, i64 group)
{
    i64 *encl = enclaves[number], held_word = pages[encl[ENCLAVE_OFFSET] + index], answer, refuser;
    if (held_word == 0 && !(encl[ENCLAVE_FLAGS] & ENCLAVE_INITIALISED && machine[SGX2]))
        return NO_PAGE;
    answer = bring(number, encl, index, group, held_word);
    if (answer == CREATED || answer == LOADED)
        groups[group][STAT_FAULTS]++;
    refuser = machine[REFUSED_AT];
    if (refuser && encl[ENCLAVE_REFUSED] != index + 1) {
        groups[refuser][STAT_EVENT_MAX]++;
        encl[ENCLAVE_REFUSED] = index + 1;
    }
    if (answer == REFUSED)
        groups[refuser ? refuser : group][STAT_EVENT_OOM]++;
    if (answer != EVICT && answer != BUSY)
        encl[ENCLAVE_REFUSED] = 0;
    return answer;
}

/* Fetch some of what the next batch of a stream's group will touch; what is read may be out of date. */
static inline void look_ahead(i64 *stream)
{
    i64 head = groups[stream[GROUP]][GROUP_LRU_HEAD], frame;
    if (stream[HEAD] != head) {
        stream[HEAD] = stream[SEEN] = head;
        stream[LEFT] = LIST_AHEAD;
    }
    if (stream[LEFT] <= 0)
        return;
    frame = stream[SEEN];
    for (int i = 0; i < LIST_STEP; i++) {
        i64 element = stream[OFFSET] + frames[frame][FRAME_PAGE];
        __builtin_prefetch(marks + element, 1);
        __builtin_prefetch(pages + element, 1);
        frame = frames[frame][FRAME_NEXT];
        __builtin_prefetch(frames[frame], 1);
        __builtin_prefetch(frames[frame] + FRAME_FLAGS, 1);
    }
    stream[SEEN] = frame;
    stream[LEFT] -= LIST_STEP;
}

void twin_run(i64 *m, i64 *g, i64 *e, int32_t *f, int32_t *p, uint8_t *k, const uint32_t *trace, i64 nr_references,
              i64 page_bits, i64 (*streams)[STREAM_COLUMNS], i64 nr_streams, i64 *t, i64 idle)
{
    u64 mask = ((u64)1 << page_bits) - 1;
    i64 hits = 0, i;
    machine = m;
    groups = (void *)g;
    enclaves = (void *)e;
    frames = (void *)f;
    pages = p;
    marks = k;
    totals = t;
    for (i = 0; i < nr_references; i++) {
        if (i + AHEAD < nr_references) {
            u64 next = trace[i + AHEAD], stream = next >> page_bits;
            if (stream < (u64)nr_streams) {
                __builtin_prefetch(p + streams[stream][OFFSET] + (next & mask), 1);
                __builtin_prefetch(k + streams[stream][OFFSET] + (next & mask), 1);
            }
        }
        u64 reference = trace[i], stream = reference >> page_bits, index = reference & mask;
        if (stream >= (u64)nr_streams || index >= (u64)streams[stream][SIZE])
            break;
        u64 element = (u64)streams[stream][OFFSET] + index;
        if (p[element] > 0) {
            k[element] |= PAGE_ACCESSED;
            hits++;
            continue;
        }
        i64 answer;
        while ((answer = access_page(streams[stream][ENCLAVE], (i64)index, streams[stream][GROUP])) == EVICT)
            act();
        t[answer]++;
        look_ahead(streams[stream]);
        if (idle)
            while (next_batch())
                act();
    }
    t[HIT] += hits;
    t[NR_DONE] = i;
}
