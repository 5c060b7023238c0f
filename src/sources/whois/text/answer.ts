import { LIMITS } from '../../../config.ts';
import { ChangeError } from '../../../errors.ts';
import { type FactColumn, NO_FACTS, REGISTRANT_COLUMNS, type WhoisFacts } from '../facts.ts';
import { isFreeFlag, isFreeStatus, statesAbsence } from './absences.ts';
import { hasNoColumn } from './key-words.ts';
import { type Field, fieldsOf, recordLines } from './lines.ts';
import { columnsOf, firstLine, isOfDomain, readRecord } from './record.ts';
import { findRefusal } from './refusals.ts';
import { type Sentence, sentencesOf } from './sentences.ts';

/** A WHOIS server's answer about one domain. */
export interface WhoisTextAnswer {
  /** Whether the domain is registered. */
  found: boolean;
  facts: WhoisFacts;
  /** Columns that the server withholds, sorted; their facts are null. */
  redacted: FactColumn[];
  /** The text without the lines that change between visits. */
  stable: string;
}

/**
 * Reads a server's text about a domain (A-labels in lower case). Facts that it cannot read are null, because registries
 * have their own layouts. Throws `ChangeError`: `http-429` for a refusal, with its time to wait if it has one,
 * `name-mismatch` for another domain's text, `wrong-shape` for a text about no domain.
 */
export function readWhoisText(text: string, domain: string): WhoisTextAnswer {
  // Read the record's fields and the names in it.
  const lines = recordLines(text);
  const { fields, loose } = fieldsOf(lines);
  const isNamed = isOfDomain(fields, domain);
  const data = new Set(fields.filter(isData).map(({ line }) => line));
  const options = { domain, isData: (line: number) => data.has(line) };

  // A refusal wins over everything else, because a server that refuses sends what it likes besides.
  const refusal = findRefusal(sentencesOf(text, { ...options, wrappedOnly: false }));
  if (refusal) throw refusalError(refusal);
  if (isNamed === false) throw new ChangeError('name-mismatch', 'whois text: expected the queried domain, got another');

  // "Not found" counts only in a text that has no fact of a registration.
  const { facts, redacted } = readRecord(fields, loose, domain);
  const stable = lines.map(line => line.text).join('\n');
  const statuses = fields.filter(field => columnsOf(field)?.includes('status_codes')).map(({ value }) => value);
  const states = sentencesOf(text, { ...options, wrappedOnly: true });
  const isStated = statuses.length > 0 || fields.some(isFreeFlag) || statesAbsence(states);
  const isAbsent = statuses.every(isFreeStatus) && isStated;
  if (isAbsent && EVIDENCE.every(column => facts[column] === null && !redacted.includes(column)))
    return { found: false, facts: { ...NO_FACTS }, redacted: [], stable };

  // Any fact makes a record, if the text names the domain.
  const hasFacts = redacted.length > 0 || Object.values(facts).some(fact => fact !== null);
  if (isNamed && hasFacts) return { found: true, facts, redacted, stable };
  throw new ChangeError('wrong-shape', 'whois text: expected a registration or "not found", got other text');
}

/** Lines of a record that were not understood, as the server sent them; the text of a domain without a record has none. */
export function unreadLines(text: string, domain: string): string[] {
  const { fields, loose } = fieldsOf(recordLines(text));
  if (!isOfDomain(fields, domain)) return [];
  const lines = text.split('\n');
  const first = firstLine(fields, domain);
  return readRecord(
    fields,
    loose.filter(({ line }) => line > first),
    domain,
  ).unread.map(line => lines[line]!.trim());
}

/** Facts that only a registration has; servers send the others with "not found" too. */
const EVIDENCE: FactColumn[] = [...REGISTRANT_COLUMNS, 'created_date', 'expiry_date', 'nameservers'];

/** The error for a text that refuses any query because of too many; null for another text. */
export function refusalOf(text: string): ChangeError | null {
  const refusal = findRefusal(sentencesOf(text, { domain: 'IANA', isData: () => false, wrappedOnly: false }));
  return refusal && refusalError(refusal);
}

function refusalError({ words, paragraph }: Sentence): ChangeError {
  const message = 'whois text: expected an answer, got a refusal because of too many queries';
  return new ChangeError('http-429', message, {
    status: 429,
    retryAfterMs: retryAfterOf(words) ?? retryAfterOf(paragraph),
  });
}

/** The time to wait in a refusal, at most a day; null if it has none. */
function retryAfterOf(words: string): number | null {
  const [, count, unit = ''] = /\b(\d{1,6}) ?(s|sec|second|m|min|minute|h|hr|hour|d|day)s?\b/.exec(words) ?? [];
  const unitMs = UNITS_MS.get(unit[0] ?? '');
  return unitMs === undefined ? null : Math.min(Number(count) * unitMs, LIMITS.retryAfterMsMax);
}

const UNITS_MS = new Map([
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** Keys of messages; what they hold is no data, whatever else the key says. */
const MESSAGE_KEYS = /^(error|err|warning|message|notice|info|result|response|reason|query)\b/;

/** Whether a field holds data of the record, and so states nothing of the answer. Statuses may. */
function isData(field: Field): boolean {
  // A server that breaks off may put its refusal below any heading.
  if (field.isKeyless || MESSAGE_KEYS.test(field.key)) return false;
  const columns = columnsOf(field);
  if (field.role === 'other') return true;
  if (columns) return !columns.includes('status_codes');
  return hasNoColumn(field.key);
}
