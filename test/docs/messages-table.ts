import { messages, serviceMessages } from '@troupe/actors';

const begin = '<!-- messages: written by npm run docs -->';
const end = '<!-- end of messages -->';

interface Entry {
  readonly type: string;
  readonly isOptional: boolean;
}

const listed = (entries: Readonly<Record<string, Entry>>): string =>
  Object.entries(entries)
    .map(([name, { type, isOptional }]) => `${name}${isOptional ? '?' : ''} ${type.replaceAll('|', 'or')}`)
    .join(', ');

/** The catalogue as a table: one row a kind, in the order in which a run uses them. */
function table(): string {
  const rows = Object.entries({ ...messages, ...serviceMessages }).map(
    ([kind, { from, to, fenced, says, body, tensors }]) =>
      `| \`${kind}\` | ${from.join(', ')} → ${to.join(', ')} | ${fenced ? 'yes' : ''} | ${listed(body)} | ${listed(tensors)} | ${says} |`,
  );
  return ['| kind | from → to | fenced | body | tensors | says |', '|---|---|---|---|---|---|', ...rows].join(
    '\n',
  );
}

/** A page with the table of messages of today between its two marks. */
export function withMessages(page: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error('the page has no marks for the table of messages');
  return `${page.slice(0, from + begin.length)}\n\n${table()}\n\n${page.slice(to)}`;
}
