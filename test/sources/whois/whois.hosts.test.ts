import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../../src/errors.ts';
import type { Change } from '../../../src/ports/change.ts';
import type { LoadContext } from '../../../src/sources/source.ts';
import { fetchServers } from '../../../src/sources/whois/rdap/bootstrap.ts';
import type { WhoisSettings } from '../../../src/sources/whois/settings.ts';
import { whois } from '../../../src/sources/whois/whois.ts';

const settings = whois.settings({});
const change = (server: string | null): Change =>
  ({ key: 'a.com', cursor: 'a.com', deleted: false, revision: null, skip: null, server }) as Change;

/** A context whose answers are in memory, because no test asks a public host; `asked` has the hosts that were. */
function contextOf({ json, text = '' }: { json?: unknown; text?: string }) {
  const asked: string[] = [];
  const ctx = {
    settings,
    nowMs: 0,
    prepared: null,
    afresh: true,
    async fetchJson(url: string) {
      asked.push(new URL(url).hostname);
      return { json, bytes: new TextEncoder().encode(JSON.stringify(json)), etag: null, freshMs: null };
    },
    async askText(server: string) {
      asked.push(server);
      return new TextEncoder().encode(text);
    },
  } as unknown as LoadContext<WhoisSettings, null>;
  return { ctx, asked };
}

const PRIVATE = [
  'https://127.0.0.1/domain/a.com',
  'https://169.254.169.254/domain/a.com',
  'http://rdap.example.net/domain/a.com',
];

describe('a public registry that names a host which is not for it to name', () => {
  it.each(PRIVATE)('by the link %s has a row, without a request there', async href => {
    const links = [{ rel: 'related', href, type: 'application/rdap+json' }];
    const { ctx, asked } = contextOf({ json: { objectClassName: 'domain', ldhName: 'a.com', links } });
    const loaded = await whois.load(change('https://rdap.example.com/'), ctx);
    expect(asked).toEqual(['rdap.example.com']);
    expect(loaded.rows).toHaveLength(1);
    expect(loaded.seen).toMatchObject({ partial: false, moreHosts: [] });
  });
});

describe('the public list of servers', () => {
  it.each(['https://localhost/', 'https://10.0.0.1/', 'http://rdap.example.net/'])('may not name %s', async url => {
    const services = [
      [['com'], [url]],
      [['net'], ['https://rdap.example.com']],
    ];
    const { servers } = await fetchServers(null, settings.bootstrapUrl, contextOf({ json: { services } }).ctx);
    expect(servers).toEqual({ net: 'https://rdap.example.com/' });
  });
});

describe('IANA', () => {
  it.each(['db.internal', 'localhost.localdomain', 'whois.local'])('may not name the server %s', async server => {
    const { ctx, asked } = contextOf({ text: `whois: ${server}\n` });
    const error = await whois.load(change(null), ctx).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ChangeError);
    expect(error).toMatchObject({ reason: 'no-server' });
    expect(asked).toEqual(['whois.iana.org']);
  });
});

it('an answer nested deeper than JSON can be written has a row, whose data says so', async () => {
  let deep: unknown = [];
  for (let depth = 0; depth < 3_000; depth++) deep = [deep];
  const { ctx } = contextOf({ json: { objectClassName: 'domain', ldhName: 'a.com', extra: deep } });
  const { rows } = await whois.load(change('https://rdap.example.com/'), ctx);
  const note = { reason: 'nested over 100 deep' };
  expect(JSON.parse(String(rows[0]!.row.data))).toMatchObject({ registry: note, registrar: null });
});
