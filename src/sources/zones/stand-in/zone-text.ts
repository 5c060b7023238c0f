import { readData, type Word } from './data-text.ts';
import { type Name, readName } from './names.ts';
import { type DnsRecord, TYPES } from './record.ts';

/** The TTL of a record without one. */
const TTL_SECONDS = 3600;

/** TTLs have 31 bits (RFC 2181, section 8). */
const TTL_SECONDS_MAX = 2 ** 31 - 1;

/**
 * Reads records, one a line, as RFC 1035, section 5.1 has them: owner, TTL (or none), class (or none), type, data. `@` is
 * the domain, a name without a last dot is below it, `;` begins a comment. Directives and brackets are refused.
 */
export function readZone(text: string, domain: string): DnsRecord[] {
  const origin = readName(`${domain}.`, []);
  return text.split('\n').flatMap((line, index) => {
    try {
      const words = readWords(line);
      return words.length === 0 ? [] : [readRecord(words, origin)];
    } catch (error) {
      throw new Error(`${domain}, line ${index + 1}: ${(error as Error).message}`);
    }
  });
}

function readRecord([owner, ...rest]: Word[], origin: Name): DnsRecord {
  const words = [...rest];
  let ttl = TTL_SECONDS;
  if (/^\d+$/.test(words[0]?.text ?? '')) ttl = Number(words.shift()!.text);
  if (ttl > TTL_SECONDS_MAX) throw new Error(`zone text: expected a TTL of at most ${TTL_SECONDS_MAX}, got ${ttl}`);
  if (/^in$/i.test(words[0]?.text ?? '')) words.shift();
  const type = readType(words.shift()?.text ?? '');
  return { owner: readName(owner!.text, origin), ttl, type, data: readData(type, words, origin) };
}

/** A mnemonic in any case, or `TYPE` and a number (RFC 3597, section 5). */
function readType(text: string): number {
  const name = text.toUpperCase();
  const type = (TYPES as Record<string, number>)[name] ?? Number(/^TYPE(\d{1,5})$/.exec(name)?.[1]);
  if (!(type >= 0 && type < 65_536)) throw new Error(`zone text: expected a type, got ${text}`);
  return type;
}

/** The words of a line: between blanks, or between quotation marks, where blanks and semicolons have no meaning. */
function readWords(line: string): Word[] {
  if (/^\s+[^\s;]/.test(line)) throw new Error('zone text: expected an owner at the beginning of a line, got a blank');
  const words: Word[] = [];
  const word = /\s*(?:"((?:[^"\\]|\\.)*)"(?=\s|;|$)|;.*|((?:[^\s";\\]|\\.|(?<=[^\s"])"(?:[^"\\]|\\.)*")+))/sy;
  while (word.lastIndex < line.trimEnd().length) {
    const from = word.lastIndex;
    const match = word.exec(line);
    if (!match) throw new Error(`zone text: expected a word, got ${line.slice(from, from + 20)}`);
    const [, quoted, plain] = match;
    if (quoted !== undefined) words.push({ text: quoted, quoted: true });
    else if (plain !== undefined) words.push({ text: plain, quoted: false });
  }
  for (const { text, quoted } of words)
    if (!quoted && /(?<!\\)[()]|^\$/.test(text)) throw new Error(`zone text: expected a record a line, got ${text}`);
  return words;
}
