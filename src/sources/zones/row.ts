import type { Domain } from '../../../schemas/domain.ts';
import type { QuestionId } from './lookup.ts';
import { octetText } from './name.ts';
import { type DnsRecord, HTTPS, nameOfData, TYPES } from './record.ts';
import { dataText, plainText, stringsOf } from './record-text.ts';
import type { Registration } from './registration.ts';

/** What a visit knows of a domain, in the forms that the row is made of. */
export interface ZoneState {
  domain: string;
  /** In the order of the zone file, which is also that of lists in the row. */
  records: DnsRecord[];
  /** Questions whose records are known; the others never had an answer. */
  known: ReadonlySet<QuestionId>;
  dnssecEnabled: boolean | null;
  registration: Registration;
  file: ZoneFile | null;
  /** What goes to `data` besides records. */
  remarks: Record<string, unknown>;
}

/** The object that has the domain's zone file. */
export interface ZoneFile {
  key: string;
  bytes: number;
  sha256: string;
}

type DomainRow = Omit<Domain, `_${string}`>;

/** The row of a domain that exists. */
export function rowOf(state: ZoneState): DomainRow {
  const { domain, records, dnssecEnabled, registration, file, remarks } = state;
  const listOf = (id: QuestionId, type: number, make: (records: DnsRecord[]) => unknown[]) =>
    jsonOf(state.known.has(id) ? make(records.filter(one => one.owner === `${domain}.` && one.type === type)) : null);
  return {
    domain,
    tld: tldOf(domain),
    nameservers: listOf('NS', TYPES.NS, hostsOf),
    mx_records: listOf('MX', TYPES.MX, exchangesOf),
    a_records: listOf('A', TYPES.A, textsOf),
    aaaa_records: listOf('AAAA', TYPES.AAAA, textsOf),
    txt_records: listOf('TXT', TYPES.TXT, joinedTextsOf),
    dnssec_enabled: dnssecEnabled,
    ds_records: listOf('DS', TYPES.DS, textsOf),
    dnskey_records: listOf('DNSKEY', TYPES.DNSKEY, textsOf),
    ...registrationColumns(registration),
    zone_file_r2_key: file?.key ?? null,
    zone_file_size: file?.bytes ?? null,
    zone_file_hash: file?.sha256 ?? null,
    data: JSON.stringify({ ...dataOf(state), ...remarks }),
    created_at: registration.created,
    updated_at: null,
  };
}

/** The deletion of a domain that does not exist. */
export function deletedRow(domain: string): DomainRow {
  return {
    domain,
    tld: tldOf(domain),
    nameservers: null,
    mx_records: null,
    a_records: null,
    aaaa_records: null,
    txt_records: null,
    dnssec_enabled: null,
    ds_records: null,
    dnskey_records: null,
    registrar: null,
    registrar_id: null,
    created_date: null,
    expiry_date: null,
    last_updated: null,
    zone_file_r2_key: null,
    zone_file_size: null,
    zone_file_hash: null,
    data: null,
    created_at: null,
    updated_at: null,
  };
}

/** The last label of a domain. */
export function tldOf(domain: string): string {
  return domain.slice(domain.lastIndexOf('.') + 1);
}

function registrationColumns({ registrar, registrar_id, created, expiry, updated }: Registration) {
  return { registrar, registrar_id, created_date: created, expiry_date: expiry, last_updated: updated };
}

/** The records that have no column. */
function dataOf({ domain, records, known }: ZoneState): Record<string, unknown> {
  const of = (id: QuestionId, host: string, type: number, make: (found: DnsRecord[]) => unknown[]) =>
    known.has(id) ? make(records.filter(one => one.owner === `${host}${domain}.` && one.type === type)) : null;
  return {
    soa: of('SOA', '', TYPES.SOA, plainTextsOf)?.[0] ?? null,
    cname: of('A', '', TYPES.CNAME, hostsOf)?.[0] ?? null,
    caa: of('CAA', '', TYPES.CAA, textsOf),
    https: of('HTTPS', '', HTTPS, textsOf),
    www: {
      cname: of('www A', 'www.', TYPES.CNAME, hostsOf)?.[0] ?? null,
      a: of('www A', 'www.', TYPES.A, textsOf),
      aaaa: of('www AAAA', 'www.', TYPES.AAAA, textsOf),
    },
    dmarc: of('_dmarc TXT', '_dmarc.', TYPES.TXT, joinedTextsOf),
  };
}

function jsonOf(values: unknown[] | null): string | null {
  return values === null ? null : JSON.stringify(values);
}

/** Names without their last dot. */
function hostsOf(records: DnsRecord[]): string[] {
  return records.map(({ data }) => withoutLastDot(nameOfData(data)));
}

function withoutLastDot(name: string): string {
  return name.slice(0, -1);
}

function exchangesOf(records: DnsRecord[]): { preference: number; exchange: string }[] {
  return records.map(({ data }) => ({
    preference: (data[0]! << 8) | data[1]!,
    exchange: withoutLastDot(nameOfData(data, 2)),
  }));
}

/** The texts of data as a zone file has them, also of data that does not fit its type. */
function textsOf(records: DnsRecord[]): string[] {
  return records.map(({ type, data }) => dataText(type, data));
}

function plainTextsOf(records: DnsRecord[]): string[] {
  return records.flatMap(({ type, data }) => plainText(type, data) ?? []);
}

/** One text a record: its character strings joined as mail software joins them, octets that are not printable as \DDD. */
function joinedTextsOf(records: DnsRecord[]): string[] {
  return records.map(({ data }) => {
    const octets = stringsOf(data)?.flatMap(string => [...string]) ?? [];
    return octets.map(octet => (octet < 0x20 || octet > 0x7e ? octetText(octet) : String.fromCharCode(octet))).join('');
  });
}
