// SPDX-License-Identifier: Apache-2.0
// Copyright the vfio4j authors

// The baseline of the lookup and map benchmarks: a radix table of 4 levels and 512 entries, as an
// IOMMU has it, with 2 MiB and 1 GiB superpages, and with the checks that vfio4j's PageTable makes:
// the whole access inside the mapping, all access bits granted, no overlap, page alignment.
//
// It is meant to be hard to beat. A leaf carries all that a lookup needs, so there is no mapping
// object to chase or to allocate. What PageTable does and this does not: more than one thread, a
// split of what an unmap cuts, giving back tables that are empty, widths other than 48 bits.
//
// radix lookup PAGE_SHIFT MAPPINGS random|sequential ITERATIONS MILLISECONDS
// radix read   PAGE_SHIFT MAPPINGS random|sequential ITERATIONS MILLISECONDS
// radix map    PAGE_SHIFT LIVE     -                 ITERATIONS MILLISECONDS
// prints the sum of the results, then ns per operation, one line per iteration.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef uint64_t u64;

enum { READ = 1, WRITE = 2, TABLE = 4, FLAGS = 4095 };
enum { PAGE_SHIFT = 12, BITS = 9, ENTRIES = 1 << BITS, TOP_SHIFT = 39, WIDTH = 48 };
enum { KEYS = 1 << 18, LENGTH = 64 };

struct entry {
  u64 word;  // 0, or a table's address and TABLE, or a page's address and its permissions
  u64 last;  // of a leaf: the last IOVA of the mapping, which may be many leaves
};

static struct entry *root;

static struct entry *new_table(void) {
  struct entry *table = aligned_alloc(4096, ENTRIES * sizeof(struct entry));
  if (!table) {
    abort();
  }
  memset(table, 0, ENTRIES * sizeof(struct entry));
  return table;
}

static inline struct entry *entry_at(struct entry *table, u64 iova, int shift) {
  return &table[(iova >> shift) & (ENTRIES - 1)];
}

static inline struct entry *table_in(u64 word) {
  return (struct entry *)(word & ~(u64)FLAGS);
}

// The host address of [iova, iova + length), 0 if the access is not allowed.
static inline u64 translate(u64 iova, u64 length, u64 access) {
  if (iova >> WIDTH) {
    return 0;
  }
  struct entry *table = root;
  for (int shift = TOP_SHIFT;; shift -= BITS) {
    struct entry *e = entry_at(table, iova, shift);
    u64 word = e->word;
    if (!(word & TABLE)) {
      u64 last = iova + length - 1;
      if ((word & access) != access || last < iova || last > e->last) {
        return 0;
      }
      return (word & ~(u64)FLAGS) + (iova & ((1ull << shift) - 1));
    }
    table = table_in(word);
  }
}

// The largest page that starts at iova and fits into size bytes.
static inline int shift_for(u64 iova, u64 size) {
  int shift = PAGE_SHIFT;
  while (shift < 30 && !(iova & ((1ull << (shift + BITS)) - 1)) && size >> (shift + BITS)) {
    shift += BITS;
  }
  return shift;
}

static inline int is_range(u64 iova, u64 size) {
  return size && !((iova | size) & FLAGS) && iova < 1ull << WIDTH && size <= (1ull << WIDTH) - iova;
}

// Bytes that were mapped in the range.
static u64 unmap(u64 iova, u64 size) {
  if (!is_range(iova, size)) {
    return 0;
  }
  u64 cleared = 0;
  for (u64 end = iova + size; iova < end;) {
    struct entry *table = root;
    int shift = TOP_SHIFT;
    struct entry *e = entry_at(table, iova, shift);
    while (e->word & TABLE) {
      shift -= BITS;
      e = entry_at(table_in(e->word), iova, shift);
    }
    if (e->word) {
      e->word = 0;
      cleared += 1ull << shift;
    }
    iova = ((iova >> shift) + 1) << shift;
  }
  return cleared;
}

// 0, or -1 if something is mapped there already; what was done till then is undone.
static int map(u64 iova, u64 size, u64 host, u64 prot) {
  if (!is_range(iova, size)) {
    return -1;
  }
  u64 start = iova;
  u64 end = iova + size;
  while (iova < end) {
    int leaf = shift_for(iova, end - iova);
    struct entry *table = root;
    struct entry *e = entry_at(table, iova, TOP_SHIFT);
    for (int shift = TOP_SHIFT; shift > leaf;) {
      if (!e->word) {
        e->word = (u64)new_table() | TABLE;
      } else if (!(e->word & TABLE)) {
        break;
      }
      shift -= BITS;
      e = entry_at(table_in(e->word), iova, shift);
    }
    if (e->word) {
      unmap(start, iova - start);
      return -1;
    }
    e->last = end - 1;
    e->word = host | prot;
    host += 1ull << leaf;
    iova += 1ull << leaf;
  }
  return 0;
}

