/** True when an address matches a pattern; `*` stands for any part of one segment, and at the end for all that follows. */
export function matchesAddress(pattern: string, address: string): boolean {
  const wanted = pattern.split('/');
  const found = address.split('/');
  const open = wanted.at(-1) === '*';
  if (open ? found.length < wanted.length : found.length !== wanted.length) return false;
  return wanted.every((segment, index) => matchesSegment(segment, found[index] ?? ''));
}

function matchesSegment(pattern: string, segment: string): boolean {
  const escaped = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`).test(segment);
}
