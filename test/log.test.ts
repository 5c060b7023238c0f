import { describe, expect, it } from 'vitest';
import { createLog } from '../src/log.ts';
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
