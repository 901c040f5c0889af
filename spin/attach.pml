/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright the vfio4j authors */

/*
 * The attach rules of VFIO type1, stated a second time and without the engine: which VFIO groups a
 * container may attach, and what that does to the backing groups. spin/run has Spin look at every
 * state, and compares what it finds with what the engine does.
 *
 * A state, here and in org.vfio4j.model of core's tests, is
 *   per container      the set of VFIO groups attached to it, without order;
 *   per backing group  the container that holds it, or none.
 * Mappings are left out. So are the hardware's own variables, by being checked: in every state
 * they must follow from the sets (I1, I7), so that they make no state two.
 *
 * Worlds (give one as -D):
 *   SMALL   2 containers; A, W1(A), C
 *   MEDIUM  2 containers; A, W1(A), W2(A), R2, W(R1), C
 *   LARGE   3 containers; the same
 *   MIXED   3 containers; the same, a plain P and an aux X
 *   WIDE    4 containers; the same as MIXED
 * A and C are singleton groups. R is the group of two functions: R2 attaches it as itself, W(R1)
 * wraps its other function. No group has a default domain: nothing but the hold keeps two
 * containers apart. That a VFIO group is in one container only is a rule of the VFIO core above;
 * without it there is more to be attached, and more to be refused.
 *
 * Defects (for spin/run --bugs): BUG_R7 detaches the hardware whatever the count, BUG_D12 attaches
 * without a hold.
 *
 * An operation is one d_step, each container is one process that stays where it is, and scratch
 * variables are hidden: a stored state is an abstract state, and there are no others.
 */

#if defined(SMALL)
#define CONTAINERS 2
#elif defined(MEDIUM)
#define CONTAINERS 2
#define RICH
#elif defined(LARGE)
#define CONTAINERS 3
#define RICH
#elif defined(MIXED)
#define CONTAINERS 3
#define RICH
#define UNBACKED
#elif defined(WIDE)
#define CONTAINERS 4
#define RICH
#define UNBACKED
#else
#error no world chosen
#endif

/* Backing groups. */
#define BACKINGS 3
#define A 0
#define R 1
#define C 2

/* VFIO groups, as bits of a container's set. */
#define G_A 0
#define G_W1 1
#define G_W2 2
#define G_R2 3
#define G_WR1 4
#define G_C 5
#define G_P 6
#define G_X 7
#define BIT(g) (1 << (g))

/* S4: who stands for a backing group: its own VFIO group and every function wrapped in it. */
#ifdef RICH
#define USERS_A (BIT(G_A) | BIT(G_W1) | BIT(G_W2))
#define USERS_R (BIT(G_R2) | BIT(G_WR1))
#else
#define USERS_A (BIT(G_A) | BIT(G_W1))
#define USERS_R 0
#endif
#define USERS_C BIT(G_C)

#define NOBODY 0
#define SELF(c) ((c) + 1)

/* The abstraction. */
byte attached[CONTAINERS]; /* the set of VFIO groups */
byte owner[BACKINGS];      /* who holds the backing group */

/* The hardware. */
byte domain[BACKINGS];   /* whose domain the backing group translates by */
byte attaches[BACKINGS]; /* attaches of the backing group not undone */
#ifdef UNBACKED
byte pasids[CONTAINERS]; /* attaches of the aux parent not undone */
#endif

/* What an operation can come to. */
#define OK 0      /* attached, the hardware too where there is any */
#define JOINED 1  /* attached, the hardware was already */
#define EINVAL 2
#define EBUSY 3
#define LEFT 4    /* detached, others stay on the hardware */
#define LAST 5    /* detached, the hardware too where there is any */
#define NOTHING 6 /* there was nothing to detach */

/* Scratch of one operation. */
hidden byte op;       /* 64 if it is a detach, 8 * container, group */
hidden byte answer;
hidden byte before;   /* the container's set */
hidden byte held;     /* the backing group's owner */
hidden byte hardware; /* its attaches */
hidden byte i;
hidden byte holders;  /* containers that have a user of the backing group */

#define HAS(c, g) ((attached[c] & BIT(g)) != 0)
#define USERS(c, mask) (attached[c] & (mask))

