import test from 'ava';
import fc from 'fast-check';
import {
  advance,
  claimToAct,
  claimToAsk,
  claimToCreate,
  newCandidate,
  type Candidate,
  type CandidateOptions,
} from './candidate.ts';
import { claimFile, isSameClaim, isStale, watch, type Claim, type ClaimSign } from './claim.ts';
import { isMajority, obeys, promise, type Answer } from './promise.ts';

const LEAD_MS = 100;

/** What a planted bug replaces. */
interface Rules {
  readonly promise: typeof promise;
  /** Whom a lead counts its majority over. */
  readonly countedOver: (membership: readonly string[], answered: readonly string[]) => readonly string[];
  readonly claimToAct: typeof claimToAct;
}

const rules: Rules = { promise, countedOver: (membership) => membership, claimToAct };

/** One thing that happens. */
interface Happening {
  readonly kind: 'look' | 'create' | 'beat' | 'ask' | 'answer' | 'act';
  readonly lead: number;
  readonly member: number;
  /** Time that passes on the own clock of that process before. */
  readonly ms: number;
  /** A listing that is older by so many claims. */
  readonly lag: number;
}

interface Lead {
  readonly incarnation: string;
  /** Of the disk that it sees. */
  readonly disk: ClaimSign[];
  readonly answered: Set<string>;
  readonly answers: Answer[];
  nowMs: number;
  one: Candidate;
}

/** Processes that may lead, members that promise, and disks that may be shared. */
class World {
  readonly membership: readonly string[];
  readonly #rules: Rules;
  readonly #leads: readonly Lead[];
  readonly #promised = new Map<string, Claim>();
  /** Members that have ever promised a claim, by its process and number. */
  readonly #ever = new Map<string, Set<string>>();
  /** Claims that have led. */
  readonly #led: Claim[] = [];

  constructor(numMembers: number, disks: readonly number[], given: Rules) {
    this.#rules = given;
    this.membership = Array.from({ length: numMembers }, (_, index) => `m${index}`);
    const folders = disks.map((): ClaimSign[] => []);
    this.#leads = disks.map((disk, index) => ({
      incarnation: `process ${index}`,
      disk: folders[disk] ?? [],
      answered: new Set(),
      answers: [],
      nowMs: 1000 * index,
      one: newCandidate,
    }));
  }

  /** @returns what must not be, in a sentence; null when all holds */
  happen({ kind, lead: at, member, ms, lag }: Happening): string | null {
    const lead = this.#leads[at % this.#leads.length] as Lead;
    const name = this.membership[member % this.membership.length] as string;
    lead.nowMs += ms;
    const newest = lead.disk.at(-1 - Math.min(lag, Math.max(0, lead.disk.length - 1))) ?? null;
    if (kind === 'look') this.#advance(lead, { type: 'looked', newest, nowMs: lead.nowMs });
    if (kind === 'create') this.#create(lead);
    if (kind === 'beat') this.#beat(lead);
    if (kind === 'ask') this.#ask(lead, name);
    if (kind === 'answer') {
      const [answer] = lead.answers.splice(member % Math.max(1, lead.answers.length), 1);
      if (answer !== undefined) {
        lead.answered.add(answer.from);
        this.#advance(lead, { type: 'answered', answer, nowMs: lead.nowMs });
      }
    }
    return kind === 'act' ? this.#act(lead, newest) : this.#twoOfOneNumber();
  }

  #options(lead: Lead): CandidateOptions {
    const membership = this.#rules.countedOver(this.membership, [...lead.answered]);
    return { incarnation: lead.incarnation, membership, leadMs: LEAD_MS };
  }

  #advance(lead: Lead, event: Parameters<typeof advance>[1]): void {
    lead.one = advance(lead.one, event, this.#options(lead));
    if (lead.one.state === 'leading') {
      const { claim } = lead.one;
      if (!this.#led.some((each) => isSameClaim(each, claim))) this.#led.push(claim);
    }
  }

  #create(lead: Lead): void {
    const claim = claimToCreate(lead.one);
    if (claim === null) return;
    const isMade = lead.disk.every(({ epoch }) => claimFile(epoch) !== claimFile(claim.epoch));
    if (isMade) {
      lead.disk.push({ ...claim, counter: 0 });
      lead.disk.sort((a, b) => a.epoch - b.epoch);
    }
    this.#advance(lead, { type: 'created', isMade, nowMs: lead.nowMs });
  }

  #beat(lead: Lead): void {
    const own = claimToAsk(lead.one);
    const at = lead.disk.findIndex((each) => own !== null && isSameClaim(each, own));
    const sign = lead.disk[at];
    if (sign !== undefined) lead.disk[at] = { ...sign, counter: sign.counter + 1 };
  }

  #ask(lead: Lead, member: string): void {
    const asked = claimToAsk(lead.one);
    if (asked === null) return;
    const promised = this.#rules.promise(this.#promised.get(member) ?? null, asked);
    this.#promised.set(member, promised);
    const key = `${promised.epoch} ${promised.incarnation}`;
    this.#ever.set(key, (this.#ever.get(key) ?? new Set()).add(member));
    lead.answers.push({ from: member, asked, promised });
  }

  #act(lead: Lead, newest: Claim | null): string | null {
    const claim = this.#rules.claimToAct(lead.one, newest, lead.nowMs, this.#options(lead));
    if (claim === null) return null;
    const ever = this.#ever.get(`${claim.epoch} ${claim.incarnation}`) ?? new Set<string>();
    if (!isMajority(this.membership, ever))
      return `${lead.incarnation} acts, and ${ever.size} of ${this.membership.length} have promised`;
    const obeying = this.membership.filter((each) => obeys(this.#promised.get(each) ?? null, claim));
    const later = this.#led.find(({ epoch }) => epoch > claim.epoch);
    return later !== undefined && isMajority(this.membership, new Set(obeying))
      ? `epoch ${claim.epoch} is obeyed by ${obeying.length}, and epoch ${later.epoch} has led`
      : null;
  }

  #twoOfOneNumber(): string | null {
    const twice = this.#led.find(
      (one, index) => this.#led.findIndex(({ epoch }) => epoch === one.epoch) < index,
    );
    return twice === undefined ? null : `epoch ${twice.epoch} has led in two processes`;
  }
}

