import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drawBars, type BarChart } from './bar-chart.ts';

/** A part of RESULTS.md that one run of a bench writes and the next one replaces. */
export interface Section {
  readonly title: string;
  readonly text: string;
  readonly chart?: BarChart & { readonly file: string };
}

const folder = fileURLToPath(new URL('../../../test/bench/', import.meta.url));
const heading =
  '# Results\n\nWritten by `npm run bench -- kernels | moe | step | roofline | wire | scaling | events | memory | layouts`; every table comes from one run. Never asserted in a test.\n';

/** Replaces a section of the page, or adds it at the end. */
export function withSection(page: string, title: string, body: string): string {
  const sections = page.split(/^(?=## )/mu);
  const section = `## ${title}\n\n${body}\n\n`;
  const index = sections.findIndex((each) => each.startsWith(`## ${title}\n`));
  if (index === -1) return `${page.trimEnd()}\n\n${section}`.trimEnd() + '\n';
  sections[index] = section;
  return sections.join('').trimEnd() + '\n';
}

/** Writes sections and their charts; `provenance` stands above each. */
export async function writeSections(sections: readonly Section[], provenance: string): Promise<void> {
  const path = join(folder, 'RESULTS.md');
  let page = await readFile(path, 'utf8').catch(() => heading);
  for (const { title, text, chart } of sections) {
    if (chart !== undefined) {
      await mkdir(join(folder, 'charts'), { recursive: true });
      await writeFile(join(folder, 'charts', chart.file), drawBars(chart));
    }
    const picture = chart === undefined ? '' : `\n\n![${chart.title}](charts/${chart.file})`;
    page = withSection(page, title, `${provenance}\n\n${text}${picture}`);
  }
  await writeFile(path, page);
}
