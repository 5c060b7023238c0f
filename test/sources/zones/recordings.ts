import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { readRecordedZones } from '../../../src/sources/zones/stand-in/recorded.ts';
import { FIXTURES } from '../walk.ts';

export const ZONES = path.join(FIXTURES, 'zones');

export const recorded = readRecordedZones(ZONES);

/** Columns of a row with records, as `rows.json` has them: lists are lists here, and JSON in the row. */
export interface ExpectedRecords {
  nameservers: string[];
  mx_records: { preference: number; exchange: string }[];
  a_records: string[];
  aaaa_records: string[];
  txt_records: string[];
  dnssec_enabled: boolean;
  ds_records: string[];
  dnskey_records: string[];
}

/** The expected records by domain, at first and in the next month. */
export function readExpected(): Record<'domains' | 'later', Record<string, ExpectedRecords>> {
  return JSON.parse(readFileSync(path.join(ZONES, 'rows.json'), 'utf8'));
}

/** The expected zone file of a domain; null when the domain has none. */
export function readZoneFile(domain: string, isLater = false): string | null {
  if (!isLater && recorded.plain.includes(domain))
    return readFileSync(path.join(ZONES, 'files/plain.zone'), 'utf8').replaceAll('{{domain}}', domain);
  const file = path.join(ZONES, 'files', isLater ? 'later' : '', `${domain}.zone`);
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}

/** The columns of a domain's row that its records give, and its zone file. */
export function expectedRow(domain: string, isLater = false): Record<string, unknown> {
  const records = recorded.plain.includes(domain)
    ? plainRecords(domain)
    : readExpected()[isLater ? 'later' : 'domains'][domain];
  const file = readZoneFile(domain, isLater);
  if (!records || file === null) throw new Error(`${domain}: expected records and a zone file in ${ZONES}`);
  const columns = Object.entries(records).map(([name, value]) => [
    name,
    typeof value === 'boolean' ? value : JSON.stringify(value),
  ]);
  const tld = domain.slice(domain.lastIndexOf('.') + 1);
  return {
    domain,
    tld,
    ...Object.fromEntries(columns),
    zone_file_r2_key: `zones/tld=${tld}/${domain}.zone`,
    zone_file_size: Buffer.byteLength(file),
    zone_file_hash: createHash('sha256').update(file).digest('hex'),
  };
}

/** The records of `plain.txt`. */
function plainRecords(domain: string): ExpectedRecords {
  return {
    nameservers: ['ns1.dns-example.net', 'ns2.dns-example.net'],
    mx_records: [{ preference: 10, exchange: `mail.${domain}` }],
    a_records: ['192.0.2.200'],
    aaaa_records: [],
    txt_records: [],
    dnssec_enabled: false,
    ds_records: [],
    dnskey_records: [],
  };
}
