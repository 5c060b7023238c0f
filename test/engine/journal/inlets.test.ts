import { afterEach, expect, it } from 'vitest';
import { JournalAgenda } from '../../../src/engine/journal/agenda.ts';
import { JournalEvidence } from '../../../src/engine/journal/evidence.ts';
import { JournalInlets } from '../../../src/engine/journal/inlets.ts';
import { openJournal } from '../../../src/engine/journal/open.ts';
import { JournalVisits } from '../../../src/engine/journal/visits.ts';
import type { RowFindings } from '../../../src/ports/inlet.ts';
import type { AgendaRules } from '../../../src/ports/source.ts';
import { nodeSql } from '../../simulation/world/node-sql.ts';

const KEY = 'acme.example';

let sql: ReturnType<typeof nodeSql>;
afterEach(() => sql.close());

function open(table: string) {
  sql = nodeSql();
  openJournal(sql, 'source', []);
  const rules: AgendaRules = {
    read: text => ({ key: text, space: 'example' }),
    next: ({ nowMs }) => ({ atMs: nowMs + 1_000, reason: 'regular' }),
  };
  const agenda = new JournalAgenda(sql, rules);
  const evidence = new JournalEvidence(sql, { counts: false });
  const inlets = new JournalInlets(sql, { agenda, evidence, settleMs: 0 });
  const inlet = { source: 'other', table };
  inlets.begin(inlet, { identity: 'one', nowMs: 1 });
  const append = (lsnBefore: number, rows: RowFindings[], identity = 'one') =>
    inlets.append({ inlet, identity, lsnBefore, rows, nowMs: 1 });
  const items = (key = KEY) => evidence.of(key).evidence.items;
  const visits = new JournalVisits(sql, rules, { agenda, evidence, isFull: () => false });
  return { append, agenda, evidence, visits, find: () => inlets.find(inlet), items };
}

const row = (lsn: number, key: string, n: number): RowFindings => ({
  lsn,
  key,
  findings: [{ key: KEY, space: 'example', item: 'role', facts: JSON.stringify({ n }), sample: null }],
  refused: {},
});

it('rows are taken once: not after another run has taken them, and not for another identity', () => {
  const { append, find } = open('npm_package');
  expect(append(0, [row(1, 'a', 1), row(2, 'b', 1)])).toEqual({ findings: 2, added: 1, refused: 0 });
  expect(append(0, [row(1, 'a', 1), row(2, 'b', 1)])).toBeNull();
  expect(append(2, [row(3, 'c', 1)], 'two')).toBeNull();
  expect(find()).toMatchObject({ lsn: 2, rows: 2, findings: 2, added: 1, items: 2 });
});

it('a row that is left out fails the whole append', () => {
  const { append, find } = open('npm_package');
  expect(() => append(0, [row(1, 'a', 1), row(3, 'c', 1)])).toThrow('inlet of npm_package: expected LSN 2, got 3');
  expect(find()).toMatchObject({ lsn: 0, rows: 0, items: 0 });
});

it('evidence from a table whose rows never change is kept without the row that gave it', () => {
  const { append, items } = open('github_commit');
  append(0, [row(1, 'first commit', 1), row(2, 'second commit', 1)]);
  expect(items()).toMatchObject([{ row: null, item: 'role', facts: { n: 1 }, lsn: 1 }]);
  append(2, [row(3, 'third commit', 2)]);
  expect(items()).toMatchObject([{ row: null, item: 'role', facts: { n: 2 }, lsn: 3 }]);
});

it('a key that moved keeps its evidence, and rows that say its old name count for the new one', () => {
  const { append, agenda, evidence, items } = open('npm_package');
  append(0, [row(1, 'a', 1)]);
  agenda.rename(KEY, { key: 'new.example', space: 'example' });
  expect(evidence.move(KEY, 'new.example')).toBe(false);
  expect(append(1, [row(2, 'b', 2), row(3, 'a', 3)])).toMatchObject({ findings: 2, added: 0 });
  expect(items('new.example').map(item => [item.row, item.facts])).toEqual([
    ['a', { n: 3 }],
    ['b', { n: 2 }],
  ]);
  expect(items()).toEqual([]);
  expect(agenda.list({ after: null, limit: 9 }).map(({ key }) => key)).toEqual(['new.example']);
  // It moves on, and a person adds the first name again, which is something of its own from now on.
  agenda.rename('new.example', { key: 'newest.example', space: 'example' });
  evidence.move('new.example', 'newest.example');
  append(3, [row(4, 'c', 4)]);
  expect(items('newest.example')).toHaveLength(3);
  agenda.watch({ key: KEY, space: 'example' }, 1);
  append(4, [row(5, 'd', 5)]);
  expect(items()).toMatchObject([{ row: 'd' }]);
});

it('a key that moves to a watched one gives it its evidence', () => {
  const { append, agenda, evidence, find, items } = open('github_commit');
  const [finding] = row(2, 'other', 7).findings;
  append(0, [row(1, 'a', 1), { ...row(2, 'other', 7), findings: [{ ...finding!, key: 'new.example' }] }]);
  const before = evidence.versionOf('new.example');
  agenda.rename(KEY, { key: 'new.example', space: 'example' });
  expect(evidence.move(KEY, 'new.example')).toBe(true);
  expect(evidence.versionOf('new.example')).toBeGreaterThan(before);
  // One item of a table whose rows never change is there once.
  expect(items('new.example')).toMatchObject([{ facts: { n: 7 } }]);
  expect(find().items).toBe(1);
  expect(evidence.of('new.example').evidence.total).toBe(1);
});

it('a visit that moves its key to a watched one makes that due, because it has more evidence now', () => {
  const { append, agenda, visits } = open('npm_package');
  const visit = (key: string, nowMs: number, movedTo?: string) => {
    const seen = { found: true, facts: {}, ...(movedTo !== undefined && { movedTo }) };
    const change = { key, cursor: '1', deleted: false, revision: null, skip: null };
    const outcome = { kind: 'rows' as const, rows: [], revision: null, documentBytes: 0, seen };
    visits.accept({ change, outcome }, { nowMs, rowState: 'present' });
  };
  const [finding] = row(2, 'other', 7).findings;
  append(0, [row(1, 'a', 1), { ...row(2, 'other', 7), findings: [{ ...finding!, key: 'new.example' }] }]);
  visit('new.example', 10);
  expect(agenda.find('new.example')).toMatchObject({ due_ms: 1_010, revisit: 1 });
  visit(KEY, 20, 'new.example');
  expect(agenda.find(KEY)).toBeNull();
  expect(agenda.find('new.example')).toMatchObject({ due_ms: 20, reason: 'evidence', revisit: 0 });
});
