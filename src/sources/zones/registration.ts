import type { Evidence } from '../../ports/change.ts';
import type { FeedingRow, Finding } from '../../ports/inlet.ts';

/** The table whose rows say how a domain is registered. */
export const REGISTRATIONS = 'whois_record';

/** The columns of it that zones reads. */
export const REGISTRATION_COLUMNS = [
  'domain',
  'registrar_name',
  'registrar_id',
  'created_date',
  'expiry_date',
  'updated_date',
  'status_codes',
];

/** EPP codes, in lower case and without spaces, of a domain that is about to be deleted. */
const LEAVING = new Set(['redemptionperiod', 'pendingrestore', 'pendingdelete']);

/** UTF-8 bytes of a registrar's name and of each other text: with the names of the facts they fit into 512 bytes of JSON. */
const NAME_BYTES_MAX = 200;
const TEXT_BYTES_MAX = 30;

/** A domain's registration as WHOIS has it; ISO 8601 for times. */
export interface Registration {
  registrar: string | null;
  registrar_id: string | null;
  created: string | null;
  expiry: string | null;
  updated: string | null;
  /** It is in redemption, or about to be deleted. */
  leaving: boolean;
}

export const NO_REGISTRATION: Registration = {
  registrar: null,
  registrar_id: null,
  created: null,
  expiry: null,
  updated: null,
  leaving: false,
};

/** What a row of WHOIS says of its domain. A deletion withdraws what the row before it said. */
export function readRegistration({ op, row }: FeedingRow): Finding[] {
  if (op === 'delete' || typeof row.domain !== 'string') return [];
  const codes = typeof row.status_codes === 'string' ? row.status_codes.split(',') : [];
  const facts: Registration = {
    registrar: textOf(row.registrar_name, NAME_BYTES_MAX),
    registrar_id: textOf(row.registrar_id, TEXT_BYTES_MAX),
    created: textOf(row.created_date, TEXT_BYTES_MAX),
    expiry: textOf(row.expiry_date, TEXT_BYTES_MAX),
    updated: textOf(row.updated_date, TEXT_BYTES_MAX),
    leaving: codes.some(code => LEAVING.has(code.replaceAll(' ', '').toLowerCase())),
  };
  return [{ key: row.domain, facts: { ...facts } }];
}

/** A text whose JSON takes at most so many bytes: a longer one is cut at a character. */
function textOf(value: unknown, bytesMax: number): string | null {
  if (typeof value !== 'string') return null;
  let text = '';
  let bytes = 0;
  for (const character of value.toWellFormed()) {
    bytes += Buffer.byteLength(JSON.stringify(character)) - 2;
    if (bytes > bytesMax) break;
    text += character;
  }
  return text;
}

/** The newest registration among the evidence of a domain. */
export function registrationOf(evidence: Evidence | undefined): Registration {
  const found = evidence?.items.find(({ table }) => table === REGISTRATIONS);
  return { ...NO_REGISTRATION, ...(found?.facts as Partial<Registration> | undefined) };
}
