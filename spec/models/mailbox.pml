/*
 * One direction of a lane: mailbox, stamps, parking, and the death of either side.
 *
 * A sender, a receiver, two slots, N messages. What each step is for stands in spec/mailbox.md and in
 * spec/lanes.md, section Waking; what is checked, and what is left out, in README.md beside this file.
 *
 * Memory model: total store order (x86-64). Each side stores into a queue of its own, its *store buffer*,
 * which drains into memory in order and at any time. Loads read memory. So a store may become visible after
 * later loads of the same side, and nothing else is reordered. A full fence waits until the own buffer is
 * empty. No side loads a word that it stores (MBX-15), so loads need not look into the own buffer. Release
 * and acquire cost nothing here: weaker reorderings are the business of the models in tests/tests/loom_*.rs.
 *
 * One transition makes at most one access of memory, besides private and ghost state. Ghosts are variables
 * that no side decides by: they are there for the assertions.
 *
 * With -D and one of these names the model becomes a mutant, which the checker must reject:
 *
 *   NOTIFIER_NO_FENCE  the notifier loads the parked flag without a fence before it       WAKE-2
 *   WAITER_NO_FENCE    the waiter looks again without a fence before it                   WAKE-1
 *   WAITER_NO_LOOK     the waiter does not look again                                     WAKE-1
 *   TICKET_LATE        the waiter loads the bell after it has looked again                WAKE-1
 *   LOOK_AT_STAMP      the waiter looks again at the stamp of one slot only               WAKE-6
 *   NO_WAKE            the notifier advances the bell, but wakes nobody                   WAKE-2
 *   TRUST_WAKE         the waiter takes a message because its wait has ended              WAKE-5
 *   NO_DEATH_NOTICE    the wait does not end when the sender dies                         WAKE-7
 *   STAMP_FIRST        the stamp is stored before the publish word                        MBX-9
 *   ANY_STAMP          every stamp that is not the last one seen counts                   MBX-10
 *   STAMP_ZERO         a stamp of zero counts, and the sender does not stamp              MBX-10
 *   PUBLISH_FIRST      the publish word is stored before the slots are written            MBX-11
 *   CLAIM_BLINDLY      the sender does not ask whether a slot was released                MBX-14
 *   RELEASE_FIRST      the slot is released before it is read                             MBX-13
 *   PARK_HOLDING       the receiver parks while it holds slots                            MBX-19
 *   DEATH_LAST         the receiver looks for messages, and then for the sender's death   LANE-24
 *
 * Two more names are no mutants: NO_STAMPS is a sender that does not stamp, NO_PARKING a receiver that
 * never parks.
 */

#ifndef N
#define N 4
#endif

#ifdef STAMP_ZERO
#define NO_STAMPS
#endif

/* Stamps count modulo 4. Numbers that are equal modulo 2^32 are equal modulo 4: whatever the wire can
   confuse, this model confuses, and a stamp numbered 0 comes along. */
#define WRAP 4

#define BIT(i) (1 << (i))
#define HAS(set, i) (((set) >> (i)) & 1)
#define BOTH 3

/* Memory: every word has one writer. */
#define SLOT 0 /* and 1: what a slot holds, the number of a message */
#define STAMP 2 /* and 3 */
#define PUBLISH 4
#define BELL 5
#define RELEASE 6
#define PARKED 7
byte memory[8];

/* In a slot: its bytes are being written. */
#define WRITING 255

/* Store buffers. The longest run of stores without a fence: two slots of two stores, publish word, two
   stamps. */
chan from_sender = [7] of { byte, byte };
chan from_receiver = [4] of { byte, byte };

#define store_s(at, value) from_sender ! at, value
#define store_r(at, value) from_receiver ! at, value
#define full_fence_s empty(from_sender)
#define full_fence_r empty(from_receiver)

/* What the operating system knows. */
bool asleep; /* the receiver, on the sender's bell */
bool sender_died, receiver_died; /* told to the other side */

/* Who is to die, and whether it has to die now. */
mtype = { nobody, sending, receiving };
mtype victim = nobody;
bool now;

/* How each side ended. */
mtype = { running, done, no_room, crashed };
mtype sender_end = running, receiver_end = running;

/* Ghosts. Sets of messages have a bit for each number, sets of slots a bit for each slot. */
byte in_slot[2]; /* message that was written into the slot last */
byte published, got;
byte reading; /* slots whose bytes the receiver is reading */

/* ---- memory ---- */

/* What the sender stores arrives. MBX-3: never the bytes of a slot that is pending or being read. */
proctype sender_buffer() {
	byte at, value;
end:
	do
	:: d_step {
		from_sender ? at, value ->
		assert(at >= STAMP || !HAS(reading, at));
		assert(at >= STAMP || !HAS(memory[PUBLISH] ^ memory[RELEASE], at));
		memory[at] = value;
		at = 0; value = 0
	}
	od
} /* never */

