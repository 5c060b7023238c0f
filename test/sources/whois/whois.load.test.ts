import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../../src/errors.ts';
import { connect } from '../../../src/local/probe/connect.ts';
import type { Loaded } from '../../../src/ports/change.ts';
import { WHOIS_RECORDINGS } from '../../../src/sources/whois/stand-in/registrations.ts';
import { whois } from '../../../src/sources/whois/whois.ts';
import { load } from '../step.ts';
import { loadAll, loadingOf, worldOf } from './world.ts';

const DAY_SECONDS = 86_400;

function rowOf({ rows }: Loaded): Record<string, unknown> {
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({ table: 'whois_record', op: 'upsert' });
  return rows[0]!.row;
}

function dataOf(loaded: Loaded): Record<string, unknown> {
  return JSON.parse(String(rowOf(loaded).data)) as Record<string, unknown>;
}

describe('a domain of a thin registry', () => {
  it('has a document of its registrar too, next to the registry’s', async () => {
    const { standIn, visit } = await worldOf();
    const loaded = await visit('orchard-example.com');
    expect(rowOf(loaded)).toMatchObject({ registrant_name: 'Robin Sample', registrar_id: '9994', raw_whois: null });
    const [registry, registrar] = loaded.documents.map(({ bytes }) => JSON.parse(new TextDecoder().decode(bytes)));
    expect(loaded.documents.map(({ name, file }) => [name, file])).toEqual([
      ['orchard-example.com', undefined],
      ['orchard-example.com', 'registrar.json'],
    ]);
    expect(dataOf(loaded)).toEqual({ registry, registrar, redacted: [], registrar_missing: null });
    expect(loaded.seen).toMatchObject({
      found: true,
      partial: false,
      always: false,
      moreHosts: [new URL(standIn.origins.registrar).host],
      facts: { expiry: '2026-12-03T04:00:00Z', statuses: ['clientTransferProhibited'] },
    });
    expect(standIn.requests['registry-a'].recent).toMatchObject([{ path: '/domain/orchard-example.com', status: 200 }]);
    expect(standIn.requests.registrar.total).toBe(1);
  });

  it.each([
    ['redemption-example.com', 'http-403'],
    ['refusing-example.net', 'http-429'],
    ['quarry-example.net', 'http-404'],
    ['silent-example.com', 'timeout'],
    ['brochure-example.com', 'not-json'],
  ])('%s has the registry’s row where its registrar fails with %s', async (domain, missing) => {
    const { visit } = await worldOf();
    const loaded = await visit(domain);
    expect(rowOf(loaded)).toMatchObject({ domain, registrar_name: expect.any(String), registrant_name: null });
    expect(dataOf(loaded)).toMatchObject({ registrar: null, registrar_missing: missing });
    expect(loaded.documents.map(({ file }) => file)).toEqual([undefined]);
    expect(loaded.seen).toMatchObject({
      found: true,
      partial: true,
      moreHosts: [expect.stringMatching(/^127\.0\.0\.1:/)],
    });
    expect(loaded.seen!.digests).toEqual({ whois_record: loaded.seen!.mainDigest });
  });

  it('has the same main digest whether the registrar answers or not', async () => {
    const { standIn, visit } = await worldOf();
    const full = await visit('kettle-example.com');
    standIn.fault('/registrar/domain/', [{ status: 503 }]);
    const partial = await visit('kettle-example.com');
    expect(partial.seen!.mainDigest).toBe(full.seen!.mainDigest);
    expect(partial.seen!.digests).not.toEqual(full.seen!.digests);
  });
});

