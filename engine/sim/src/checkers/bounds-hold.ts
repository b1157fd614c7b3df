import type { Checker } from './checker.ts';

/** No mailbox holds more events, and no lane more bytes, than it may. A packet larger than the window enters an empty one. */
export const boundsHold = ({ mailbox }: { readonly mailbox: number }): Checker => ({
  name: 'bounds-hold',
  looksAt: ['turn', 'packet'],
  see: (seen) => {
    if (seen.type === 'turn' && seen.mailboxSize > mailbox)
      return `${seen.mailboxSize} events wait in the mailbox of ${seen.address}, at most ${mailbox} may`;
    if (seen.type === 'packet' && seen.onWayBytes > Math.max(seen.windowBytes, seen.bytes))
      return `${seen.onWayBytes} bytes of ${seen.from} are on their way to ${seen.to}, at most ${seen.windowBytes} may`;
    return null;
  },
});
