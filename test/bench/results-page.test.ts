import test from 'ava';
import { withSection } from './results-page.ts';

test('withSection: replaces a section of that very title, else adds it at the end', (t) => {
  const page = '# Results\n\n## Steps, fine\n\nold\n\n## Steps\n\nkept\n';
  t.is(withSection(page, 'Steps, fine', 'new'), '# Results\n\n## Steps, fine\n\nnew\n\n## Steps\n\nkept\n');
  t.is(withSection(page, 'Wire', 'fast'), `${page}\n## Wire\n\nfast\n`);
});