const happening = fc.record<Happening>({
  kind: fc.constantFrom('look', 'look', 'create', 'beat', 'ask', 'ask', 'answer', 'answer', 'act'),
  lead: fc.nat(2),
  member: fc.nat(4),
  ms: fc.constantFrom(0, 0, 1, 10, LEAD_MS),
  lag: fc.constantFrom(0, 0, 0, 1),
});

const property = (given: Rules) =>
  fc.property(
    fc.integer({ min: 1, max: 5 }),
    fc.array(fc.nat(1), { minLength: 2, maxLength: 3 }),
    fc.array(happening, { maxLength: 160, size: 'max' }),
    (numMembers, disks, happenings) => {
      const world = new World(numMembers, disks, given);
      for (const each of happenings) {
        const wrong = world.happen(each);
        if (wrong !== null) throw new Error(wrong);
      }
    },
  );

test('epoch: LED-1 to LED-3, no two processes lead under one number, and none acts without its majority', (t) => {
  fc.assert(property(rules), { numRuns: 1500 });
  t.pass();
});

const planted: Readonly<Record<string, Partial<Rules>>> = {
  'a member that promises both': { promise: (_before, asked) => asked },
  'a majority of who answered': { countedOver: (_membership, answered) => answered },
  'a lead that acts before its majority': { claimToAct: (one) => claimToAsk(one) },
};

for (const [bug, change] of Object.entries(planted))
  test(`epoch: planted, ${bug} is found`, (t) => {
    const found = fc.check(property({ ...rules, ...change }), { numRuns: 5000, seed: 1 });
    t.true(found.failed);
    t.log(String(found.errorInstance));
  });

const options: CandidateOptions = { incarnation: 'a', membership: ['m0', 'm1', 'm2'], leadMs: LEAD_MS };
const sign = (epoch: number, counter: number, incarnation = 'b'): ClaimSign => ({
  epoch,
  counter,
  incarnation,
});
const looked = (one: Candidate, newest: ClaimSign | null, nowMs: number): Candidate =>
  advance(one, { type: 'looked', newest, nowMs }, options);
const heard = (one: Candidate, from: string, nowMs: number, promised?: Claim): Candidate => {
  const asked = claimToAsk(one) ?? { epoch: -1, incarnation: '' };
  return advance(
    one,
    { type: 'answered', answer: { from, asked, promised: promised ?? asked }, nowMs },
    options,
  );
};

/** Leads, with the word of two members at 0 ms. */
function leading(): Candidate {
  let one = looked(newCandidate, null, 0);
  one = advance(one, { type: 'created', isMade: true, nowMs: 0 }, options);
  one = heard(one, 'm0', 0);
  return heard(one, 'm1', 0);
}

