import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Answer } from '../../stand-in/faults.ts';
import { toBytes } from '../../stand-in/server.ts';
import {
  type Downloads,
  type HandMade,
  ORIGIN_PLACEHOLDER,
  type RecordedAnswer,
  type Recording,
  type Recordings,
  readRecording,
} from './recordings.ts';

/** Recordings larger than this are not copied under made-up names: thousands are to be asked for. */
const TEMPLATE_BYTES_MAX = 64 * 1024;
/** Stand where a template's name and revision were; no document holds them. */
const NAME_MARK = '\u0001name\u0001';
const REV_MARK = '\u0001rev\u0001';

/** Documents by name. `rev` is the newest the feed has shown; a document always says that one, or its own. */
export interface Documents {
  /** The answer to a request for a name, or null for a 404; a hand-made name's answers move on with each request. */
  answer(name: string, rev: string | undefined): Answer | null;
  /** The bytes of the last answer in time, or null where that is no 200. */
  newest(name: string, rev: string | undefined): Uint8Array | null;
  put(name: string, document: string | Uint8Array): void;
  remove(name: string): void;
  /** Undoes `remove`: the name is served as recorded again. */
  restore(name: string): void;
  /** The name's download counts, recorded or, for made-up names, computed. */
  downloads(name: string): Downloads | undefined;
}

/** What the documents of one replay are made of; `originalOf` says which recording a made-up name is a copy of. */
export interface DocumentsOptions {
  recordings: Recordings;
  origin: string;
  originalOf(name: string): string | null;
}

export function makeDocuments({ recordings, origin, originalOf }: DocumentsOptions): Documents {
  const texts = makeTexts({ recordings, origin, originalOf });
  const put = new Map<string, Uint8Array>();
  const removed = new Set<string>();
  const asked = new Map<string, number>();

  const written = (name: string, rev: string | undefined): Uint8Array | null => {
    if (removed.has(name)) return null;
    return put.get(name) ?? texts(name, rev);
  };
  const handMade = (name: string): HandMade | undefined =>
    put.has(name) || removed.has(name) ? undefined : recordings.handMade.get(name);
  const answerOf = (made: HandMade, place: number): Answer => {
    const recorded = made.faults[Math.min(place, made.faults.length - 1)]!;
    return readAnswer(recordings.folder, recorded, origin);
  };

  return {
    answer(name, rev) {
      const made = handMade(name);
      if (made) {
        const place = asked.get(name) ?? 0;
        asked.set(name, place + 1);
        return answerOf(made, place);
      }
      const body = written(name, rev);
      return body && { status: 200, body };
    },
    newest(name, rev) {
      const made = handMade(name);
      if (!made) return written(name, rev);
      const last = answerOf(made, made.faults.length);
      return last.status === 200 ? toBytes(last.body) : null;
    },
    put(name, document) {
      removed.delete(name);
      put.set(name, toBytes(document));
    },
    remove(name) {
      put.delete(name);
      removed.add(name);
    },
    restore: name => removed.delete(name),
    downloads: name =>
      recordings.downloads.get(name) ?? (originalOf(name) === null ? undefined : madeUpDownloads(name)),
  };
}

/** Writes recorded documents and copies of them, with the revision asked for; each recording is read once. */
function makeTexts({ recordings, origin, originalOf }: DocumentsOptions) {
  const texts = new Map<string, string>();
  const templates = new Map<string, string>();
  const textOf = (recording: Recording): string => {
    const { name } = recording;
    const text = texts.get(name) ?? readRecording(recordings.folder, recording).replaceAll(ORIGIN_PLACEHOLDER, origin);
    texts.set(name, text);
    return text;
  };
  const templateOf = (name: string): string => {
    const template = templates.get(name) ?? makeTemplate(textOf(recordings.packuments.get(name)!));
    templates.set(name, template);
    return template;
  };
  return (name: string, rev: string | undefined): Uint8Array | null => {
    const recording = recordings.packuments.get(name);
    if (recording) {
      const text = textOf(recording);
      // The first place where its revision stands is the document's second field.
      return toBytes(rev === undefined ? text : text.replace(inJson(recording.rev), () => inJson(rev)));
    }
    const original = originalOf(name);
    if (original === null || rev === undefined) return null;
    const copy = templateOf(original).replaceAll(inJson(NAME_MARK), () => inJson(name));
    return toBytes(copy.replace(inJson(REV_MARK), () => inJson(rev)));
  };
}

/** Names of the recordings that are copied under made-up names, in the order of the index. */
export function templateNames(recordings: Recordings): string[] {
  return [...recordings.packuments.values()].filter(({ bytes }) => bytes <= TEMPLATE_BYTES_MAX).map(({ name }) => name);
}

/** The name of the copy with this number, and the name it is a copy of. */
export function madeUpName(originals: string[], place: number): { name: string; original: string } {
  const original = originals[place % originals.length]!;
  return { name: `${original}-copy-${String(place + 1).padStart(4, '0')}`, original };
}

/** A revision as npm writes one: a count and a digest, here of the name and the count. */
export function madeUpRev(name: string, count: number): string {
  return `${count}-${createHash('md5').update(`${name} ${count}`).digest('hex')}`;
}

/** Two of three made-up names have counts, the third is unknown to the downloads API. */
function madeUpDownloads(name: string): Downloads {
  const hash = createHash('md5').update(name).digest().readUInt32BE(0);
  if (hash % 3 === 0) return { 'last-month': null, 'last-year': null };
  return { 'last-month': hash % 50_000, 'last-year': (hash % 50_000) * 11 };
}

/** The document's text with marks for its name, also in its versions, and for its revision. */
function makeTemplate(text: string): string {
  const document = JSON.parse(text) as { versions?: Record<string, Record<string, unknown>> } & Record<string, unknown>;
  Object.assign(document, { _id: NAME_MARK, _rev: REV_MARK, name: NAME_MARK });
  for (const [version, fields] of Object.entries(document.versions ?? {})) {
    Object.assign(fields, { name: NAME_MARK, _id: `${NAME_MARK}@${version}` });
  }
  return JSON.stringify(document);
}

function readAnswer(folder: string, recorded: RecordedAnswer, origin: string): Answer {
  const { bodyFile, ...answer } = recorded;
  if (bodyFile === undefined) return { body: '', ...answer };
  const text = readFileSync(path.join(folder, 'hand-made', bodyFile), 'utf8');
  return { ...answer, body: text.replaceAll(ORIGIN_PLACEHOLDER, origin) };
}

/** The text as it stands between the quotes of a JSON string. */
function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
