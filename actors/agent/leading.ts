import { addresses, agentNodeOf } from '@troupe/topology/layout';
import { Timers } from '../supervisor/timers.ts';
import type { AgentSelf } from './events.ts';
import { LeadLives } from './lead-lives.ts';
import type { LeadRestarts } from './lead-restarts.ts';
import type { AgentEffects } from './machine.ts';
import type { AgentState } from './state.ts';

type LeadingEffects = Pick<AgentEffects, 'holdForLead' | 'refuseLead' | 'restartLead'>;

/** Looks at the silence of a lead in the time after which it is lost. A process that stood still looks once for all of that time, so its own sleep counts as one. */
const LOOKS = 4;

/** Watches the lead: an end that its process shows, or too many looks at which nothing has come of it. */
export class LeadWatch {
  readonly lives: LeadLives;
  readonly #self: AgentSelf;
  readonly #port: LeadRestarts;
  readonly #timers: Timers;
  #silentLooks = 0;
  /** It was begun, and has not asked yet. */
  #isComing = false;

  constructor(self: AgentSelf, port: LeadRestarts) {
    this.#self = self;
    this.#port = port;
    this.#timers = new Timers(self.clock);
    this.lives = new LeadLives(port.limit);
    this.#look();
  }

  heard(): void {
    this.#silentLooks = 0;
    this.#isComing = false;
  }

  lost(life: number, reason: string): void {
    const { restart, failed } = this.#port;
    const loss = this.lives.lost(life, this.#self.clock.now());
    if (loss === 'beyond') {
      this.#timers.cancelAll();
      failed(`lead/0 was lost (${reason}) once more than recovery.losses allows`);
    }
    if (loss !== 'restart') return;
    this.#silentLooks = 0;
    this.#isComing = true;
    restart(this.lives.life);
  }

  end(): void {
    this.#timers.cancelAll();
  }

  #look(): void {
    const { silenceMs, joinMs } = this.#port;
    this.#timers.after(silenceMs / LOOKS, () => {
      this.#silentLooks++;
      const mostLooks = this.#isComing ? (LOOKS * joinMs) / silenceMs : LOOKS;
      if (this.#silentLooks >= mostLooks)
        this.#self.post('lead.silent', { body: { incarnation: this.lives.life } });
      this.#look();
    });
  }
}

/** What an agent says to a lead that takes over, and how that of the first machine comes to be. */
export function leadingEffects(self: AgentSelf, state: AgentState, lead: LeadWatch | null): LeadingEffects {
  const { crew, job } = state;
  return {
    holdForLead: (_event, { attempt, decided, applied, records, lives }) => {
      const later = [...(state.life > 1 ? [[agentNodeOf(crew.machine), state.life] as const] : []), ...lives];
      self.tell(addresses.supervisor, 'machine.lives', {
        body: { nodes: later.map(([node]) => node) },
        tensors: { lives_N: Int32Array.from(later, ([, life]) => life) },
      });
      const joined = crew.nodes
        .map((node) => job.layout.nodeOf(node))
        .filter((node) => state.joined.has(node));
      self.tell(addresses.trainer, 'agent.holds', {
        body: {
          attempt: Number.isFinite(attempt) ? attempt : -1,
          decided,
          applied: applied === decided,
          joined,
          records,
        },
        tensors: state.seated,
      });
    },
    refuseLead: (_event, { promised }) =>
      self.tell(addresses.trainer, 'lead.refused', {
        body: { epoch: promised?.epoch ?? 0, process: promised?.incarnation ?? '' },
      }),
    restartLead: ({ type, body }) =>
      lead?.lost(body.incarnation, type === 'lead.lost' ? body.reason : 'it asked nobody anything'),
  };
}
