import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { readKey } from '../../../../src/sources/github/keys.ts';
import { DEMO_REPOSITORIES } from '../../../../src/sources/github/stand-in/demo.ts';

const ROWS = path.resolve(import.meta.dirname, '../../../fixtures/npm/rows.json');

/** The demo waits for the commits of all its repositories, so npm's recorded packages must name each. */
it('shows repositories that npm’s recorded packages name', () => {
  const changes = JSON.parse(readFileSync(ROWS, 'utf8')) as { rows?: { row: { repository: string | null } }[] }[];
  const texts = changes.flatMap(({ rows = [] }) => rows.map(({ row }) => row.repository ?? ''));
  const named = texts.map(readKey).flatMap(read => ('key' in read ? [read.key] : []));
  const missing = DEMO_REPOSITORIES.filter(name => !named.includes(`repo:${name.toLowerCase()}`));
  expect(missing).toEqual([]);
  expect(DEMO_REPOSITORIES.length).toBeGreaterThan(20);
});
