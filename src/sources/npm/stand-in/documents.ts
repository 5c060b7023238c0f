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

/** Larger recordings are not copied under made-up names, because a test may request thousands of copies. */
const TEMPLATE_BYTES_MAX = 64 * 1024;
/** Replace the name and the revision in a template; no document has these texts. */
const NAME_MARK = '\u0001name\u0001';
const REV_MARK = '\u0001rev\u0001';

/** Documents by name. `rev` is the newest revision that the feed has shown of the name; undefined leaves the recorded one. */
export interface Documents {
  /** The answer to a request for a name, null for a 404. Each request for a hand-made name gets its next answer. */
  answer(name: string, rev: string | undefined): Answer | null;
  /** The bytes of the name's last answer; null where its status is not 200. */
  newest(name: string, rev: string | undefined): Uint8Array | null;
  put(name: string, document: string | Uint8Array): void;
  remove(name: string): void;
  /** Undoes `remove`: the name is served as recorded again. */
  restore(name: string): void;
  /** The name's download counts: recorded ones, or computed ones of a made-up name. */
  downloads(name: string): Downloads | undefined;
}

/** `originalOf` returns the recorded name that a made-up name is a copy of. */
export interface DocumentsOptions {
  recordings: Recordings;
  origin: string;
  originalOf(name: string): string | null;
}

export function makeDocuments({ recordings, origin, originalOf }: DocumentsOptions): Documents {
  const texts = makeTexts({ recordings, origin, originalOf });
  const put = new Map<string, Uint8Array>();
  const removed = new Set<string>();
  const requestCounts = new Map<string, number>();

  const bytesOf = (name: string, rev: string | undefined): Uint8Array | null => {
    if (removed.has(name)) return null;
    return put.get(name) ?? texts(name, rev);
  };
  const handMadeOf = (name: string): HandMade | undefined =>
    put.has(name) || removed.has(name) ? undefined : recordings.handMade.get(name);
  const answerOf = ({ faults }: HandMade, index: number): Answer => {
    const recorded = faults[Math.min(index, faults.length - 1)]!;
    return readAnswer(recordings.folder, recorded, origin);
  };

  return {
    answer(name, rev) {
      const handMade = handMadeOf(name);
      if (handMade) {
        const index = requestCounts.get(name) ?? 0;
        requestCounts.set(name, index + 1);
        return answerOf(handMade, index);
      }
      const body = bytesOf(name, rev);
      return body && { status: 200, body };
    },
    newest(name, rev) {
      const handMade = handMadeOf(name);
      if (!handMade) return bytesOf(name, rev);
      const last = answerOf(handMade, handMade.faults.length);
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

/** Returns recorded documents and copies of them with a given revision; each recording is read once. */
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
      // The first occurrence of the revision is in the document's second field.
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

/** The name of the copy with this index, and the name that it is a copy of. */
export function madeUpName(originals: string[], index: number): { name: string; original: string } {
  const original = originals[index % originals.length]!;
  return { name: `${original}-copy-${String(index + 1).padStart(4, '0')}`, original };
}

/** A revision in npm's form: a count and a digest, here of the name and the count. */
export function madeUpRev(name: string, count: number): string {
  return `${count}-${createHash('md5').update(`${name} ${count}`).digest('hex')}`;
}

/** Two of three made-up names have counts; the downloads API does not know the third. */
function madeUpDownloads(name: string): Downloads {
  const hash = createHash('md5').update(name).digest().readUInt32BE(0);
  if (hash % 3 === 0) return { 'last-month': null, 'last-year': null };
  return { 'last-month': hash % 50_000, 'last-year': (hash % 50_000) * 11 };
}

/** The document's text with marks in place of its revision and its name, also of the name in its versions. */
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

/** The text between the quotes of its JSON string. */
function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