test('epoch: LED-4, a claim is stale when its counter stood still for leadMs of the own clock, and not before', (t) => {
  let one = looked(newCandidate, sign(7, 40), 5000);
  t.is(one.state, 'watching', 'seen for the first time, it may be of this moment');
  one = looked(one, sign(7, 41), 5000 + LEAD_MS);
  t.is(one.state, 'watching', 'it has moved');
  one = looked(one, sign(7, 41), 5000 + 2 * LEAD_MS - 1);
  t.is(one.state, 'watching');
  one = looked(one, sign(7, 41), 5000 + 2 * LEAD_MS);
  t.deepEqual(claimToCreate(one), { epoch: 8, incarnation: 'a' });
  t.deepEqual(watch({ sign: sign(7, 41), sinceMs: 1 }, sign(7, 41, 'c'), 9).sinceMs, 9, 'another process');
  t.true(isStale({ sign: sign(1, 1), sinceMs: 0 }, LEAD_MS, LEAD_MS));
});

test('epoch: who was not the first to claim a number watches its owner, also behind an old listing', (t) => {
  let one = looked(newCandidate, null, 0);
  t.deepEqual(claimToCreate(one), { epoch: 1, incarnation: 'a' });
  t.is(looked(one, sign(1, 0), 1), one, 'the answer of the disk comes first');
  one = advance(one, { type: 'created', isMade: false, nowMs: 1 }, options);
  t.is(one.state, 'watching');
  t.is(looked(one, null, 50).state, 'watching', 'an old listing is no news');
  t.deepEqual(claimToCreate(looked(one, null, 1 + LEAD_MS)), { epoch: 2, incarnation: 'a' });
  one = looked(one, sign(1, 3), 90);
  t.is(looked(one, sign(1, 3), 1 + LEAD_MS).state, 'watching', 'it has been seen since');
});

test('epoch: a lead acts with a majority that it hears, and ends without it, or when another one leads', (t) => {
  let one = looked(newCandidate, null, 0);
  one = advance(one, { type: 'created', isMade: true, nowMs: 0 }, options);
  const own = sign(1, 0, 'a');
  one = heard(one, 'm0', 1);
  t.is(one.state, 'asking', 'one of three');
  t.is(heard(one, 'stranger', 1).state, 'asking', 'who is not recorded counts for nobody');
  t.is(heard(one, 'm1', 1, { epoch: 1, incarnation: 'b' }).state, 'asking', 'it follows another process');
  t.is(claimToAct(one, own, 1, options), null);
  t.deepEqual(looked(one, own, LEAD_MS), { state: 'ended', why: 'no majority' });
  t.is(looked(one, own, LEAD_MS - 1), one);
  one = leading();
  t.deepEqual(claimToAct(one, own, 0, options), { epoch: 1, incarnation: 'a' });
  t.is(claimToAct(one, sign(2, 0), 0, options), null, 'another epoch is on the disk');
  t.is(claimToAct(one, own, LEAD_MS, options), null, 'stopped for long, it has heard nobody');
  t.deepEqual(looked(one, own, LEAD_MS), { state: 'ended', why: 'no majority' });
  t.is(looked(heard(one, 'm2', 60), own, 120).state, 'ended', 'one of three within the time');
  t.is(looked(heard(heard(one, 'm2', 60), 'm0', 70), own, 120).state, 'leading');
  t.deepEqual(looked(one, sign(2, 0), 1), { state: 'ended', why: 'another epoch' });
  t.deepEqual(looked(one, sign(1, 0), 1), { state: 'ended', why: 'claimed twice' });
  t.deepEqual(heard(one, 'm2', 1, { epoch: 5, incarnation: 'b' }), { state: 'ended', why: 'another epoch' });
  t.is(looked(looked(one, sign(2, 0), 1), own, 2).state, 'ended', 'for good');
  t.is(
    advance(
      one,
      { type: 'answered', answer: { from: 'm2', asked: sign(9, 0), promised: sign(9, 0) }, nowMs: 1 },
      options,
    ),
    one,
    'an answer to somebody else',
  );
});

test('epoch: a majority is more than half', (t) => {
  t.false(isMajority(['a', 'b'], new Set(['a'])));
  t.true(isMajority(['a'], new Set(['a'])));
  t.true(isMajority(['a', 'b', 'c'], new Set(['a', 'c'])));
  t.false(isMajority([], new Set(['a'])));
  t.is(claimFile(7), 'lead-000007');
});