// ---- keys: the same as Keys.java ----

static u64 state = 42;

// splitmix64
static u64 next_random(void) {
  u64 z = state += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

static u64 keys[KEYS];

// Mapping i is the page 2 * i, so that there is a gap after each.
static void fill_lookups(u64 page, u64 mappings, int random) {
  for (u64 i = 0; i < KEYS; i++) {
    u64 mapping = random ? (next_random() >> 1) % mappings : i % mappings;
    u64 offset = (next_random() >> 1) % (page - LENGTH) & ~7ull;
    keys[i] = 2 * mapping * page + offset;
  }
}

static void fill_gaps(u64 page, u64 live) {
  for (u64 i = 0; i < KEYS; i++) {
    u64 gap = (next_random() >> 1) % (live ? live : 1);
    keys[i] = (2 * gap + 1) * page;
  }
}

// ---- measured loops ----

static __attribute__((noinline)) u64 lookups(void) {
  u64 sum = 0;
  for (int i = 0; i < KEYS; i++) {
    sum += translate(keys[i], LENGTH, READ);
  }
  return sum;
}

// What is found is copied too; all mappings are of one page of memory.
static __attribute__((noinline)) u64 reads(void) {
  static char target[LENGTH];
  u64 sum = 0;
  for (int i = 0; i < KEYS; i++) {
    u64 address = translate(keys[i], LENGTH, READ);
    if (address) {
      memcpy(target, (void *)address, LENGTH);
    }
    // The compiler must not do without the copy.
    __asm__ volatile("" ::"r"(target) : "memory");
    sum += (unsigned char)target[0];
  }
  return sum;
}

static __attribute__((noinline)) u64 maps(u64 page, u64 host) {
  u64 sum = 0;
  for (int i = 0; i < KEYS; i++) {
    sum += map(keys[i], page, host, READ | WRITE);
    sum += unmap(keys[i], page);
  }
  return sum;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static u64 page, host;

static u64 measured(const char *operation) {
  switch (operation[0]) {
    case 'l':
      return lookups();
    case 'r':
      return reads();
    default:
      return maps(page, host);
  }
}

// Independent of where the memory is, so that Java's can be the same.
static u64 check(const char *operation) {
  if (operation[0] != 'l') {
    return measured(operation);
  }
  u64 sum = 0;
  for (int i = 0; i < KEYS; i++) {
    u64 address = translate(keys[i], LENGTH, READ);
    sum += address ? address & (page - 1) : ~0ull >> 8;
  }
  return sum;
}

int main(int argc, char **argv) {
  if (argc != 7 || !strchr("lrm", argv[1][0])) {
    fprintf(stderr, "usage: radix lookup|read|map PAGE_SHIFT COUNT ORDER ITERATIONS MILLISECONDS\n");
    return 2;
  }
  const char *operation = argv[1];
  int read = operation[0] == 'r';
  page = 1ull << atoi(argv[2]);
  u64 count = strtoull(argv[3], 0, 10);
  host = 1ull << 46;
  if (read) {
    unsigned char *memory = aligned_alloc(page, page);
    for (u64 i = 0; memory && i < page; i++) {
      memory[i] = i / 8 * 31;
    }
    host = (u64)memory;
  }
  root = new_table();
  for (u64 i = 0; i < count; i++) {
    if (map(2 * i * page, page, read ? host : host + i * page, READ | WRITE)) {
      return 1;
    }
  }
  if (operation[0] == 'm') {
    fill_gaps(page, count);
  } else {
    fill_lookups(page, count, !strcmp(argv[4], "random"));
  }
  printf("%llu\n", (unsigned long long)check(operation));
  volatile u64 sink = 0;
  for (int i = 0; i < atoi(argv[5]); i++) {
    long operations = 0;
    double start = now();
    double end = start;
    while (end - start < atof(argv[6]) * 1e6) {
      sink += measured(operation);
      operations += KEYS;
      end = now();
    }
    printf("%.4f\n", (end - start) / operations);
  }
  return 0;
}
