import { toAscii } from '../../names/domain.ts';

/** No server's statement is longer; the rest of a longer sentence or line is not read. */
const SENTENCE_LENGTH_MAX = 300;

/** Prose is wrapped at 60 characters and more; a shorter line that does not end a sentence is a line of its own. */
const WRAPPED_LENGTH_MIN = 40;

/** A sentence of an answer, and where it begins. */
export interface Sentence {
  /**
   * In lower case, without accents, with single spaces in place of punctuation except commas. `DOMAIN` stands for the
   * queried domain, `IP` for an address.
   */
  words: string;
  /** The words of its paragraph. */
  paragraph: string;
}

interface Line {
  plain: string;
  isComment: boolean;
}

/** Words after which a sentence goes on in the next line. */
const OPEN_END =
  /(,|\b(the|an?|of|to|for|in|and|or|by|with|that|this|your|our|is|are|be|has|have|on|from|as|not|if))$/i;

/**
 * The sentences of a text without its lines of data. Sentences over several lines are joined where the next line goes on
 * in lower case or the line before ends in the middle of a phrase. With `wrappedOnly` that counts only behind a line as
 * long as wrapped prose, because a short line above a statement is a title.
 */
export function sentencesOf(
  text: string,
  { domain, isData, wrappedOnly }: { domain: string; isData: (line: number) => boolean; wrappedOnly: boolean },
): Sentence[] {
  const sentences: Sentence[] = [];
  let paragraph: string[] = [];
  let before: Line | null = null;
  const endParagraph = () => {
    const parts = paragraph.flatMap(segment => segment.split(SENTENCE_END)).map(part => wordsOf(part, domain));
    const words = parts.join(' ').slice(0, SENTENCE_LENGTH_MAX);
    for (const part of parts) if (part !== '') sentences.push({ words: part, paragraph: words });
    paragraph = [];
    before = null;
  };
  for (const [n, raw] of text.split('\n').entries()) {
    const line = plainLine(raw);
    if (line.plain === '' || isData(n)) {
      endParagraph();
      continue;
    }
    if (before && goesOn(before, line, wrappedOnly) && paragraph.at(-1)!.length < SENTENCE_LENGTH_MAX)
      paragraph.push(`${paragraph.pop()} ${line.plain}`);
    else paragraph.push(line.plain);
    before = line;
  }
  endParagraph();
  return sentences;
}

const SENTENCE_END = /[.;!?]+(?=\s|$)|[。！？；]/;

/** A line from its first letter or digit, cut to the length of a sentence. */
function plainLine(raw: string): Line {
  const line = raw.slice(0, SENTENCE_LENGTH_MAX);
  const plain = line.replace(/^[^\p{L}\p{N}]+/u, '').trimEnd();
  return { plain, isComment: /^\s*[%#;]/.test(line) };
}

function goesOn(before: Line, line: Line, wrappedOnly: boolean): boolean {
  if (before.isComment !== line.isComment || /[.;!?:。！？；]["')\]]*$/.test(before.plain)) return false;
  if (wrappedOnly && before.plain.length < WRAPPED_LENGTH_MIN) return false;
  return /^\p{Ll}/u.test(line.plain) || OPEN_END.test(before.plain);
}

/** Where some servers repeat the domain without its registry: `No match for "EXAMPLE"`. */
const LABEL_ALONE = /(\bfor (?:domain )?["'<(]?)([a-z0-9-]+)(?=["'>)]?\s*$)/;

function wordsOf(part: string, domain: string): string {
  const lower = part.slice(0, SENTENCE_LENGTH_MAX).toLowerCase();
  return lower
    .replaceAll(domain, ' DOMAIN ')
    .replace(LABEL_ALONE, (found, before: string, label: string) =>
      domain.startsWith(`${label}.`) ? `${before} DOMAIN ` : found,
    )
    .replace(/[^\s"'()[\]<>,:;]*[^\p{ASCII}\s][^\s"'()[\]<>,:;]*/gu, word =>
      isDomain(word, domain) ? ' DOMAIN ' : plain(word),
    )
    .replace(/\b\d{1,3}(\.\d{1,3}){3}\b/g, ' IP ')
    .replace(/[^\p{L}\p{M}\p{N},]+/gu, ' ')
    .replace(/ ?, ?/g, ' , ')
    .trim();
}

/** Whether a word with other than ASCII letters is the Unicode form of the domain. */
function isDomain(word: string, domain: string): boolean {
  return word.includes('.') && !/[/?#@\\%]/.test(word) && toAscii(word.replace(/\.$/, '')) === domain;
}

/** A word without the accents of Latin letters; other scripts keep their marks. */
export function plain(word: string): string {
  return word.replace(/[\u00c0-\u024f\u1e00-\u1eff]/g, letter => letter.normalize('NFD').replace(/\p{M}/gu, ''));
}
