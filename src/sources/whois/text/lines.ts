import { isNameserverKey } from './key-words.ts';
import {
  BLOCK_ROLES,
  DOMAIN_KEYS,
  HANDLES,
  RECORD_END,
  type Role,
  SENTENCE_FIELDS,
  sectionRole,
  VOLATILE_LINES,
} from './keys.ts';
import { plain } from './sentences.ts';

/** One field of an answer: the object it belongs to, its key, and its value as sent. */
export interface Field {
  role: Role;
  /** In lower case, without accents, punctuation as spaces, without a last number: `name server`. */
  key: string;
  value: string;
  /** The number of its line in the text, from 0. */
  line: number;
  /** Its line has no key, so the key is the heading's or the one of a line before. */
  isKeyless: boolean;
}

/** A line of a record, without white space at its end. */
export interface RecordLine {
  text: string;
  /** Its number in the whole text, from 0. */
  line: number;
}

/** An answer's text: UTF-8, or else Latin-1, with line feeds only. */
export function decodeText(bytes: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    text = new TextDecoder('latin1').decode(bytes);
  }
  return text.replace(/\r\n?/g, '\n');
}

/** A heading that is a comment, and the rule below it. */
const COMMENT_HEADING = /^[%#;]+\s*(\p{L}[\p{L} ]{0,60}?):?$/u;
const COMMENT_RULE = /^[%#;]+\s*[=-]{3,}$/;

/** The lines of the domain's record: without comments, lines that change between visits, and the terms of use after it. */
export function recordLines(text: string): RecordLine[] {
  const lines: RecordLine[] = [];
  const all = text.split('\n').map(line => line.trimEnd());
  let isInRecord = false;
  for (const [n, line] of all.entries()) {
    isInRecord ||= DOMAIN_KEYS.has(keyAndValue(line)?.key ?? '');
    if (isInRecord && RECORD_END.some(pattern => pattern.test(line))) break;
    const heading = COMMENT_RULE.test(all[n + 1] ?? '') ? COMMENT_HEADING.exec(line)?.[1] : undefined;
    if (heading !== undefined && sectionRole(keyOf(heading))) {
      lines.push({ text: '', line: n }, { text: heading, line: n });
      continue;
    }
    const isVolatile = VOLATILE_LINES.some(pattern => pattern.test(line));
    const isExtraEmpty = line === '' && (lines.at(-1)?.text ?? '') === '';
    if (!isVolatile && !isExtraEmpty) lines.push({ text: line, line: n });
  }
  while (lines.at(-1)?.text === '') lines.pop();
  return lines;
}

/** The fields of a record's lines in their order, in whatever layout, and the lines that belong to no field. */
export function fieldsOf(lines: RecordLine[]): { fields: Field[]; loose: RecordLine[] } {
  const reader = new FieldReader();
  for (const [n, line] of lines.entries())
    reader.readLine(line, { before: lines[n - 1]?.text, after: lines[n + 1]?.text, next: lines[n + 2]?.text });
  // The registrant's value is a name, unless a contact has it as its handle.
  const all = reader.blocks.flat();
  const handles = new Set(
    reader.blocks.flat().flatMap(field => (HANDLES.objects.includes(field.key) ? field.value : [])),
  );
  const registrants = new Set(
    all.flatMap(({ key, value }) => (HANDLES.registrant.has(key) && handles.has(value) ? value : [])),
  );
  const blocks = reader.blocks.flatMap(block => splitObjects(block, handles));
  const registrars = new Set(blocks.flatMap(registrarHandle));
  const fields = blocks
    .flatMap(block => withRoles(block, registrants))
    .filter(({ key, value }) => !(key === 'registrar' && registrars.has(value)));
  return { fields, loose: reader.loose };
}

interface Neighbours {
  before: string | undefined;
  after: string | undefined;
  /** The line after `after`. */
  next: string | undefined;
}

interface Heading {
  key: string;
  role: Role;
  indent: number;
  /** What ends its section: a line of the same or less indent, an empty line, or only the next heading. */
  until: 'outdent' | 'blank' | 'heading';
  /** An empty line follows it, so that a line without a key belongs to it only if it is indented or listed. */
  isApart?: boolean;
}

/** Keys under which a value below a heading is read, by the heading's role. */
const HEADING_KEYS = new Map<Role, string>([
  ['registrant', 'registrant'],
  ['registrar', 'registrar'],
  ['abuse', 'abuse contact'],
  ['nameservers', 'nameservers'],
]);

/** Collects the fields of lines read in order, with the heading that the next line is under. */
class FieldReader {
  /** Fields by block. Empty lines separate blocks, and to some registries a block is an object. */
  readonly blocks: Field[][] = [[]];
  /** Lines without a key that no heading and no field before explains. */
  readonly loose: RecordLine[] = [];
  #heading: Heading | null = null;
  /** The last key, whose value the next line may continue. */
  #lastKey: { key: string; role: Role; indent: number } | null = null;

  readLine(line: RecordLine, neighbours: Neighbours): void {
    // An empty line ends the block.
    if (line.text === '') {
      this.#lastKey = null;
      if (this.#heading?.until === 'blank') this.#heading = null;
      this.blocks.push([]);
      return;
    }
    // A heading starts a section, a line without a key continues one.
    const indent = indentOf(line.text);
    if (this.#heading?.until === 'outdent' && indent <= this.#heading.indent) this.#heading = null;
    const heading = headingOf(line.text, neighbours);
    if (heading) {
      this.#heading = heading;
      this.#lastKey = null;
      return;
    }
    const field = keyAndValue(line.text);
    if (!field) {
      this.#continue(line, indent);
      return;
    }
    // A key that can only be the domain's ends a section that has no other end.
    const { until, role: section } = this.#heading ?? {};
    const isServer = isNameserverKey(field.key);
    const isOfDomain = isServer ? section !== 'nameservers' : /^(domain \S|dnssec\b)/.test(field.key);
    if (until === 'heading' && isOfDomain) this.#heading = null;
    // Any other line is a field. Below `Domain:` the key of the domain's name is `name`.
    const role = this.#heading?.role ?? 'domain';
    const key = this.#heading && role === 'domain' && field.key === 'name' ? 'domain name' : field.key;
    this.#lastKey = { key, role, indent };
    if (field.value !== '') this.#add({ role, key, value: field.value, line: line.line, isKeyless: false });
  }

  /** A line without a key is another value of the last key if its indent is deeper, else of the heading. */
  #continue({ text, line }: RecordLine, indent: number): void {
    const value = text.trim().replace(/^[-*•] +/, '');
    const [last, heading] = [this.#lastKey, this.#heading];
    if (last && indent > last.indent) this.#add({ role: last.role, key: last.key, value, line, isKeyless: true });
    else if (heading && !(heading.isApart && heading.role !== 'nameservers' && indent <= heading.indent)) {
      const role = heading.role === 'other' ? 'other' : 'domain';
      this.#add({ role, key: HEADING_KEYS.get(heading.role) ?? heading.key, value, line, isKeyless: true });
    } else this.loose.push({ text, line });
  }

  #add(field: Field): void {
    this.blocks.at(-1)!.push(field);
  }
}

/** A longer line is prose. */
const HEADING_LENGTH_MAX = 80;

/** The heading of a line that is a key without a value and with lines below, or a known word alone. */
function headingOf(line: string, { before = '', after = '', next = '' }: Neighbours): Heading | null {
  const indent = indentOf(line);
  const field = keyAndValue(line);
  if (!field) {
    if (line.length > HEADING_LENGTH_MAX) return null;
    const key = keyOf(line);
    const role = before === '' ? sectionRole(key) : undefined;
    return role ? { key, role, indent, until: 'heading' } : null;
  }
  if (field.value !== '') return null;
  const { key } = field;
  const known = sectionRole(key);
  if (after === '') {
    // A known heading may be followed by one empty line.
    if (!known || next === '') return null;
    const until = indentOf(next) > indent ? 'outdent' : 'heading';
    return { key, role: known, indent, until, isApart: true };
  }
  if (indentOf(after) > indent) return { key, role: known ?? 'unknown', indent, until: 'outdent' };
  if (before !== '' || !(known || DOMAIN_KEYS.has(key))) return null;
  return { key, role: known ?? 'domain', indent, until: 'blank' };
}

/** Forms of a key and its value; only after a plain word may the value follow the colon without a space. */
const FIELD_FORMS = [
  /^\s*(?:[a-z]\.?\s)?\[(?<key>[^\s\]][^\]]{0,60})\]\s*(?<value>.*)$/,
  /^\s*(?:\*\* )?(?<key>[^\s:][^:]{0,60}?)[\s.]*:{1,2}(?:\s+(?<value>.*))?$/,
  // A remark in brackets is no part of the key.
  /^\s*(?<key>\p{L}[^:(]{0,60}?)\s*\([^():]{1,200}\)\s*:(?:\s+(?<value>.*))?$/u,
  /^\s*(?<key>[a-z][a-z _-]{0,40}):(?<value>[^\s/:].*)$/i,
  ...SENTENCE_FIELDS,
];

function keyAndValue(line: string): { key: string; value: string } | null {
  const found = FIELD_FORMS.map(pattern => pattern.exec(line)).find(match => match !== null);
  if (!found) return null;
  const { key = '', value = '' } = found.groups ?? {};
  return { key: keyOf(key), value: value.trim() };
}

function keyOf(text: string): string {
  // Some registries write the words of a key as one (`RegistrantName`), or name the local form of a value (`city-loc`).
  const words = plain(text.replace(/(\p{Ll})(?=\p{Lu})/gu, '$1 ').toLowerCase()).replace(/[\s_/.()*'’-]+/g, ' ');
  return words
    .trim()
    .replace(/ ?#?\d+$/, '')
    .replace(/ loc$/, '');
}

/** The white space before a line's first character, in columns; a tab counts eight. */
function indentOf(line: string): number {
  return /^\s*/.exec(line)![0].replaceAll('\t', '        ').length;
}

/** The block of a domain cut where another object begins in it, because some registries put no empty line between. */
function splitObjects(block: Field[], handles: Set<string>): Field[][] {
  const named = new Set(
    block.flatMap(({ key, value }) => (HANDLES.registrant.has(key) && handles.has(value) ? value : [])),
  );
  const parts: Field[][] = [[]];
  for (const field of block) {
    const isContact = field.key === 'contact' && named.has(field.value);
    const isAfter = parts.length > 1 && isNameserverKey(field.key) && !isNameserverKey(parts.at(-1)![0]?.key ?? '');
    if (field.role === 'domain' && (isContact || isAfter)) parts.push([]);
    parts.at(-1)!.push(field);
  }
  return parts;
}

/** The handle of a registrar's object that has its name too. */
function registrarHandle(block: Field[]): string[] {
  const [first] = block;
  const hasName = block.some(({ key }) => /^(name|organi[sz]ation( name)?)$/.test(key));
  return first?.key === 'registrar' && hasName ? [first.value] : [];
}

/**
 * The fields of a block with their roles. A block may be another object (the form of RFC 2622): a contact, which is the
 * registrant if its handle is in `registrants`, the registrar, or a set of name servers.
 */
function withRoles(block: Field[], registrants: Set<string>): Field[] {
  const domainFields = block.filter(field => field.role === 'domain');
  if (domainFields.some(field => DOMAIN_KEYS.has(field.key)))
    return block.filter(({ key, value }) => !(HANDLES.registrant.has(key) && registrants.has(value)));
  const handle = handleOf(domainFields);
  // A contact's value may be its role: `Contact: Registrant`.
  const named = handle && sectionRole(keyOf(handle.value));
  const contactRole = handle && (named ?? (registrants.has(handle.value) ? 'registrant' : 'other'));
  const role = contactRole ?? BLOCK_ROLES.get(domainFields[0]?.key ?? '');
  if (!role) return block;
  return block.flatMap(field => (field === handle ? [] : field.role === 'domain' ? [{ ...field, role }] : [field]));
}

function handleOf(fields: Field[]): Field | undefined {
  return HANDLES.objects.map(key => fields.find(field => field.key === key)).find(field => field !== undefined);
}
