/** A part of a page in Markdown; the parts, one after the other, are the page. */
export type Part =
  | { readonly kind: 'text'; readonly text: string }
  /** A block whose opening names a file: what the commands below find in their folder. */
  | { readonly kind: 'file'; readonly text: string; readonly name: string; readonly content: string }
  /** A `console` block: the line after `$ `, and what it prints. */
  | { readonly kind: 'shown'; readonly command: string; readonly output: string };

const block = /^```(\w+)(?: (\S+))?\n([\s\S]*?)^```\n/gmu;

export function partsOf(page: string): readonly Part[] {
  const parts: Part[] = [];
  let end = 0;
  for (const match of page.matchAll(block)) {
    const [text, language, name, content = ''] = match;
    const isShown = language === 'console' && content.startsWith('$ ');
    if (!isShown && name === undefined) continue;
    parts.push({ kind: 'text', text: page.slice(end, match.index) });
    end = match.index + text.length;
    if (!isShown) {
      parts.push({ kind: 'file', text, name: name ?? '', content });
      continue;
    }
    const line = content.indexOf('\n');
    parts.push({ kind: 'shown', command: content.slice(2, line), output: content.slice(line + 1) });
  }
  return [...parts, { kind: 'text', text: page.slice(end) }];
}

export const pageOf = (parts: readonly Part[]): string =>
  parts
    .map((part) =>
      part.kind === 'shown' ? `\`\`\`console\n$ ${part.command}\n${part.output}\`\`\`\n` : part.text,
    )
    .join('');

/** What depends on the machine and the moment, replaced by a word, so that two outputs can be compared. */
export function withoutMeasures(output: string): string {
  return output
    .replaceAll(/\d[\d.]*[kM]? (?:(?:tokens )?a second|tokens\/s)/gu, 'SPEED')
    .replaceAll(/(?<=on the wire +)[\d.]+ \w+/gu, 'BYTES')
    .replaceAll(/MFU [\d.]+%/gu, 'MFU')
    .replaceAll(/\d[\d.]* ?(?:ms|s|min)(?= (?:in all|left)\b)/gu, 'TIME')
    .replaceAll(/[^\S\n]+$/gmu, '');
}