#ifdef FINGERPRINT
/*
 * The sum, over all transitions, of a hash of (state, operation, answer, next state): equal sums
 * mean that model and engine have the same transitions, not just equally many states. The order in
 * which they are taken does not matter. Nothing of it is part of the state.
 */
c_decl {
  static unsigned long long vfio_sum, vfio_from;
  static unsigned long long vfio_count[8];
  static unsigned long long vfio_mix(unsigned long long z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  static void vfio_note(unsigned what, unsigned came, unsigned long long to) {
    unsigned long long h = vfio_mix(vfio_from + 0x9e3779b97f4a7c15ULL);
    h = vfio_mix(h + what * 8 + came);
    vfio_sum += vfio_mix(h + to);
    vfio_count[came]++;
  }
  __attribute__((destructor)) static void vfio_print(void) {
    printf("answers: %llu ok, %llu joined, %llu EINVAL, %llu EBUSY, ", vfio_count[0],
        vfio_count[1], vfio_count[2], vfio_count[3]);
    printf("%llu left, %llu last, %llu nothing\n", vfio_count[4], vfio_count[5], vfio_count[6]);
    printf("fingerprint: %016llx\n", vfio_sum);
  }
}
c_code {
  static unsigned long long vfio_state(void) {
    unsigned long long s = 0;
    int n;
    for (n = 0; n < (int) sizeof(now.attached); n++)
      s |= (unsigned long long) now.attached[n] << (8 * n);
    for (n = 0; n < 3; n++)
      s |= (unsigned long long) now.owner[n] << (32 + 3 * n);
    return s;
  }
}
#define FROM c_code { vfio_from = vfio_state(); }
#define TO c_code { vfio_note(op, answer, vfio_state()); }
#else
#define FROM skip
#define TO skip
#endif

/* How many containers have a user of a backing group. */
inline count_holders(mask) {
  holders = 0;
  for (i : 0 .. CONTAINERS - 1) {
    holders = holders + (USERS(i, mask) != 0)
  }
}

/* What holds in every state, for one backing group. */
inline check_backing(b, mask) {
  count_holders(mask);
  assert(holders <= 1);                       /* I2 */
  assert(attaches[b] == holders);             /* I1 */
  assert(owner[b] == domain[b]);              /* who holds it is who translates for it */
  assert((owner[b] == NOBODY) == (holders == 0)); /* S7: free again after the last user */
  for (i : 0 .. CONTAINERS - 1) {
    assert((USERS(i, mask) != 0) == (domain[b] == SELF(i))) /* I7 */
  }
}

inline check_state() {
  check_backing(A, USERS_A);
  check_backing(R, USERS_R);
  check_backing(C, USERS_C);
#ifdef UNBACKED
  for (i : 0 .. CONTAINERS - 1) {
    assert(pasids[i] == HAS(i, G_X)) /* S8, I7 */
  }
#endif
}

/* What an operation must come to, by the sets before it alone, and that it did nothing else. */
inline check_attach(c, g, b, mask) {
  if
  :: before & BIT(g) -> assert(answer == EINVAL) /* S10 */
  :: else ->
    if
    :: before & (mask) ->
      assert(answer == JOINED && attaches[b] == hardware) /* S2: the hardware is not touched */
    :: (before & (mask)) == 0 && held != NOBODY ->
      assert(answer == EBUSY && held != SELF(c)) /* S3 */
    :: else -> assert(answer == OK && hardware == 0 && attaches[b] == 1) /* S1, S7 */
    fi
  fi;
  if
  :: answer == OK || answer == JOINED -> assert(attached[c] == (before | BIT(g)))
  :: else -> assert(attached[c] == before && owner[b] == held && attaches[b] == hardware) /* I4 */
  fi
}

inline check_detach(c, g, b, mask) {
  assert(attached[c] == (before & ~BIT(g))); /* I5: whatever was there, g is gone, the rest not */
  if
  :: (before & BIT(g)) == 0 -> assert(answer == NOTHING && attaches[b] == hardware)
  :: else ->
    if
    :: before & (mask) & ~BIT(g) -> assert(answer == LEFT && attaches[b] == hardware) /* S6 */
    :: else -> assert(answer == LAST && hardware == 1 && attaches[b] == 0)            /* S6 */
    fi
  fi
}

inline attach_hardware(c, b) {
  owner[b] = SELF(c);
  domain[b] = SELF(c);
  attaches[b]++
}

inline detach_hardware(b) {
  owner[b] = NOBODY;
  domain[b] = NOBODY;
  attaches[b]--
}

#ifdef BUG_D12
#define HELD_ELSEWHERE(c, b) false
#else
#define HELD_ELSEWHERE(c, b) (owner[b] != NOBODY && owner[b] != SELF(c))
#endif

/* A VFIO group with a backing group comes to a container. */
inline attach(c, g, b, mask) {
  before = attached[c];
  held = owner[b];
  hardware = attaches[b];
  if
  :: HAS(c, g) -> answer = EINVAL
  :: else ->
    if
    :: USERS(c, mask) ->
      attached[c] = attached[c] | BIT(g);
      answer = JOINED
    :: else ->
      if
      :: HELD_ELSEWHERE(c, b) -> answer = EBUSY
      :: else ->
        attach_hardware(c, b);
        attached[c] = attached[c] | BIT(g);
        answer = OK
      fi
    fi
  fi;
  check_attach(c, g, b, mask)
}

#ifdef BUG_R7
#define ANOTHER_USER(c, mask) false
#else
#define ANOTHER_USER(c, mask) USERS(c, mask)
#endif

/* It leaves; that cannot fail. */
inline detach(c, g, b, mask) {
  before = attached[c];
  held = owner[b];
  hardware = attaches[b];
  if
  :: HAS(c, g) ->
    attached[c] = attached[c] & ~BIT(g);
    if
    :: ANOTHER_USER(c, mask) -> answer = LEFT
    :: else ->
      detach_hardware(b);
      answer = LAST
    fi
  :: else -> answer = NOTHING
  fi;
  check_detach(c, g, b, mask)
}

/* S8, S9: without a backing group nobody shares and nobody is in the way. */
inline attach_unbacked(c, g) {
  if
  :: HAS(c, g) -> answer = EINVAL
  :: else ->
    attached[c] = attached[c] | BIT(g);
#ifdef UNBACKED
    pasids[c] = pasids[c] + (g == G_X);
#endif
    answer = OK
  fi
}

inline detach_unbacked(c, g) {
  if
  :: HAS(c, g) ->
    attached[c] = attached[c] & ~BIT(g);
#ifdef UNBACKED
    pasids[c] = pasids[c] - (g == G_X);
#endif
    answer = LAST
  :: else -> answer = NOTHING
  fi
}

/* The steps to a failed assertion are told in words; nothing is printed otherwise. */
#if defined(BUG_R7) || defined(BUG_D12)
#define TEXT(...) #__VA_ARGS__
#define TELL(what) printf(TEXT(step: what container %d\n), _pid);
#else
#define TELL(what)
#endif

#define BEGIN(number, what) op = number; TELL(what) FROM;
#define END check_state(); TO

#define BACKED_GROUP(g, b, mask) \
  :: d_step { BEGIN(8 * _pid + g, attach_##g) attach(_pid, g, b, mask); END } \
  :: d_step { BEGIN(64 + 8 * _pid + g, detach_##g) detach(_pid, g, b, mask); END }

#define UNBACKED_GROUP(g) \
  :: d_step { BEGIN(8 * _pid + g, attach_##g) attach_unbacked(_pid, g); END } \
  :: d_step { BEGIN(64 + 8 * _pid + g, detach_##g) detach_unbacked(_pid, g); END }

/* A container: every group may come and go, in any order. */
active [CONTAINERS] proctype container() {
end:
  do
  BACKED_GROUP(G_A, A, USERS_A)
  BACKED_GROUP(G_W1, A, USERS_A)
  BACKED_GROUP(G_C, C, USERS_C)
#ifdef RICH
  BACKED_GROUP(G_W2, A, USERS_A)
  BACKED_GROUP(G_R2, R, USERS_R)
  BACKED_GROUP(G_WR1, R, USERS_R)
#endif
#ifdef UNBACKED
  UNBACKED_GROUP(G_P)
  UNBACKED_GROUP(G_X)
#endif
  od
}
