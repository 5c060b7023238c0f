import type { SourceStatus } from '../../contract/source.ts';
import type { DemoCheck, DemoConsole, DemoResult } from '../../sources/stand-in/demo.ts';
import { asTable } from '../query/answer-text.ts';
import { localAddress, openLake } from '../query/lake.ts';
import type { Tables } from '../query/tables.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { fetchJson } from '../status.ts';
import type { Screen } from './progress.ts';

/** The worker's API and the terminal, for an act of a demo. */
export function makeConsole({ url, token }: Runtime, { write }: Screen): DemoConsole {
  return {
    call<T>(path: string, body?: unknown): Promise<T> {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
      if (body === undefined) return fetchJson<T>(url + path, { headers });
      return fetchJson<T>(url + path, { method: 'POST', headers, body: JSON.stringify(body) });
    },
    print: text => write(`${text}\n`),
    printTable(columns, rows) {
      const numeric = columns.map((_, i) => rows.some(row => typeof row[i] === 'number'));
      write(`${asTable({ columns, numeric, rows })}\n`);
    },
  };
}

/** The same with the lake at rest, for the end of an act. Checks are added to `checks`. */
export function makeResult(
  { port, s3Keys }: Runtime,
  demoConsole: DemoConsole,
  { status, today, lake, checks }: { status: SourceStatus; today: string; lake: Tables; checks: DemoCheck[] },
): DemoResult {
  return {
    ...demoConsole,
    status,
    today,
    async textOf(key) {
      const bytes = await openLake(localAddress(port, s3Keys)).get(key);
      return bytes === null ? null : new TextDecoder().decode(bytes);
    },
    async query({ title, sql, answerOnly = false, rowsMin }) {
      const answer = await lake.query(sql);
      demoConsole.print([`${title}:`, ...(answerOnly ? [] : [sql]), asTable(answer)].join('\n\n'));
      if (rowsMin === undefined) return;
      checks.push({
        check: `"${title}" has at least ${rowsMin} rows`,
        ok: answer.rows.length >= rowsMin,
        found: `${answer.rows.length}`,
      });
    },
    check: one => void checks.push(one),
  };
}