/* What the receiver stores arrives. */
proctype receiver_buffer() {
	byte at, value;
end:
	do
	:: d_step { from_receiver ? at, value -> memory[at] = value; at = 0; value = 0 }
	od
} /* never */

/* ---- operating system ---- */

/* Kills the victim, if there is one, at any time. */
proctype reaper() {
	if
	:: victim == nobody
	:: victim != nobody -> now = true
	fi
}

/* WAKE-5: one wait ends for no reason. One only, so that it does not
   save everybody who sleeps for ever. */
proctype spurious() {
end:
	asleep -> asleep = false
}

/* ---- sender, notifier ---- */

#ifdef CLAIM_BLINDLY
#define FREE(i) (!HAS(ready, i))
#else
#define FREE(i) (!HAS((mine ^ seen) | ready, i))
#endif

/* Private state only: the next message is to be written into slot i, and published with the next store. */
inline claim(i) {
	slot = i;
	sent++;
	in_slot[i] = sent;
	ready = ready | BIT(i);
	batch = batch | BIT(sent)
}

/* The bytes of a slot, from the first to the last. */
inline write() {
	store_s(SLOT + slot, WRITING);
	atomic { nfull(from_sender) -> store_s(SLOT + slot, sent); slot = 0 }
}

/* MBX-11, E1. */
inline publish() {
	atomic {
		ready != 0 && nfull(from_sender) ->
		mine = mine ^ ready;
		store_s(PUBLISH, mine);
		published = published | batch;
		rest = ready;
		ready = 0;
		batch = 0
	}
}

/* MBX-9, E3. The stamps of one batch in any order. */
inline stamp_one(i) {
	count[i] = (count[i] + 1) % WRAP;
	store_s(STAMP + i, count[i]);
	rest = rest ^ BIT(i);
	if
	:: rest == 0 -> break
	:: else
	fi
}

inline stamp() {
#ifdef NO_STAMPS
	rest = 0
#else
	do
	:: atomic { HAS(rest, 0) && nfull(from_sender) -> stamp_one(0) }
	:: atomic { HAS(rest, 1) && nfull(from_sender) -> stamp_one(1) }
	od
#endif
}

/* WAKE-2, F1. The operating system's wake is a full fence itself. */
inline notify() {
#ifndef NOTIFIER_NO_FENCE
	full_fence_s;
#endif
	if
	:: memory[PARKED] == 0
	:: memory[PARKED] != 0 ->
		atomic { nfull(from_sender) -> rung++; store_s(BELL, rung) }
#ifndef NO_WAKE
		d_step { full_fence_s -> asleep = false }
#endif
	fi
}

#ifdef PUBLISH_FIRST
#define WRITE publish(); write(); break
#else
#define WRITE write()
#endif

#ifdef STAMP_FIRST
#define SEND d_step { ready != 0 -> rest = ready } stamp(); publish();
#else
#define SEND publish();
#endif

proctype sender() {
	byte mine; /* own publish word */
	byte seen; /* release word, as loaded last */
	byte count[2]; /* publications of each slot */
	byte rung; /* own bell */
	byte sent; /* messages written, and number of the last one */
	byte slot;
	byte ready, batch; /* slots and messages to be published with the next store */
	byte rest;
	{
		do
		::
			do
			/* Claims any free slot: the order is no rule. Several may go with one store. Both slots are alike,
			   so it is enough to look at runs that begin with slot 0. */
			:: d_step { sent < N && FREE(0) -> claim(0) } WRITE
			:: d_step { sent < N && sent > 0 && FREE(1) -> claim(1) } WRITE
			/* MBX-14, E2. The check is MBX-8. */
			:: d_step {
				memory[RELEASE] != seen ->
				assert(((memory[RELEASE] ^ seen) & ~(mine ^ seen)) == 0);
				seen = memory[RELEASE]
			}
			:: SEND break
			:: d_step { sent == N && ready == 0 -> sender_end = done } goto over
			:: d_step {
				ready == 0 && (mine ^ seen) == BOTH && receiver_died && memory[RELEASE] == seen ->
				sender_end = no_room
			} goto over
			od;
#ifndef STAMP_FIRST
			stamp();
#endif
			notify()
		od
	} unless {
		(now && victim == sending)
	}
	/* What it has stored still arrives. Only then does the operating system tell of the death. */
	sender_end = crashed;
	d_step {
		full_fence_s ->
		sender_died = true;
#ifndef NO_DEATH_NOTICE
		asleep = false
#endif
	}
over:
	skip
}

/* ---- receiver, waiter ---- */

