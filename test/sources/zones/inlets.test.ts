import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/config.ts';
import { SOURCES } from '../../../src/sources/registry.ts';
import { WHOIS_INLETS } from '../../../src/sources/whois/inlets.ts';
import { ZONES_INLETS } from '../../../src/sources/zones/inlets.ts';
import { NO_REGISTRATION, registrationOf } from '../../../src/sources/zones/registration.ts';

const read = (source: string, row: Record<string, unknown>, op: 'upsert' | 'delete' = 'upsert') =>
  ZONES_INLETS.find(inlet => inlet.source === source)!.read({ op, lsn: 1, key: 'key', row: row as never });

const ROW = {
  domain: 'example.com',
  registrar_name: 'Example Registrar',
  registrar_id: '9999',
  created_date: '2001-01-01T00:00:00Z',
  expiry_date: '2027-01-01T00:00:00Z',
  updated_date: '2026-01-01T00:00:00Z',
  status_codes: 'clientTransferProhibited',
};

describe('whois>zones', () => {
  it('says how a domain is registered', () => {
    const facts = {
      registrar: 'Example Registrar',
      registrar_id: '9999',
      created: '2001-01-01T00:00:00Z',
      expiry: '2027-01-01T00:00:00Z',
      updated: '2026-01-01T00:00:00Z',
      leaving: false,
    };
    expect(read('whois', ROW)).toEqual([{ key: 'example.com', facts }]);
    const items = [{ table: 'whois_record', row: 'example.com', item: '', facts, sample: null, lsn: 1 }];
    expect(registrationOf({ version: 1, total: 1, counts: null, items })).toEqual(facts);
    expect(registrationOf(undefined)).toEqual(NO_REGISTRATION);
  });

  it.each(['redemptionPeriod', 'pending delete', 'ok,pendingRestore'])('knows that %s is the end', status_codes => {
    expect(read('whois', { ...ROW, status_codes })).toMatchObject([{ facts: { leaving: true } }]);
  });

  it('takes nothing from a deletion, so that what was said before is withdrawn', () => {
    expect(read('whois', { domain: 'example.com' }, 'delete')).toEqual([]);
    expect(read('whois', { domain: null })).toEqual([]);
  });

  it.each(['x'.repeat(5_000), '\u{1f600}'.repeat(900), '"\\\u0001'.repeat(900), '\ud800'.repeat(900)])(
    'cuts texts so that the facts fit: %#',
    long => {
      const row = Object.fromEntries(Object.keys(ROW).map(name => [name, long]));
      const [finding] = read('whois', { ...row, domain: 'example.com' });
      expect(Buffer.byteLength(JSON.stringify(finding!.facts))).toBeLessThanOrEqual(LIMITS.factsBytesMax);
      expect(String(finding!.facts!.registrar).isWellFormed()).toBe(true);
      expect(String(finding!.facts!.registrar).length).toBeGreaterThan(10);
    },
  );

  it('has facts without a value for what a registry does not tell', () => {
    expect(read('whois', { domain: 'example.com' })).toEqual([{ key: 'example.com', facts: { ...NO_REGISTRATION } }]);
  });
});

describe('home pages', () => {
  const pages = [
    ['https://www.example.com/path', ['www.example.com']],
    [' example.com ', ['example.com']],
    ['example.com/about', ['example.com']],
    ['mailto:a@example.com', []],
    ['no url', []],
    ['', []],
    [null, []],
  ] as const;

  it.each([
    'npm npm_package homepage',
    'pypi pypi_package homepage',
    'github github_repo homepage',
    'github github_profile blog',
  ])('name the domain: %s', place => {
    const [source, table, column] = place.split(' ') as [string, string, string];
    const inlet = ZONES_INLETS.find(one => one.source === source && one.table === table)!;
    for (const [value, keys] of pages) {
      const findings = inlet.read({ op: 'upsert', lsn: 1, key: 'key', row: { [column]: value } });
      expect(findings).toEqual(keys.map(key => ({ key })));
    }
  });
});

describe('zones>whois', () => {
  const inlet = WHOIS_INLETS.find(({ source }) => source === 'zones')!;
  const row = (op: 'upsert' | 'delete') =>
    inlet.read({ op, lsn: 1, key: 'example.com', row: { domain: 'example.com' } });

  it('watches domains that are there, without evidence, so that two sources may feed each other and come to rest', () => {
    expect(row('upsert')).toEqual([{ key: 'example.com' }]);
    expect(row('delete')).toEqual([]);
  });
});

it('no two inlets of a source read one table, and each reads columns that exist', () => {
  for (const [id, inlets] of [
    ['zones', ZONES_INLETS],
    ['whois', WHOIS_INLETS],
  ] as const)
    for (const { source, table, columns } of inlets) {
      const known = SOURCES.find(one => one.id === source)!.tables.find(({ name }) => name === table)!;
      expect(
        known.columns.map(({ name }) => name),
        `${source}>${id}`,
      ).toEqual(expect.arrayContaining(columns));
    }
});
