import { optional, required } from './column.ts';
import { defineTable, type RowOf } from './table.ts';

export const domain = defineTable({
  name: 'domain',
  prefix: 'zones/metadata',
  description: 'Domains of the DNS zones followed: one row for each change of a domain in its zone.',
  version: 1,
  key: ['domain'],
  columns: {
    domain: required('utf8', 'Domain in lower case, without the last dot.'),
    tld: required('utf8', 'Top-level domain, without a dot.'),
    nameservers: optional('utf8', 'Name servers: a JSON array of host names.'),
    mx_records: optional('utf8', 'MX records: a JSON array.'),
    a_records: optional('utf8', 'A records: a JSON array of IPv4 addresses.'),
    aaaa_records: optional('utf8', 'AAAA records: a JSON array of IPv6 addresses.'),
    txt_records: optional('utf8', 'TXT records: a JSON array of strings.'),
    dnssec_enabled: optional('boolean', 'Whether the zone delegates the domain with a DS record.'),
    ds_records: optional('utf8', 'DS records: a JSON array.'),
    dnskey_records: optional('utf8', 'DNSKEY records: a JSON array.'),
    registrar: optional('utf8', 'Name of the registrar.'),
    registrar_id: optional('utf8', 'IANA number of the registrar.'),
    created_date: optional('utf8', 'When the domain was registered, ISO 8601.'),
    expiry_date: optional('utf8', 'When the registration ends, ISO 8601.'),
    last_updated: optional('utf8', 'When the registration was last changed, ISO 8601.'),
    zone_file_r2_key: optional('utf8', 'Key of the zone file in the bucket.'),
    zone_file_size: optional('int64', 'Size of the zone file in bytes.'),
    zone_file_hash: optional('utf8', 'SHA-256 of the zone file, in hexadecimal.'),
    data: optional('utf8', 'The document as JSON; says instead what was left out when the row would grow over 1 MiB.'),
    created_at: optional('utf8', 'When the domain came into being, ISO 8601; null where the source does not tell.'),
    updated_at: optional('utf8', 'When this row was accepted, ISO 8601. The month of it is the partition.'),
  },
});

export type Domain = RowOf<typeof domain>;
