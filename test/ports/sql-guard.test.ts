import { nodeSql } from '../simulation/world/node-sql.ts';
import { sqlConformance } from './sql-conformance.ts';

sqlConformance('node:sqlite', work => {
  const sql = nodeSql();
  try {
    work(sql);
  } finally {
    sql.close();
  }
});