describe('a registry', () => {
  it('that does not know a domain gives a deletion and no document', async () => {
    const { visit } = await worldOf();
    for (const domain of ['gone-example.com', 'unwritten-example.org']) {
      const { documents, rows, seen } = await visit(domain);
      expect(documents).toEqual([]);
      expect(rows).toMatchObject([{ op: 'delete', row: { domain, registrar_name: null, data: null } }]);
      expect(seen).toMatchObject({ found: false, moreHosts: [] });
    }
  });

  it.each([
    ['throttled-example.com', [{ status: 429, retryAfterMs: 3000 }]],
    [
      'crowded-example.net',
      [
        { status: 429, retryAfterMs: null },
        { status: 429, retryAfterMs: null },
      ],
    ],
    ['stumbling-example.com', [{ status: 500, retryAfterMs: null }]],
  ])('that fails for %s answers a later visit', async (domain, failures) => {
    const { visit } = await worldOf();
    for (const failure of failures) await expect(visit(domain)).rejects.toMatchObject(failure);
    expect(rowOf(await visit(domain)).domain).toBe(domain);
  });

  it.each([
    ['slow-example.com', 'timeout', 3],
    ['page-example.net', 'not-json', 1],
    ['other-example.com', 'name-mismatch', 1],
    ['circle-example.com', 'http-301', 4],
    ['down-example.net', 'http-503', 1],
  ])('that has no answer for %s fails the visit with %s, after %i requests', async (domain, reason, requests) => {
    const { standIn, visit } = await worldOf();
    const error = await visit(domain).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ChangeError);
    expect(error).toMatchObject({ reason });
    expect(standIn.requests['registry-a'].total).toBe(requests);
  });

  it('is followed to where it redirects', async () => {
    const { standIn, visit } = await worldOf();
    expect(rowOf(await visit('moved-example.com')).expiry_date).toBe('2027-02-28T04:00:00Z');
    const paths = standIn.requests['registry-a'].recent.map(request => request.path);
    expect(paths).toEqual(['/domain/moved-example.com', '/v2/domain/moved-example.com']);
  });

  it('is asked for a domain’s A-labels, whatever the form of the key', async () => {
    const { standIn, visit } = await worldOf();
    expect(rowOf(await visit('BÜCHER-beispiel.com'))).toMatchObject({
      domain: 'xn--bcher-beispiel-gsb.com',
      registrant_organization: 'Bücher Beispiel GmbH',
    });
    expect(standIn.requests['registry-a'].count('/domain/xn--bcher-beispiel-gsb.com')).toBe(1);
  });
});

describe('a top-level domain without RDAP', () => {
  it('is asked over WHOIS, and its text is in the row and the document', async () => {
    const { standIn, visit } = await worldOf();
    const loaded = await visit('example-six.jp');
    const text = readFileSync(path.join(WHOIS_RECORDINGS, 'text/jprs.txt'));
    expect(loaded.documents).toEqual([
      { name: 'example-six.jp', bytes: new Uint8Array(text), revision: null, file: 'latest.txt' },
    ]);
    expect(rowOf(loaded)).toMatchObject({ registrant_name: 'Example Six K.K.', raw_whois: text.toString() });
    expect(standIn.queries).toEqual(['example-six.jp']);
    expect((await visit('nobody.de')).rows).toMatchObject([{ op: 'delete', row: { domain: 'nobody.de' } }]);
  });

  it('is asked at the server that IANA names, with that server’s query; IANA is asked once', async () => {
    const { standIn, settings, change } = await worldOf({ WHOIS_SERVERS: '' });
    const connections: string[] = [];
    const [hostname, port] = standIn.settings.WHOIS_IANA_SERVER.split(':') as [string, string];
    standIn.fault(
      '-T dn,ace xn--msterstadt-9db.de',
      [{ body: readFileSync(path.join(WHOIS_RECORDINGS, 'text/denic.txt')) }],
      {
        repeat: true,
      },
    );
    const loading = {
      ...loadingOf({ settings }),
      connect(address: { hostname: string; port: number }) {
        connections.push(`${address.hostname}:${address.port}`);
        return connect({ hostname, port: Number(port) });
      },
    };
    const changes = [change('xn--msterstadt-9db.de')];
    for (let time = 0; time < 2; time++)
      expect(await loadAll(loading, changes)).toMatchObject({ value: [{ kind: 'rows', seen: { found: true } }] });
    expect(connections).toEqual([standIn.settings.WHOIS_IANA_SERVER, 'whois.denic.de:43', 'whois.denic.de:43']);
    expect(standIn.queries[0]).toBe('de');
  });

  it('has a row of what could be read, and says which lines nobody understood', async () => {
    const { standIn, settings, change, visit } = await worldOf();
    const strange = Array.from({ length: 30 }, (_, n) => `Wort ${'ab'[n % 2]}${'x'.repeat(n)}: ${'y'.repeat(300)}`);
    const text = ['Domain: example-six.jp', 'Created on: 2006-06-06', 'Status: to be looked at by hand', ...strange];
    standIn.fault('example-six.jp', [{ body: `${text.join('\n')}\n` }], { repeat: true });
    const loaded = await visit('example-six.jp');
    expect(rowOf(loaded)).toMatchObject({ created_date: '2006-06-06', registrant_name: null });
    const { unread, unread_total } = dataOf(loaded);
    expect(unread_total).toBe(31);
    expect(unread).toHaveLength(20);
    expect((unread as string[])[0]).toBe('Status: to be looked at by hand');
    expect(Math.max(...(unread as string[]).map(line => line.length))).toBe(200);
    // Counted by server: this answer in part, another whole, an absence, a refusal and an unknown form.
    standIn.fault('example-ten.it', [{ body: 'Query rate limit exceeded' }]);
    standIn.fault('example-thirteen.ru', [{ body: 'Hello' }]);
    const domains = ['example-six.jp', 'xn--msterstadt-9db.de', 'nobody.de', 'example-thirteen.ru', 'example-ten.it'];
    const answer = await loadAll(
      loadingOf({ settings }),
      domains.map(domain => change(domain)),
    );
    const server = settings.servers.jp!;
    const counts: Record<string, number> = {};
    for (const { readings = {} } of answer.hosts)
      for (const [reading, count] of Object.entries(readings[server] ?? {}))
        counts[reading] = (counts[reading] ?? 0) + count;
    expect(counts).toEqual({ part: 1, whole: 1, absent: 1, refused: 1, unknown: 1 });
  });

  it('without a server at IANA fails the visit', async () => {
    const { visit } = await worldOf();
    await expect(visit('fjord-example.no')).rejects.toMatchObject({ reason: 'no-server' });
  });

  it.each([
    ['throttled-limit.txt', { status: 429 }],
    ['unreadable.txt', { reason: 'wrong-shape' }],
  ])('whose server answers %s has no row', async (file, failure) => {
    const { standIn, visit } = await worldOf();
    standIn.fault('example-six.jp', [{ body: readFileSync(path.join(WHOIS_RECORDINGS, 'text', file)) }]);
    await expect(visit('example-six.jp')).rejects.toMatchObject(failure);
    expect(rowOf(await visit('example-six.jp')).domain).toBe('example-six.jp');
  });
});

