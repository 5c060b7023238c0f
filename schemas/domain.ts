import { optional, required } from './column.ts';
import { defineTable, type RowOf } from './table.ts';

export const domain = defineTable({
  name: 'domain',
  prefix: 'zones/metadata',
  description: 'What the DNS says of domains: one row for each change of a domain in its zone or its registration.',
  version: 1,
  key: ['domain'],
  columns: {
    domain: required('utf8', 'Domain in lower case, without the last dot.'),
    tld: required('utf8', 'Last label of the domain.'),
    nameservers: optional(
      'utf8',
      'Name servers: a JSON array of host names in the order of the zone file; `[]` where there are none, null where that is not known.',
    ),
    mx_records: optional(
      'utf8',
      'MX records: a JSON array such as `[{"preference":10,"exchange":"mx1.example.com"}]`.',
    ),
    a_records: optional('utf8', 'A records: a JSON array of IPv4 addresses.'),
    aaaa_records: optional('utf8', 'AAAA records: a JSON array of IPv6 addresses.'),
    txt_records: optional(
      'utf8',
      'TXT records: a JSON array of strings, one a record; octets that are not printable ASCII as `\\DDD`.',
    ),
    dnssec_enabled: optional('boolean', 'Whether the domain has a DS record and the resolver validated its answer.'),
    ds_records: optional('utf8', 'DS records: a JSON array of texts as a zone file has them.'),
    dnskey_records: optional('utf8', 'DNSKEY records: a JSON array of texts as a zone file has them.'),
    registrar: optional(
      'utf8',
      'Name of the registrar, as WHOIS has it; null without `FEEDS=whois>zones`, as are the next four.',
    ),
    registrar_id: optional('utf8', 'IANA number of the registrar.'),
    created_date: optional('utf8', 'When the domain was registered, ISO 8601.'),
    expiry_date: optional('utf8', 'When the registration ends, ISO 8601.'),
    last_updated: optional('utf8', 'When the registration was last changed, ISO 8601.'),
    zone_file_r2_key: optional('utf8', 'Key of the zone file in the bucket.'),
    zone_file_size: optional('int64', 'Size of the zone file in bytes.'),
    zone_file_hash: optional('utf8', 'SHA-256 of the zone file, in hexadecimal.'),
    data: optional(
      'utf8',
      'JSON of the records without a column, and of how the answers came; says instead what was left out when the row would grow over 1 MiB.',
    ),
    created_at: optional('utf8', 'When the domain was registered, ISO 8601; null where that is not known.'),
    updated_at: optional('utf8', 'When this row was accepted, ISO 8601. The month of it is the partition.'),
  },
});

export type Domain = RowOf<typeof domain>;
