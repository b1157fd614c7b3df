import { isSameClaim, isStale, watch, type Claim, type ClaimSign, type Watched } from './claim.ts';
import { isMajority, type Answer } from './promise.ts';

/** Why a process leads no more, or never did; the command ends with 76. */
export type Ending = 'another epoch' | 'no majority' | 'claimed twice';

/** A claim that is on the disk; members are asked to promise it, again and again. */
interface Claimed {
  readonly state: 'asking' | 'leading';
  readonly claim: Claim;
  /** When each member last said that it follows, by the own monotonic clock. */
  readonly heardMs: ReadonlyMap<string, number>;
  readonly sinceMs: number;
}

/** A process that may lead a run. */
export type Candidate =
  | { readonly state: 'watching'; readonly watched: Watched | null }
  | { readonly state: 'claiming'; readonly claim: Claim }
  | Claimed
  | { readonly state: 'ended'; readonly why: Ending };

export type CandidateEvent =
  /** A look at the run's folder: the newest claim there, null: none. A listing may be older than what is there. */
  | { readonly type: 'looked'; readonly newest: ClaimSign | null; readonly nowMs: number }
  /** Whether the file of the own claim could be made, exclusively. */
  | { readonly type: 'created'; readonly isMade: boolean; readonly nowMs: number }
  | { readonly type: 'answered'; readonly answer: Answer; readonly nowMs: number };

export interface CandidateOptions {
  readonly incarnation: string;
  /** Of the newest record, or the topology's where there is none. */
  readonly membership: readonly string[];
  /** `recovery.leadSeconds`. */
  readonly leadMs: number;
}

export const newCandidate: Candidate = { state: 'watching', watched: null };

/** The claim that is to be created, exclusively. */
export const claimToCreate = (one: Candidate): Claim | null => (one.state === 'claiming' ? one.claim : null);

/** The claim that members are asked to promise. */
export const claimToAsk = (one: Candidate): Claim | null =>
  one.state === 'asking' || one.state === 'leading' ? one.claim : null;

/**
 * The claim under which a process may send and write now; null: it may not.
 *
 * LED-3: only with a majority that it has heard within `leadMs`, and only while its claim is the newest: it looks before each write.
 */
export function claimToAct(
  one: Candidate,
  newest: Claim | null,
  nowMs: number,
  options: CandidateOptions,
): Claim | null {
  const isFollowed = one.state === 'leading' && hasMajority(one, nowMs, options);
  return isFollowed && newest !== null && isSameClaim(newest, one.claim) ? one.claim : null;
}

/** The next state of a candidate: a pure function of what it has seen. */
export function advance(one: Candidate, event: CandidateEvent, options: CandidateOptions): Candidate {
  switch (one.state) {
    case 'ended':
      return one;
    case 'watching':
      return event.type === 'looked' ? look(one.watched, event, options) : one;
    case 'claiming':
      return event.type === 'created' ? begin(one.claim, event) : one;
    default:
      if (event.type === 'looked') return lookAgain(one, event, options);
      return event.type === 'answered' ? hear(one, event, options) : one;
  }
}

type EventOf<T extends CandidateEvent['type']> = Extract<CandidateEvent, { readonly type: T }>;

const end = (why: Ending): Candidate => ({ state: 'ended', why });

/** LED-1: the next number is claimed when nobody has claimed one, or the newest claim is stale. */
function look(
  before: Watched | null,
  { newest, nowMs }: EventOf<'looked'>,
  { incarnation, leadMs }: CandidateOptions,
): Candidate {
  const isNews = newest !== null && newest.epoch >= (before?.sign.epoch ?? 0);
  const watched = isNews ? watch(before, newest, nowMs) : before;
  return watched !== null && !isStale(watched, nowMs, leadMs)
    ? { state: 'watching', watched }
    : { state: 'claiming', claim: { epoch: (watched?.sign.epoch ?? 0) + 1, incarnation } };
}

/** Who was not the first to create it has seen a new claim, of somebody that it does not know yet. */
function begin(claim: Claim, { isMade, nowMs }: EventOf<'created'>): Candidate {
  return isMade
    ? { state: 'asking', claim, heardMs: new Map(), sinceMs: nowMs }
    : {
        state: 'watching',
        watched: { sign: { epoch: claim.epoch, incarnation: '', counter: -1 }, sinceMs: nowMs },
      };
}

/** LED-1: a number belongs to one process; who finds its own in another's hands leaves it. */
function lookAgain(one: Claimed, { newest, nowMs }: EventOf<'looked'>, options: CandidateOptions): Candidate {
  if (newest !== null && newest.epoch > one.claim.epoch) return end('another epoch');
  if (newest !== null && newest.epoch === one.claim.epoch && !isSameClaim(newest, one.claim))
    return end('claimed twice');
  return judge(one, nowMs, options);
}

function hear(one: Claimed, { answer, nowMs }: EventOf<'answered'>, options: CandidateOptions): Candidate {
  const { from, asked, promised } = answer;
  if (!isSameClaim(asked, one.claim)) return one;
  // Who follows a later lead follows this one never again.
  if (promised.epoch > one.claim.epoch) return end('another epoch');
  if (!isSameClaim(promised, one.claim)) return judge(one, nowMs, options);
  return judge({ ...one, heardMs: new Map([...one.heardMs, [from, nowMs]]) }, nowMs, options);
}

function hasMajority({ heardMs }: Claimed, nowMs: number, { membership, leadMs }: CandidateOptions): boolean {
  const heard = [...heardMs].filter(([, ms]) => nowMs - ms < leadMs).map(([member]) => member);
  return isMajority(membership, new Set(heard));
}

/** Leads with a majority, waits for one as long as a lead may be silent, and ends without. */
function judge(one: Claimed, nowMs: number, options: CandidateOptions): Candidate {
  if (hasMajority(one, nowMs, options)) return { ...one, state: 'leading' };
  return one.state === 'asking' && nowMs - one.sinceMs < options.leadMs ? one : end('no majority');
}