describe('the Loader', () => {
  it('stores the raw documents under their own names, and returns each outcome', async () => {
    const { standIn, settings, change } = await worldOf();
    const loading = loadingOf({ settings });
    const domains = [
      'kettle-example.com',
      'meadow-example.org',
      'example-ten.it',
      'gone-example.com',
      'page-example.net',
    ];
    const answer = await loadAll(
      loading,
      domains.map(domain => change(domain)),
    );
    expect(answer).toMatchObject({
      ok: true,
      value: [
        { kind: 'rows' },
        { kind: 'rows' },
        { kind: 'rows' },
        { kind: 'rows', seen: { found: false } },
        { kind: 'park', reason: 'not-json' },
      ],
    });
    const raws = [...loading.bucket.objects.keys()].filter(key => key.startsWith('whois/raw/')).sort();
    expect(raws).toEqual([
      'whois/raw/example-ten.it/latest.txt',
      'whois/raw/kettle-example.com/latest.json',
      'whois/raw/kettle-example.com/registrar.json',
      'whois/raw/meadow-example.org/latest.json',
    ]);
    const hosts = answer.hosts.map(({ host, requests }) => [host, requests]);
    expect(Object.fromEntries(hosts)).toEqual({
      [new URL(standIn.origins['registry-a']).host]: 3,
      [new URL(standIn.origins['registry-b']).host]: 1,
      [new URL(standIn.origins.registrar).host]: 1,
      it: 1,
    });
  });

  it('sends a registry no more requests after its Retry-After, and returns the wait', async () => {
    const { standIn, settings, change } = await worldOf();
    const refusal = { status: 429, headers: { 'retry-after': String(2 * DAY_SECONDS) } };
    standIn.fault('/registry-b/', [refusal], { repeat: true });
    const domains = [
      'meadow-example.org',
      'orchard-example.org',
      'violin-example.app',
      'tulip-example.nl',
      'copper-example.com',
    ];
    const many = [...domains, 'castle-example.cz', 'bridge-example.fr', 'bakery-example.info', 'harvest-example.org'];
    const answer = await loadAll(
      loadingOf({ settings }),
      many.map(domain => change(domain)),
    );
    if (!answer.ok) throw new Error(answer.failure.message);
    const rows = many.filter((_, index) => answer.value[index]!.kind === 'rows');
    expect(rows).toEqual(['copper-example.com']);
    expect(new Set(answer.value.map(outcome => ('reason' in outcome ? outcome.reason : 'row')))).toEqual(
      new Set(['throttled', 'deadline', 'row']),
    );
    const tally = answer.hosts.find(({ host }) => host === new URL(standIn.origins['registry-b']).host);
    expect(tally).toMatchObject({ retryAfterMs: DAY_SECONDS * 1000 });
    expect(tally!.requests).toBeLessThan(8);
    expect(tally!.throttled).toBe(tally!.requests);
  });

  it('gives a row at every visit with WHOIS_EVERY_CHECK', async () => {
    const { visit } = await worldOf({ WHOIS_EVERY_CHECK: 'true' });
    expect((await visit('copper-example.com')).seen).toMatchObject({ always: true });
    expect((await visit('example-six.jp')).seen).toMatchObject({ always: true });
  });

  it('asks no RDAP server when the change names none', async () => {
    const { standIn, settings, change } = await worldOf();
    const loaded = await load(whois, settings, change('example-ten.it', { server: null }));
    expect(rowOf(loaded).domain).toBe('example-ten.it');
    expect(standIn.requests['registry-a'].total + standIn.requests['registry-b'].total).toBe(0);
  });
});
