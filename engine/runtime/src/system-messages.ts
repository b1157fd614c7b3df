import { field, message } from './message-shape.ts';

/** What the systems of nodes say themselves; every catalogue of messages includes them. */
export const systemMessages = {
  'message.refused': message({
    from: ['system', 'any'],
    to: ['any', 'supervisor', 'service'],
    says: 'The state of the receiver does not accept a message; of a question, the answer to it.',
    fenced: true,
    body: { reason: field.optional(field.text), error: field.text },
  }),
  'system.describe': message({
    from: ['supervisor', 'agent', 'program'],
    to: ['system'],
    says: 'Asks a node what its actors do: the heartbeat.',
    body: { node: field.text, incarnation: field.number },
  }),
  'system.described': message({
    from: ['system'],
    to: ['supervisor', 'agent', 'program'],
    says: 'One line an actor: its address, its state and how many events wait for it.',
    body: { lines: field.texts },
  }),
} as const;
