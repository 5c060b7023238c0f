import {
  BLOCK_ROLES,
  DOMAIN_KEYS,
  HANDLES,
  RECORD_END,
  type Role,
  SECTION_ROLES,
  SENTENCE_FIELD,
  VOLATILE_LINES,
} from './dialects.ts';

/** One field of an answer: the object it belongs to, its key, and its value as sent. */
export interface Field {
  role: Role;
  /** In lower case, punctuation as spaces, without a last number: `name server`. */
  key: string;
  value: string;
  /** The number of its line in the text, from 0. */
  line: number;
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

/** The lines of the domain's record: without comments, lines that change between visits, and the terms of use after it. */
export function recordLines(text: string): RecordLine[] {
  const lines: RecordLine[] = [];
  let isInRecord = false;
  for (const [n, line] of text
    .split('\n')
    .map(line => line.trimEnd())
    .entries()) {
    isInRecord ||= DOMAIN_KEYS.has(keyAndValue(line)?.key ?? '');
    if (isInRecord && RECORD_END.some(pattern => pattern.test(line))) break;
    const isVolatile = VOLATILE_LINES.some(pattern => pattern.test(line));
    const isExtraEmpty = line === '' && (lines.at(-1)?.text ?? '') === '';
    if (!isVolatile && !isExtraEmpty) lines.push({ text: line, line: n });
  }
  while (lines.at(-1)?.text === '') lines.pop();
  return lines;
}

/** The fields of a record's lines in their order, in whatever layout. */
export function fieldsOf(lines: RecordLine[]): Field[] {
  const reader = new FieldReader();
  for (const [n, line] of lines.entries())
    reader.readLine(line, { before: lines[n - 1]?.text, after: lines[n + 1]?.text });
  const fields = reader.blocks.flat();
  const handles = new Set(reader.blocks.flatMap(block => handleOf(block)?.value ?? []));
  // The registrant's value is a name, unless a contact has it as its handle.
  const registrants = new Set(
    fields.flatMap(({ key, value }) => (HANDLES.registrant.has(key) && handles.has(value) ? value : [])),
  );
  return reader.blocks.flatMap(block => withRoles(block, registrants));
}

type Neighbours = Record<'before' | 'after', string | undefined>;

interface Heading {
  key: string;
  indent: number;
  /** What ends its section: a line of the same or less indent, an empty line, or only the next heading. */
  until: 'outdent' | 'blank' | 'heading';
}

/** Collects the fields of lines read in order, with the heading that the next line is under. */
class FieldReader {
  /** Fields by block. Empty lines separate blocks, and to some registries a block is an object. */
  readonly blocks: Field[][] = [[]];
  #heading: Heading | null = null;
  /** The last key, whose value the next line may continue. */
  #lastKey: { key: string; role: Role; indent: number } | null = null;

  readLine({ text: line, line: n }: RecordLine, neighbours: Neighbours): void {
    // An empty line ends the block.
    if (line === '') {
      this.#lastKey = null;
      if (this.#heading?.until === 'blank') this.#heading = null;
      this.blocks.push([]);
      return;
    }
    // A heading starts a section, a line without a key continues one.
    const indent = indentOf(line);
    if (this.#heading?.until === 'outdent' && indent <= this.#heading.indent) this.#heading = null;
    const heading = headingOf(line, neighbours);
    if (heading) {
      this.#heading = heading;
      this.#lastKey = null;
      return;
    }
    const field = keyAndValue(line);
    if (!field) {
      this.#continue(line.trim(), { indent, line: n });
      return;
    }
    // Any other line is a field. Below `Domain:` the key of the domain's name is `name`.
    const role = this.#heading ? (SECTION_ROLES.get(this.#heading.key) ?? 'other') : 'domain';
    const key = this.#heading && role === 'domain' && field.key === 'name' ? 'domain name' : field.key;
    this.#lastKey = { key, role, indent };
    if (field.value !== '') this.#add({ role, key, value: field.value, line: n });
  }

  /** A line without a key is another value of the last key if its indent is deeper, else of the heading. */
  #continue(value: string, { indent, line }: { indent: number; line: number }): void {
    const last = this.#lastKey;
    if (last && indent > last.indent) this.#add({ role: last.role, key: last.key, value, line });
    else if (this.#heading) this.#add({ role: 'domain', key: this.#heading.key, value, line });
  }

  #add(field: Field): void {
    this.blocks.at(-1)!.push(field);
  }
}

/** A longer line is prose. */
const HEADING_LENGTH_MAX = 80;

/** The heading of a line that is a key without a value and with lines below, or a known word alone. */
function headingOf(line: string, { before = '', after = '' }: Neighbours): Heading | null {
  const indent = indentOf(line);
  const field = keyAndValue(line);
  if (!field) {
    if (line.length > HEADING_LENGTH_MAX) return null;
    const key = keyOf(line);
    return before === '' && SECTION_ROLES.has(key) ? { key, indent, until: 'heading' } : null;
  }
  if (field.value !== '' || after === '') return null;
  const { key } = field;
  if (indentOf(after) > indent) return { key, indent, until: 'outdent' };
  return before === '' && (SECTION_ROLES.has(key) || DOMAIN_KEYS.has(key)) ? { key, indent, until: 'blank' } : null;
}

/** Forms of a key and its value; only after a plain word may the value follow the colon without a space. */
const FIELD_FORMS = [
  /^\s*(?:[a-z]\.\s)?\[(?<key>[^\s\]][^\]]{0,60})\]\s*(?<value>.*)$/,
  /^\s*(?:\*\* )?(?<key>[^\s:][^:]{0,60}?)[\s.]*:(?:\s+(?<value>.*))?$/,
  /^\s*(?<key>[a-z][a-z _-]{0,40}):(?<value>[^\s/:].*)$/i,
  SENTENCE_FIELD,
];

function keyAndValue(line: string): { key: string; value: string } | null {
  const found = FIELD_FORMS.map(pattern => pattern.exec(line)).find(match => match !== null);
  if (!found) return null;
  const { key = '', value = '' } = found.groups ?? {};
  return { key: keyOf(key), value: value.trim() };
}

function keyOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/[\s_/.()*-]+/g, ' ')
    .trim()
    .replace(/ ?#?\d+$/, '');
}

/** The white space before a line's first character, in columns; a tab counts eight. */
function indentOf(line: string): number {
  return /^\s*/.exec(line)![0].replaceAll('\t', '        ').length;
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
  const contactRole = handle && (registrants.has(handle.value) ? 'registrant' : 'other');
  const role = contactRole ?? BLOCK_ROLES.get(domainFields[0]?.key ?? '');
  if (!role) return block;
  return block.flatMap(field => (field === handle ? [] : field.role === 'domain' ? [{ ...field, role }] : [field]));
}

function handleOf(fields: Field[]): Field | undefined {
  return HANDLES.objects.map(key => fields.find(field => field.key === key)).find(field => field !== undefined);
}
