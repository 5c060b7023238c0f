import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { nodeSql } from '../simulation/world/node-sql.ts';
import { BENCHES } from './benches.ts';
import type { Figure } from './report.ts';
import { heapAtRest, startScript } from './worker.ts';

const PAGE = path.join(import.meta.dirname, 'README.md');

/** Its object of each name keeps that name. */
const SCRIPT = `
import { DurableObject } from 'cloudflare:workers';
export class Named extends DurableObject {
  async fetch(request) {
    this.ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS named (name)');
    this.ctx.storage.sql.exec('INSERT INTO named VALUES (?)', await request.text());
    return new Response();
  }
}
export default {
  async fetch(request, env) {
    const name = new URL(request.url).searchParams.get('name');
    return name === null ? new Response() : env.NAMED.getByName(name).fetch(request.url, { method: 'POST', body: name });
  }
};`;

describe('the benches', () => {
  const measured: Figure[] = [];

  it.each(BENCHES)('$name gives figures', async bench => {
    const figures: Figure[] = [];
    for await (const figure of bench.run('tiny')) figures.push(figure);
    measured.push(...figures);
    expect(figures.length).toBeGreaterThan(0);
    for (const { figure, basis } of figures) {
      expect(figure).toMatch(/\d/);
      expect(basis).toMatch(/\S/);
    }
  });

  it('have a row on their page for each figure, in the order of a run', () => {
    const rows = readFileSync(PAGE, 'utf8')
      .split('\n')
      .filter(line => line.startsWith('| ') && !line.startsWith('| what |'));
    expect(rows.map(row => row.split(' | ')[0]!.slice(2))).toEqual(measured.map(({ what }) => what));
  });
});

describe('a worker of a bench', () => {
  it('gives the heap of an idle worker, and the file of each of its objects', async () => {
    const stateDir = mkdtempSync(path.join(tmpdir(), 'bench-worker-'));
    onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }));
    const worker = await startScript({ name: 'names', script: SCRIPT, objects: { NAMED: 'Named' } }, { stateDir });
    const names = ['one', 'two', 'three'];
    const files: string[] = [];
    try {
      // No other request reaches the worker, and V8 collects garbage only while one does.
      expect(await heapAtRest(worker)).toBeGreaterThan(100_000);
      for (const name of names) {
        const response = await fetch(`${worker.url}/?name=${name}`);
        expect(response.status).toBe(200);
        files.push(await worker.objectFile({ binding: 'NAMED', className: 'Named', name }));
      }
    } finally {
      await worker.stop();
    }
    const kept = files.map(file => {
      const sql = nodeSql(file);
      const rows = sql.exec<{ name: string }>('SELECT name FROM named');
      sql.close();
      return rows.map(({ name }) => name);
    });
    expect(kept).toEqual([['one'], ['two'], ['three']]);
  });
});
