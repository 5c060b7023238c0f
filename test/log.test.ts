import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLog, EVENTS } from '../src/log.ts';
import type { LogPort } from '../src/ports/platform.ts';

describe('the log', () => {
  it('writes one JSON line with the time, the event and its fields', () => {
    const lines: string[] = [];
    const log: LogPort = createLog(
      line => lines.push(line),
      () => 0,
    );
    log('flush_settled', { table: 'npm_package', rows: 3, key: null, message: 'two\nlines' });
    expect(lines).toEqual([
      '{"at":"1970-01-01T00:00:00.000Z","event":"flush_settled","table":"npm_package","rows":3,"key":null,"message":"two\\nlines"}',
    ]);
  });

  it('never throws', () => {
    const failing = createLog(() => {
      throw new Error('no disk');
    });
    expect(() => failing('slice_accepted', { rows: 1 })).not.toThrow();
    const log = createLog(() => undefined);
    expect(() => log('slice_accepted', { rows: 1n as unknown as number })).not.toThrow();
  });
});

describe('the events', () => {
  /** Every event that a file of `src` logs. The compiler refuses one that is not listed. */
  function loggedEvents(): Set<string> {
    const folder = path.resolve(import.meta.dirname, '../src');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(file => /(?<!\.d)\.ts$/.test(file));
    const calls = files.flatMap(file =>
      Array.from(readFileSync(path.join(folder, file), 'utf8').matchAll(/(?<!console\.)\blog\(\s*'(\w+)'/g)),
    );
    return new Set(calls.map(([, event = '']) => event));
  }

  it('that the code logs are the listed ones', () => {
    expect([...loggedEvents()].sort()).toEqual(Object.keys(EVENTS).sort());
  });

  it.each(Object.entries(EVENTS))('say when %s is logged', (_, description) => {
    expect(description).toMatch(/^[A-Z].+\.$/);
  });
});
