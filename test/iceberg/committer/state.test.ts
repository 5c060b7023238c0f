import { expect, it } from 'vitest';
import { CommitState } from '../../../src/iceberg/committer/state.ts';
import { nodeSql } from '../../simulation/world/node-sql.ts';

it('tables of another layout are dropped and made anew, and those of this one are kept', () => {
  const sql = nodeSql();
  new CommitState(sql, ['npm_package']);
  const insert = `INSERT INTO waiting (table_name, first_lsn, last_lsn, key, bytes, etag, seen_ms, copied)
    VALUES ('npm_package', 1, 2, 'a', 10, 'etag-1', 5, 1)`;
  sql.exec(insert);
  expect(new CommitState(sql, ['npm_package']).waiting('npm_package')).toMatchObject([{ first_lsn: 1, copied: 1 }]);
  for (const layout of [2, 4]) {
    sql.exec('ALTER TABLE waiting RENAME COLUMN copied TO placed');
    sql.exec('UPDATE committer SET layout = ?', layout);
    expect(new CommitState(sql, ['npm_package']).waiting('npm_package')).toEqual([]);
    sql.exec(insert);
  }
});
