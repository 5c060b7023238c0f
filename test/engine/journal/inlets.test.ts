import { afterEach, expect, it } from 'vitest';
import { JournalAgenda } from '../../../src/engine/journal/agenda.ts';
import { JournalEvidence } from '../../../src/engine/journal/evidence.ts';
import { JournalInlets } from '../../../src/engine/journal/inlets.ts';
import { openJournal } from '../../../src/engine/journal/open.ts';
import type { RowFindings } from '../../../src/ports/inlet.ts';
import { nodeSql } from '../../simulation/world/node-sql.ts';

const KEY = 'acme.example';

let sql: ReturnType<typeof nodeSql>;
afterEach(() => sql.close());

function open(table: string) {
  sql = nodeSql();
  openJournal(sql, 'source', []);
  const agenda = new JournalAgenda(sql, {
    read: text => ({ key: text, space: 'example' }),
    next: ({ nowMs }) => ({ atMs: nowMs + 1, reason: 'regular' }),
  });
  const evidence = new JournalEvidence(sql, { counts: false });
  const inlets = new JournalInlets(sql, { agenda, evidence, settleMs: 0 });
  const inlet = { source: 'other', table };
  inlets.begin(inlet, { identity: 'one', nowMs: 1 });
  const append = (lsnBefore: number, rows: RowFindings[], identity = 'one') =>
    inlets.append({ inlet, identity, lsnBefore, rows, nowMs: 1 });
  return { append, find: () => inlets.find(inlet), items: () => evidence.of(KEY).evidence.items };
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
