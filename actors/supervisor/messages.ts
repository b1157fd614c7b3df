import { field, message } from '@troupe/runtime';

const { text } = field;

/** What is told of links that do not come up. */
export const linkMessages = {
  'link.unreached': message({
    from: ['program', 'agent'],
    to: ['agent', 'supervisor'],
    says: 'What `by` has for `node` has waited for `recovery.linkSeconds`, and no way there was found.',
    body: { node: text, by: text, reason: text },
  }),
} as const;
