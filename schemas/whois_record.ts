import { optional, required } from './column.ts';
import { defineTable, type RowOf } from './table.ts';

export const whoisRecord = defineTable({
  name: 'whois_record',
  prefix: 'whois/metadata',
  description: 'Registration data of domains: one row for each look-up that gave an answer.',
  version: 1,
  key: ['domain'],
  columns: {
    domain: required('utf8', 'Domain in lower case, without the last dot.'),
    registrant_name: optional('utf8', "The registrant's name."),
    registrant_email: optional('utf8', "The registrant's email address."),
    registrant_organization: optional('utf8', "The registrant's organization."),
    registrant_country: optional('utf8', "The registrant's country, usually its two-letter code."),
    registrant_state: optional('utf8', "The registrant's state or region."),
    registrant_city: optional('utf8', "The registrant's city."),
    registrar_name: optional('utf8', 'Name of the registrar.'),
    registrar_id: optional('utf8', 'IANA number of the registrar.'),
    registrar_url: optional('utf8', 'URL of the registrar.'),
    registrar_abuse_email: optional('utf8', "The registrar's email address for abuse reports."),
    registrar_abuse_phone: optional('utf8', "The registrar's telephone number for abuse reports."),
    created_date: optional('utf8', 'When the domain was registered, ISO 8601.'),
    updated_date: optional('utf8', 'When the registration was last changed, ISO 8601.'),
    expiry_date: optional('utf8', 'When the registration ends, ISO 8601.'),
    nameservers: optional('utf8', 'Name servers, separated by commas.'),
    status_codes: optional('utf8', 'EPP status codes, separated by commas.'),
    dnssec: optional('utf8', 'What the registry says of DNSSEC, e.g. `signedDelegation` or `unsigned`.'),
    raw_whois: optional('utf8', 'The answer as it came.'),
    data: optional('utf8', 'The document as JSON; says instead what was left out when the row would grow over 1 MiB.'),
    last_checked_at: optional('utf8', 'When the domain was looked up, ISO 8601.'),
    created_at: optional('utf8', 'When the domain came into being, ISO 8601; null where the registry does not tell.'),
    updated_at: optional('utf8', 'When this row was accepted, ISO 8601. The month of it is the partition.'),
  },
});

export type WhoisRecord = RowOf<typeof whoisRecord>;
