import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { readRecordedZones } from '../../../src/sources/zones/stand-in/recorded.ts';
import { FIXTURES } from '../walk.ts';

export const ZONES = path.join(FIXTURES, 'zones');

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
  const file = path.join(ZONES, 'files', isLater ? 'later' : '', `${domain}.zone`);
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}

export const recorded = readRecordedZones(ZONES);
