import { BLOCKS, CUTS, DOMAIN_KEYS, HANDLES, type Role, SECTIONS, SENTENCE, VOLATILE } from './dialects.ts';

/** One thing an answer says: of whom, under which key, and in its own words. */
export interface Field {
  role: Role;
  /** In lower case, with signs as spaces and without numbers at its end: `name server`. */
  key: string;
  value: string;
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

/**
 * The lines that say something of the domain: no comments, nothing that changes with each look, and not what comes after
 * the record, which is the terms of use.
 */
export function recordLines(text: string): string[] {
  const lines: string[] = [];
  let begun = false;
  for (const line of text.split('\n').map(line => line.trimEnd())) {
    begun ||= DOMAIN_KEYS.has(keyed(line)?.key ?? '');
    if (begun && CUTS.some(pattern => pattern.test(line))) break;
    const isRecord = !VOLATILE.some(pattern => pattern.test(line));
    if (isRecord && !(line === '' && (lines.at(-1) ?? '') === '')) lines.push(line);
  }
  while (lines.at(-1) === '') lines.pop();
  return lines;
}

/** What the lines of a record say, in their order, whatever way they are laid out. */
export function fieldsOf(lines: string[]): Field[] {
  const reading = new Reading();
  for (const [at, line] of lines.entries()) reading.take(line, { before: lines[at - 1], after: lines[at + 1] });
  const fields = reading.blocks.flat();
  const handles = new Set(reading.blocks.flatMap(block => handleOf(block)?.value ?? []));
  // What stands for the registrant is a name, unless a contact has it as its handle.
  const registrants = new Set(
    fields.flatMap(({ key, value }) => (HANDLES.registrant.has(key) && handles.has(value) ? value : [])),
  );
  return reading.blocks.flatMap(block => withRoles(block, registrants));
}

type Neighbours = Record<'before' | 'after', string | undefined>;

interface Heading {
  key: string;
  indent: number;
  /** What ends it: a line that is no deeper, an empty line, or only the next heading. */
  until: 'outdent' | 'blank' | 'heading';
}

/** The lines read so far, and what the next one belongs to. */
class Reading {
  /** Fields by block: empty lines are between blocks, and some registries mean something by them. */
  readonly blocks: Field[][] = [[]];
  #heading: Heading | null = null;
  /** The line before, when the next may go on with it. */
  #open: { key: string; role: Role; indent: number } | null = null;

  take(line: string, around: Neighbours): void {
    if (line === '') {
      this.#open = null;
      if (this.#heading?.until === 'blank') this.#heading = null;
      this.blocks.push([]);
      return;
    }
    const indent = indentOf(line);
    if (this.#heading?.until === 'outdent' && indent <= this.#heading.indent) this.#heading = null;
    const heading = headingOf(line, around);
    if (heading) {
      this.#heading = heading;
      this.#open = null;
      return;
    }
    const field = keyed(line);
    const role = this.#heading ? (SECTIONS.get(this.#heading.key) ?? 'other') : 'domain';
    if (!field) {
      this.#goOn(line.trim(), indent);
      return;
    }
    // Below `Domain:` the domain's name is only called a name.
    const key = this.#heading && role === 'domain' && field.key === 'name' ? 'domain name' : field.key;
    this.#open = { key, role, indent };
    if (field.value !== '') this.#add({ role, key, value: field.value });
  }

  /** A line without a key: more of the line before, or of what its heading names. */
  #goOn(value: string, indent: number): void {
    if (this.#open && indent > this.#open.indent) this.#add({ role: this.#open.role, key: this.#open.key, value });
    else if (this.#heading) this.#add({ role: 'domain', key: this.#heading.key, value });
  }

  #add(field: Field): void {
    this.blocks.at(-1)!.push(field);
  }
}

/** No heading is longer; what is longer is prose. */
const HEADING_LENGTH_MAX = 80;

/** The heading a line is: a key without a value and with lines below, or a known word alone. */
function headingOf(line: string, { before = '', after = '' }: Neighbours): Heading | null {
  const indent = indentOf(line);
  const field = keyed(line);
  if (!field) {
    if (line.length > HEADING_LENGTH_MAX) return null;
    const key = keyOf(line);
    return before === '' && SECTIONS.has(key) ? { key, indent, until: 'heading' } : null;
  }
  if (field.value !== '' || after === '') return null;
  const { key } = field;
  if (indentOf(after) > indent) return { key, indent, until: 'outdent' };
  return before === '' && (SECTIONS.has(key) || DOMAIN_KEYS.has(key)) ? { key, indent, until: 'blank' } : null;
}

/** Ways to write a key and its value; the colon may touch the value only after a plain word. */
const KEYED = [
  /^\s*(?:[a-z]\.\s)?\[(?<key>[^\s\]][^\]]{0,60})\]\s*(?<value>.*)$/,
  /^\s*(?:\*\* )?(?<key>[^\s:][^:]{0,60}?)[\s.]*:(?:\s+(?<value>.*))?$/,
  /^\s*(?<key>[a-z][a-z _-]{0,40}):(?<value>[^\s/:].*)$/i,
  SENTENCE,
];

function keyed(line: string): { key: string; value: string } | null {
  const found = KEYED.map(pattern => pattern.exec(line)).find(match => match !== null);
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

/** Columns of white space before a line's first letter. */
function indentOf(line: string): number {
  return /^\s*/.exec(line)![0].replaceAll('\t', '        ').length;
}

/**
 * The fields of a block that is an object of its own (RFC 2622 has the form): a contact, whose handle says whether it is
 * the registrant, the registrar, or a set of name servers. In other blocks each field stays what it is.
 */
function withRoles(block: Field[], registrants: Set<string>): Field[] {
  const plain = block.filter(field => field.role === 'domain');
  if (plain.some(field => DOMAIN_KEYS.has(field.key)))
    return block.filter(({ key, value }) => !(HANDLES.registrant.has(key) && registrants.has(value)));
  const handle = handleOf(plain);
  const ofHandle = handle && (registrants.has(handle.value) ? 'registrant' : 'other');
  const role = ofHandle ?? BLOCKS.get(plain[0]?.key ?? '');
  if (!role) return block;
  return block.flatMap(field => (field === handle ? [] : field.role === 'domain' ? [{ ...field, role }] : [field]));
}

function handleOf(fields: Field[]): Field | undefined {
  return HANDLES.objects.map(key => fields.find(field => field.key === key)).find(field => field !== undefined);
}
