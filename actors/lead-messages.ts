import { field, message, tensor } from '@troupe/runtime';

const { flag, number, text, texts } = field;

/** How a lead takes the place of one that was lost, and how agents tell one lead from another. */
export const leadMessages = {
  'lead.lost': message({
    from: ['program'],
    to: ['agent'],
    says: 'The process of the lead has ended. To the first agent, which begins the next life of it.',
    body: { incarnation: number, reason: text },
  }),
  'lead.asks': message({
    from: ['trainer'],
    to: ['agent'],
    says: 'A lead that takes over has claimed an epoch: promise it, and say what you hold. `process`: which one it is, should two have the same number.',
    body: { epoch: number, process: text },
  }),
  'lead.refused': message({
    from: ['agent'],
    to: ['trainer'],
    says: 'The agent follows another lead: of a later epoch, or another process of this one.',
    body: { epoch: number, process: text },
  }),
  'agent.holds': message({
    from: ['agent'],
    to: ['trainer'],
    says: 'Promised. The attempt of the machine (-1: in none yet), the step and attempt of the last decision that it passed on, and whether all there have carried it out; nodes that have joined no attempt; records of the last two decisions; groups of experts as in `attempt.abandon`.',
    body: { attempt: number, decided: text, applied: flag, joined: texts, records: texts },
    tensors: { groups_LE: tensor.optional(tensor.ints) },
  }),
  'machine.lives': message({
    from: ['agent'],
    to: ['supervisor'],
    says: 'Which lives the nodes of a machine are in that are not in their first, to a supervisor that is new.',
    body: { nodes: texts },
    tensors: { lives_N: tensor.ints },
  }),
} as const;
