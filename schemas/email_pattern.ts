import { optional, required } from './column.ts';
import { defineTable, type RowOf } from './table.ts';

export const emailPattern = defineTable({
  name: 'email_pattern',
  prefix: 'email-patterns/metadata',
  description: "How a domain's email addresses are formed: one row for each finding about a domain and a pattern.",
  version: 1,
  key: ['domain', 'pattern'],
  columns: {
    domain: required('utf8', 'Domain of the addresses, in lower case.'),
    pattern: required('utf8', 'How the local part is formed, e.g. `{first}.{last}`.'),
    confidence: optional('float', 'How sure the finding is, from 0 to 1.'),
    verified: optional('boolean', 'Whether the pattern was verified.'),
    verified_at: optional('utf8', 'When the pattern was verified, ISO 8601.'),
    verified_by: optional('utf8', 'Who or what verified the pattern.'),
    sources: optional('utf8', 'Where the addresses were seen, separated by commas.'),
    sample_emails: optional('utf8', 'Addresses that follow the pattern: a JSON array of strings.'),
    organization_id: optional('utf8', 'The `id` of the organization in `organization`.'),
    employee_count: optional('int32', 'Number of people of the organization.'),
    data: optional('utf8', 'The document as JSON; says instead what was left out when the row would grow over 1 MiB.'),
    created_at: optional('utf8', 'When the pattern was first recorded upstream, ISO 8601.'),
    updated_at: optional('utf8', 'When this row was accepted, ISO 8601. The month of it is the partition.'),
  },
});

export type EmailPattern = RowOf<typeof emailPattern>;