/* MBX-10, E3: one load of a stamp, and what follows from it. */
#define HELD(i) HAS(taken ^ released, i)
#ifdef ANY_STAMP
#define STAMPED(i) (!HELD(i) && memory[STAMP + i] != 0 && memory[STAMP + i] != accepted[i])
#elif defined(STAMP_ZERO)
#define STAMPED(i) (!HELD(i) && memory[STAMP + i] == (count[i] + 1) % WRAP)
#else
#define STAMPED(i) (!HELD(i) && memory[STAMP + i] != 0 && memory[STAMP + i] == (count[i] + 1) % WRAP)
#endif

/* Private state only: the slot is taken. MBX-8: it was not held. */
inline take(i) {
	assert(!HELD(i));
	slot = i;
	taken = taken ^ BIT(i);
	known = known & ~BIT(i);
	count[i] = (count[i] + 1) % WRAP;
	number++;
	reading = reading | BIT(i)
}

inline take_by_stamp(i) {
#ifdef ANY_STAMP
	accepted[i] = memory[STAMP + i];
#endif
	take(i)
}

/* MBX-12, E1, and the check that is MBX-7. */
inline look() {
	known = memory[PUBLISH] ^ taken;
	assert((known & (taken ^ released)) == 0)
}

/* MBX-13, E2: everything that is held. */
inline release() {
	atomic { nfull(from_receiver) -> released = taken; store_r(RELEASE, taken) }
}

/* The bytes of a slot, from the first to the last: what the sender wrote, published, for the first time. */
inline read() {
	assert(memory[SLOT + slot] == in_slot[slot]);
	d_step {
		assert(memory[SLOT + slot] == in_slot[slot]);
		assert(HAS(published, in_slot[slot]));
		assert(!HAS(got, in_slot[slot]));
		got = got | BIT(in_slot[slot]);
		reading = 0;
		slot = 0
	}
}

/* WAKE-1 step 5: the operating system compares and puts to sleep in one step, after a full fence. WAKE-7. */
inline wait() {
	d_step {
		full_fence_r ->
		if
#ifdef NO_DEATH_NOTICE
		:: memory[BELL] == ticket -> asleep = true
#else
		:: memory[BELL] == ticket && !sender_died -> asleep = true
#endif
		:: else
		fi
	}
	!asleep
}

/* WAKE-1, F2. */
inline park() {
#ifndef TICKET_LATE
	ticket = memory[BELL];
#endif
	store_r(PARKED, 1);
#ifndef WAITER_NO_FENCE
	full_fence_r;
#endif
	/* WAKE-6. */
	if
#if defined(WAITER_NO_LOOK)
	:: true ->
#elif defined(LOOK_AT_STAMP)
	:: STAMPED(0) -> look()
	:: !STAMPED(0) ->
#else
	:: d_step { memory[PUBLISH] != taken -> look() }
	:: memory[PUBLISH] == taken ->
#endif
#ifdef TICKET_LATE
		ticket = memory[BELL];
#endif
		wait()
#ifdef TRUST_WAKE
		; trusting = true
#endif
	fi;
	/* WAKE-3. */
	atomic { nfull(from_receiver) -> store_r(PARKED, 0); ticket = 0 }
}

#ifdef PARK_HOLDING
#define MAY_PARK (known == 0 && number < N && !told)
#else
#define MAY_PARK (known == 0 && number < N && !told && taken == released)
#endif

proctype receiver() {
	byte taken; /* slots, toggled with every message */
	byte released; /* own release word */
	byte known; /* slots seen pending and not taken */
	byte count[2]; /* messages taken of each slot, modulo WRAP */
	byte number; /* messages taken */
	byte slot, ticket;
	bool told; /* of the sender's death */
#ifdef ANY_STAMP
	byte accepted[2];
#endif
#ifdef TRUST_WAKE
	bool trusting;
#endif
	{
		do
		::
			do
			/* Guesses any slot and polls its stamp: the guess is private to the receiver. */
			:: d_step { STAMPED(0) -> take_by_stamp(0) } break
			:: d_step { STAMPED(1) -> take_by_stamp(1) } break
			/* Looks at the publish word, and takes any slot of those that it saw pending. */
			:: d_step { (memory[PUBLISH] ^ taken) != known -> look() }
			:: d_step { HAS(known, 0) -> take(0) } break
			:: d_step { HAS(known, 1) -> take(1) } break
#ifdef TRUST_WAKE
			:: d_step { trusting && !HELD(0) -> trusting = false; take(0) } break
#endif
			/* Releases now, or later together with others. */
			:: taken != released -> release()
#ifndef NO_PARKING
			:: MAY_PARK -> park()
#endif
			/* Nothing ends a receiver but the end of the sender; this one knows how many there will be. It goes
			   on polling for as long as it likes, for a late stamp to deceive it. */
			:: d_step { number == N && taken == released -> receiver_end = done } goto over
#ifdef DEATH_LAST
			:: memory[PUBLISH] == taken && taken == released ->
				if
				:: d_step { sender_died -> receiver_end = done } goto over
				:: !sender_died
				fi
#else
			/* LANE-24. First the death, then the look: what was published before the death is taken. */
			:: sender_died && !told -> told = true
			:: d_step { told && memory[PUBLISH] == taken && taken == released -> receiver_end = done } goto over
#endif
			od;
#ifdef RELEASE_FIRST
			release();
#endif
			read()
		od
	} unless {
		(now && victim == receiving)
	}
	receiver_end = crashed;
	d_step { full_fence_r -> receiver_died = true; reading = 0 }
over:
	skip
}

