import { describe, expect, it } from 'vitest';
import { SQL_VALUE_BYTES_MAX } from '../../../../src/ports/sql-guard.ts';
import type { SourceContext } from '../../../../src/sources/source.ts';
import { fetchServers } from '../../../../src/sources/whois/rdap/bootstrap.ts';

const URL_OF_LIST = 'https://rdap.example/dns.json';

function read(services: [string[], string[]][], etag: string | null = null) {
  const fetchJson = async () => ({ json: { services }, bytes: new Uint8Array(), etag, freshMs: null });
  const ctx = { settings: null, nowMs: 0, fetchJson } as unknown as SourceContext<null>;
  return fetchServers(null, URL_OF_LIST, ctx);
}

const spaces = (count: number) => Array.from({ length: count }, (_, index) => `space-${index}`);

describe('a list of servers', () => {
  it('that would be larger than SQLite takes is refused', async () => {
    const small = [[spaces(5_000), ['https://rdap.example/']]] as [string[], string[]][];
    expect(JSON.stringify((await read(small)).servers).length).toBeLessThan(SQL_VALUE_BYTES_MAX);
    const large = [[spaces(5_000), [`https://rdap.example/${'x'.repeat(1_000)}/`]]] as [string[], string[]][];
    await expect(read(large)).rejects.toThrow('rdap bootstrap: expected at most 1000000 characters, got more');
  });

  it('is kept without its etag where that is long', async () => {
    const services = [[['com'], ['https://rdap.example/']]] as [string[], string[]][];
    expect((await read(services, '"short"')).etag).toBe('"short"');
    expect((await read(services, 'x'.repeat(2_000_000))).etag).toBe(null);
  });
});
