import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drawLines, type LineChart } from '@troupe/cli/line-chart';
import { drawBars, type BarChart } from './bar-chart.ts';

/** A part of RESULTS.md that one run of a bench writes and the next one replaces. */
export interface Section {
  readonly title: string;
  readonly text: string;
  readonly chart?: (BarChart | LineChart) & { readonly file: string };
  /** The page that it is on, from the root. Default: test/bench/RESULTS.md. */
  readonly page?: string;
}

const root = fileURLToPath(new URL('../../../', import.meta.url));
const folder = join(root, 'test/bench');
const resultsPage = 'test/bench/RESULTS.md';
const heading =
  '# Results\n\nWritten by `npm run bench -- kernels | moe | small-experts | granularity | step | roofline | wire | scaling | events | memory | resident | layouts | prediction`; every table comes from one run. Never asserted in a test.\n';

/** Replaces a section of the page, or adds it at the end. */
export function withSection(page: string, title: string, body: string): string {
  const sections = page.split(/^(?=## )/mu);
  const section = `## ${title}\n\n${body}\n\n`;
  const index = sections.findIndex((each) => each.startsWith(`## ${title}\n`));
  if (index === -1) return `${page.trimEnd()}\n\n${section}`.trimEnd() + '\n';
  sections[index] = section;
  return sections.join('').trimEnd() + '\n';
}

/** Writes sections and their charts; `provenance` stands above each. @returns the pages that were written */
export async function writeSections(
  sections: readonly Section[],
  provenance: string,
): Promise<readonly string[]> {
  const pages = new Map<string, string>();
  for (const { title, text, chart, page: name = resultsPage } of sections) {
    const path = join(root, name);
    const page = pages.get(name) ?? (await readFile(path, 'utf8').catch(() => heading));
    if (chart !== undefined) {
      await mkdir(join(folder, 'charts'), { recursive: true });
      await writeFile(
        join(folder, 'charts', chart.file),
        'series' in chart ? drawLines(chart) : drawBars(chart),
      );
    }
    const charts = relative(dirname(path), join(folder, 'charts'));
    const picture = chart === undefined ? '' : `\n\n![${chart.title}](${charts}/${chart.file})`;
    pages.set(name, withSection(page, title, `${provenance}\n\n${text}${picture}`));
  }
  for (const [name, page] of pages) await writeFile(join(root, name), page);
  return [...pages.keys()];
}