/* ---- the end ---- */

#define PENDING(i) HAS(memory[PUBLISH] ^ memory[RELEASE], i)
#define EVERYTHING ((1 << (N + 1)) - 2)

/* A pending slot holds what was written into it, whole; what a free slot held has been read. */
inline whole(i) {
	assert(!PENDING(i) || (memory[SLOT + i] == in_slot[i] && HAS(published, in_slot[i])));
	assert(PENDING(i) || in_slot[i] == 0 || HAS(got, in_slot[i]) || !HAS(published, in_slot[i]))
}

/* Both sides have ended, and all their stores have arrived. A run in which that never comes is a deadlock:
   somebody sleeps, or waits for room, for ever. */
proctype judge() {
	d_step {
		sender_end != running && receiver_end != running && full_fence_s && full_fence_r ->
		whole(0);
		whole(1);
		assert((got & ~published) == 0)
	}
	if
	:: d_step {
		sender_end == done && receiver_end == done ->
		assert(got == EVERYTHING && memory[PUBLISH] == memory[RELEASE])
	}
	:: d_step {
		sender_end == crashed && receiver_end == done ->
		assert(got == published && memory[PUBLISH] == memory[RELEASE])
	}
	:: d_step { sender_end == done && receiver_end == crashed -> assert(published == EVERYTHING) }
	:: d_step { sender_end == no_room && receiver_end == crashed -> assert(PENDING(0) && PENDING(1)) }
	fi
}

/* The victim is chosen before anything happens: a deadlock of the runs in which nobody dies is not hidden by
   a death that is still to come. */
init {
	atomic {
		if
		:: true
		:: victim = sending
		:: victim = receiving
		fi;
		run sender_buffer();
		run receiver_buffer();
		run reaper();
		run spurious();
		run sender();
		run receiver();
		run judge()
	}
}

/* ---- what must happen in some run, so that the assertions are not true of nothing ---- */

/* Taken by the publish word while the stamp has not arrived. The first message is in slot 0. */
#define SEEN_LATE_STAMP (receiver:number == 1 && memory[STAMP] == 0 && !sender_died)
/* The fourth publication of one slot is taken: it is numbered 0. */
#define SEEN_WRAP (receiver:number == 4 && in_slot[1] == 0)
/* Two messages with one store of the publish word, when the receiver has released nothing. */
#define SEEN_BATCH (receiver:number == 0 && receiver:known == BOTH && sender:rest == BOTH)
/* Both slots are held, to be released by one store. */
#define SEEN_HELD ((receiver:taken ^ receiver:released) == BOTH)
/* The receiver sleeps although a message is pending: the notifier is about to wake it. */
#define SEEN_ASLEEP (asleep && memory[PUBLISH] != receiver:taken)
/* The same, and the notifier dies: only its death is left to wake the receiver. */
#define SEEN_ORPHAN (asleep && memory[PUBLISH] != receiver:taken && sender_end == crashed)
/* A flag that is not up to date: the receiver is awake, and the sender rings for nothing. */
#define SEEN_OLD_FLAG (receiver:released == BOTH && memory[PARKED] == 1 && len(from_receiver) > 1)
/* The sender dies in the middle of a slot. */
#define SEEN_TORN (sender_died && memory[SLOT] == WRITING)
/* The sender dies between publish word and stamp. */
#define SEEN_UNSTAMPED (sender_died && memory[PUBLISH] == BIT(0) && memory[STAMP] == 0 && in_slot[1] == 0)
/* The receiver dies between reading and releasing. */
#define SEEN_READ (receiver_died && HAS(got, in_slot[0]) && PENDING(0))
/* The receiver dies before it has taken everything, and the sender fills what is left. */
#define SEEN_NO_ROOM (sender_end == no_room)
/* Both end as they should. */
#define SEEN_DONE (sender_end == done && receiver_end == done)

#ifdef WITNESS
ltl witness { [] !WITNESS }
#endif
