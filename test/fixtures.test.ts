import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { makeScrubber } from '../src/sources/npm/stand-in/record.ts';
import {
  NPM_RECORDINGS,
  packumentFile,
  readRecording,
  readRecordings,
} from '../src/sources/npm/stand-in/recordings.ts';

const MiB = 1024 * 1024;
const recordings = readRecordings(NPM_RECORDINGS);
const packuments = [...recordings.packuments.values()];
/** Every text of the folder by file, packuments decompressed. */
const texts = new Map<string, string>();

beforeAll(() => {
  for (const recording of packuments) texts.set(recording.file, readRecording(NPM_RECORDINGS, recording));
  for (const entry of readdirSync(NPM_RECORDINGS, { recursive: true, withFileTypes: true })) {
    const file = path.relative(NPM_RECORDINGS, path.join(entry.parentPath, entry.name));
    if (entry.isFile() && !file.endsWith('.zst')) {
      texts.set(file, readFileSync(path.join(NPM_RECORDINGS, file), 'utf8'));
    }
  }
});

/** Put together from parts, so that no registry is named here either. */
const REGISTRY_HOSTS = [
  ...['npmjs', 'yarnpkg', 'npmmirror', 'taobao'].map(name => `${name}[.]`),
  'registry[.](?!invalid)[a-z0-9-]+',
  'npm[.](pkg|jsr)[.]',
];
/** Anything with an `@` between what could be a name and a host. */
const ADDRESS = /[\p{L}\d._%+'-]+@[\p{L}\d-]+(?:\.[\p{L}\d-]+)*\.\p{L}{2,}/gu;

test('recordings of npm hold at least 40 real packuments, 8 of them scoped, one over 4 MiB, two that differ in case only', () => {
  const names = packuments.map(({ name }) => name);
  expect(names.length).toBeGreaterThanOrEqual(40);
  expect(names.filter(name => name.startsWith('@')).length).toBeGreaterThanOrEqual(8);
  expect(packuments.some(({ bytes }) => bytes > 4 * MiB && bytes < 12 * MiB)).toBe(true);
  const folded = new Set(names.map(name => name.toLowerCase()));
  expect(folded.size).toBe(names.length - 1);
  expect(names).toEqual(expect.arrayContaining(['JSONStream', 'jsonstream']));
});

test('recordings of npm are what their index says', () => {
  for (const { name, file, rev, bytes } of packuments) {
    const text = texts.get(file)!;
    const document = JSON.parse(text) as Record<string, unknown>;
    expect(Buffer.byteLength(text), name).toBe(bytes);
    expect(document, name).toMatchObject({ _id: name, _rev: rev, name, 'dist-tags': { latest: expect.any(String) } });
    // The replay puts another revision in by replacing the first place where it stands.
    expect(text.indexOf(`"${rev}"`), name).toBe(text.indexOf('"_rev":') + '"_rev":'.length);
    expect(file).toBe(packumentFile(name));
  }
  const files = readdirSync(path.join(NPM_RECORDINGS, 'packuments')).map(file => `packuments/${file}`);
  expect(files.sort()).toEqual(packuments.map(({ file }) => file).sort());
  expect(new Set(files.map(file => file.toLowerCase())).size).toBe(files.length);
});

test('recordings of npm name no registry host', () => {
  const found = [...texts].flatMap(([file, text]) =>
    REGISTRY_HOSTS.flatMap(host => text.match(new RegExp(`${host}\\S{0,20}`, 'gi')) ?? []).map(
      hit => `${file}: ${hit}`,
    ),
  );
  expect(found).toEqual([]);
});

test('recordings of npm hold no address of a person', () => {
  const allowed = (address: string) =>
    address.startsWith('git@') || address.endsWith('@example.com') || /@v?\d+\.\d+\.\d+/.test(address);
  const found = [...texts].flatMap(([file, text]) =>
    (text.match(ADDRESS) ?? []).filter(address => !allowed(address)).map(address => `${file}: ${address}`),
  );
  expect(found).toEqual([]);
  expect([...texts.values()].join('').match(/person-\d+@example\.com/g)?.length).toBeGreaterThan(100);
});

test('recordings of npm have a feed with one row for each name, sparse rising numbers and the revision of each document', () => {
  const ids = recordings.feed.map(({ id }) => id);
  expect(ids.toSorted()).toEqual([...recordings.packuments.keys(), ...recordings.handMade.keys()].toSorted());
  expect(new Set(ids).size).toBe(ids.length);
  for (const [i, { seq, id, changes, deleted }] of recordings.feed.entries()) {
    const made = recordings.handMade.get(id);
    expect(changes, id).toEqual([{ rev: made?.rev ?? recordings.packuments.get(id)?.rev }]);
    expect(deleted, id).toBe(made?.deleted);
    if (i === 0) continue;
    const step = seq - recordings.feed[i - 1]!.seq;
    expect(step, id).toBeGreaterThanOrEqual(3);
    expect(step, id).toBeLessThanOrEqual(6);
  }
});

test('recordings of npm have invented downloads: at least three names over a million a year, some null, some missing', () => {
  const counts = packuments.map(({ name }) => recordings.downloads.get(name));
  expect(counts.filter(count => (count?.['last-year'] ?? 0) > 1_000_000).length).toBeGreaterThanOrEqual(3);
  expect(counts.some(count => count?.['last-year'] === null)).toBe(true);
  expect(counts.includes(undefined)).toBe(true);
});

test('recordings of npm have hand-made answers that are told of in their README and whose bodies are there', () => {
  const readme = texts.get('hand-made/README.md')!;
  for (const { name, about, faults } of recordings.handMade.values()) {
    expect(readme).toContain(`| \`${name}\` | ${about} |`);
    expect(faults.length, name).toBeGreaterThan(0);
    for (const { bodyFile } of faults) if (bodyFile) expect(texts.has(`hand-made/${bodyFile}`), bodyFile).toBe(true);
  }
});

const host = ['registry', 'example', 'org'].join('.');
const scrub = makeScrubber(`https://${host}:8443/`);

test('the scrubber replaces hosts of registries, its own with its port, and leaves other hosts', () => {
  expect(scrub({ tarball: `https://${host}:8443/one/-/one-1.0.0.tgz` })).toEqual({
    tarball: 'http://registry.invalid/one/-/one-1.0.0.tgz',
  });
  const other = ['npm', 'pkg', 'example', 'com'].join('.');
  expect(scrub([`see http://${other}/x`, 'https://github.com/npm/cli'])).toEqual([
    'see http://registry.invalid/x',
    'https://github.com/npm/cli',
  ]);
});

test('the scrubber gives one person one invented address wherever it stands, and whole fields that hold two', () => {
  const one = ['One.Person', 'mail.test'].join('@');
  const scrubbed = scrub({ author: `One <${one}>`, people: [{ email: one.toLowerCase() }], email: `${one}, ${one}` });
  expect(scrubbed).toEqual({
    author: 'One <person-0001@example.com>',
    people: [{ email: 'person-0001@example.com' }],
    email: 'person-0002@example.com',
  });
  expect(scrub(scrubbed)).toEqual(scrubbed);
});

test('the scrubber leaves repositories and versions, takes logins out of URLs and keeps odd keys', () => {
  const odd = JSON.parse('{"__proto__":"git@github.com:a/b.git","_id":"a@1.0.0-beta.one"}');
  expect(JSON.stringify(scrub(odd))).toBe(JSON.stringify(odd));
  const login = ['git+https://some.one:secret', 'github.com/a/b.git'].join('@');
  expect(scrub(['git+ssh://git@github.com/a/b.git', login])).toEqual([
    'git+ssh://git@github.com/a/b.git',
    'git+https://git@github.com/a/b.git',
  ]);
});
