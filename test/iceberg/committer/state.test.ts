import { expect, it } from 'vitest';
import { COMMITTER_LAYOUTS, CommitState } from '../../../src/iceberg/committer/state.ts';
import type { SqlPort } from '../../../src/ports/sql.ts';
import { nodeSql } from '../../simulation/world/node-sql.ts';

/** The committer's tables as the version with this layout created them. */
function tablesOf(layout: number): SqlPort {
  const sql = nodeSql();
  for (const statement of COMMITTER_LAYOUTS.slice(0, layout).flat()) sql.exec(statement);
  sql.exec('INSERT INTO committer (id, layout) VALUES (1, ?)', layout);
  return sql;
}

it('tables of the first layout are upgraded, and keep which files are copied', () => {
  const sql = tablesOf(1);
  sql.exec(`INSERT INTO waiting (table_name, first_lsn, last_lsn, key, bytes, etag, seen_ms, placed)
    VALUES ('npm_package', 1, 2, 'a', 10, 'etag-1', 5, 1)`);
  for (let time = 0; time < 2; time++) {
    const state = new CommitState(sql, ['npm_package']);
    expect(state.waiting('npm_package')).toMatchObject([{ first_lsn: 1, copied: 1 }]);
  }
});

it('tables of a later layout throw', () => {
  expect(() => new CommitState(tablesOf(COMMITTER_LAYOUTS.length + 1), [])).toThrow(
    'committer: expected layout 2, got 3',
  );
});
