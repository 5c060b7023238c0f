import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { SqlValue } from '../../src/ports/sql.ts';
import { type BenchWorker, startScript } from './worker.ts';

/** Statements sent to the runtime in one request. */
const BATCH = 500;

export interface Statement {
  sql: string;
  params: SqlValue[];
}

/** Rows that statements read and write as the platform counts them, indexes included. */
export interface Rows {
  statements: number;
  written: number;
  read: number;
}

/** Values that JSON has no word for cross as base64. */
const SCRIPT = `
import { DurableObject } from 'cloudflare:workers';
const value = given => given?.base64 === undefined ? given : Uint8Array.from(atob(given.base64), c => c.charCodeAt(0));
export class Counter extends DurableObject {
  async fetch(request) {
    const sum = { written: 0, read: 0 };
    for (const { sql, params } of await request.json()) {
      const cursor = this.ctx.storage.sql.exec(sql, ...params.map(value));
      cursor.toArray();
      sum.written += cursor.rowsWritten;
      sum.read += cursor.rowsRead;
    }
    return Response.json(sum);
  }
}
export default {
  async fetch(request, env) {
    const [, kind, name] = new URL(request.url).pathname.split('/');
    if (kind === 'object') return env.COUNTER.getByName(name).fetch(request);
    const sum = { written: 0, read: 0 };
    for (const { sql, params } of await request.json()) {
      const { meta } = await env[name].prepare(sql).bind(...params).run();
      sum.written += meta.rows_written;
      sum.read += meta.rows_read;
    }
    return Response.json(sum);
  }
};`;

/** Repeats statements on the SQLite of a Durable Object and on a database of the platform, and counts what they do. */
export class WrittenRows {
  readonly #worker: BenchWorker;
  readonly #stateDir: string;

  private constructor(worker: BenchWorker, stateDir: string) {
    this.#worker = worker;
    this.#stateDir = stateDir;
  }

  /** Starts a worker that does nothing else. It has an object and a database, with its tables, of each name. */
  static async start(names: string[]): Promise<WrittenRows> {
    const counter = { name: 'counter', script: SCRIPT, objects: { COUNTER: 'Counter' }, databases: names };
    const stateDir = mkdtempSync(path.join(tmpdir(), 'bench-written-'));
    try {
      return new WrittenRows(await startScript(counter, { stateDir }), stateDir);
    } catch (error) {
      rmSync(stateDir, { recursive: true, force: true });
      throw error;
    }
  }

  object(name: string, statements: Statement[]): Promise<Rows> {
    return this.#count(`object/${name}`, statements);
  }

  database(name: string, statements: Statement[]): Promise<Rows> {
    return this.#count(`database/${name}`, statements);
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
    rmSync(this.#stateDir, { recursive: true, force: true });
  }

  async #count(where: string, statements: Statement[]): Promise<Rows> {
    const sum = { statements: statements.length, written: 0, read: 0 };
    for (let done = 0; done < statements.length; done += BATCH) {
      const body = JSON.stringify(statements.slice(done, done + BATCH), (_, value) => portable(value));
      const response = await fetch(`${this.#worker.url}/${where}`, { method: 'POST', body });
      if (!response.ok) throw new Error(`statements: expected status 200, got ${await response.text()}`);
      const { written, read } = (await response.json()) as Rows;
      sum.written += written;
      sum.read += read;
    }
    return sum;
  }
}

function portable(value: unknown): unknown {
  return value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value;
}
