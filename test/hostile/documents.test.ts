import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/config.ts';
import { isNestedTooDeep } from '../../src/json-depth.ts';
import { type Answerer, answerWith, documentOf, HostileWorld } from './hostile-world.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const HOSTILE = 'hostile';

const whole = Buffer.from(JSON.stringify({ _id: HOSTILE, name: HOSTILE, ...documentOf(HOSTILE) }));
const packed = gzipSync(whole);

/** Closes the connection in the middle of the announced body. */
const cut: Answerer = (_, response) => {
  response.writeHead(200, { ...JSON_TYPE, 'content-length': whole.length });
  response.write(whole.subarray(0, whole.length >> 1), () => response.socket?.destroy());
};

const HOSTILE_ANSWERS: [string, string, Answerer][] = [
  ['malformed JSON', 'malformed-json', answerWith('{"name": hostile}')],
  ['JSON that stops', 'malformed-json', answerWith(whole.subarray(0, -10))],
  ['an empty body', 'malformed-json', answerWith('')],
  ['bytes that are not UTF-8', 'malformed-json', answerWith(Buffer.from([0x22, 0xff, 0xfe, 0x22]))],
  ['HTML with status 200', 'not-json', answerWith('<!doctype html><p>Be right back', { 'content-type': 'text/html' })],
  ['HTML with a JSON content type', 'not-json', answerWith('<html></html>')],
  ['a list', 'wrong-shape', answerWith('[]')],
  ['null', 'wrong-shape', answerWith('null')],
  [
    'a document of another name',
    'name-mismatch',
    answerWith(JSON.stringify({ ...documentOf('x'), _id: 'x', name: 'x' })),
  ],
  ['a document without a name', 'name-mismatch', answerWith('{}')],
  ['gzip that stops', 'truncated', answerWith(packed.subarray(0, -30), { ...JSON_TYPE, 'content-encoding': 'gzip' })],
  ['a body that is not gzip', 'truncated', answerWith('not gzip at all', { ...JSON_TYPE, 'content-encoding': 'gzip' })],
  ['a connection that is cut', 'truncated', cut],
  ['a connection that is closed', 'timeout', (_, response) => void response.socket?.destroy()],
  ['status 500', 'http-500', (_, response) => void response.writeHead(500).end()],
  ['status 404', 'http-404', (_, response) => void response.writeHead(404).end('{}')],
];

describe('a document that is answered with', () => {
  it.each(HOSTILE_ANSWERS)(
    '%s is parked as %s, does not affect others, and is loaded once it is good',
    async (_, reason, answer) => {
      const hostile = await HostileWorld.start();
      hostile.answers.set(HOSTILE, answer);
      hostile.publish(['a', HOSTILE, 'b']);
      await hostile.followed();
      expect(hostile.parked).toEqual([{ key: HOSTILE, reason }]);
      expect(hostile.world.balance).toMatchObject({ changes: 3, rows: 2, parked: 1, balanced: true });
      expect(hostile.bucket.keys('npm/raw/')).toEqual(['a', 'b'].map(name => `npm/raw/${name}/latest.json`));
      hostile.answers.clear();
      await hostile.settle(() => hostile.parked.length === 0);
      await hostile.expectGoesOn({ rows: 3 });
      const late = (await hostile.rows()).filter(({ name }) => name === HOSTILE);
      expect(late).toMatchObject([{ _op: 'upsert', version: '1.0.0', _cursor: expect.stringMatching(/^\d+#1$/) }]);
    },
  );

  it('an endless chain of redirects with long addresses is parked, and does not affect others', async () => {
    const hostile = await HostileWorld.start();
    const location = (before: number) => `/${HOSTILE}?step=${before}&${'x'.repeat(12_000)}`;
    const answer: Answerer = (_, response, before) =>
      void response.writeHead(302, { location: location(before) }).end();
    hostile.answers.set(HOSTILE, answer);
    hostile.publish(['a', HOSTILE, 'b']);
    await hostile.followed();
    expect(hostile.parked).toEqual([{ key: HOSTILE, reason: 'http-302' }]);
    // Each attempt asks four times.
    expect(hostile.requestTimes.get(HOSTILE)!.length % 4).toBe(0);
    expect(JSON.stringify(hostile.world.parked).length).toBeLessThan(5_000);
    hostile.answers.clear();
    await hostile.settle(() => hostile.parked.length === 0);
    await hostile.expectGoesOn({ rows: 3 });
  });

  it('redirects to other servers is loaded from there, at the pace of hosts that only an answer names', async () => {
    const hostile = await HostileWorld.start();
    const names = ['x', 'y', 'z'];
    const location = (name: string) => `${hostile.feed.url}/${name}?moved`;
    for (const name of names) {
      const usual: Answerer = (_, response) =>
        void response.end(JSON.stringify({ _id: name, name, ...documentOf(name) }));
      const moved: Answerer = (_, response) => void response.writeHead(301, { location: location(name) }).end();
      hostile.answers.set(name, (request, ...rest) =>
        (request.url!.endsWith('?moved') ? usual : moved)(request, ...rest),
      );
    }
    hostile.publish(names);
    await hostile.expectGoesOn({ rows: 3 });
  });

  it('a body that hardly comes holds its slice for 10 s, not for each try of 20 s', async () => {
    const hostile = await HostileWorld.start();
    hostile.answers.set(HOSTILE, (_, response) => {
      response.writeHead(200, JSON_TYPE).write('{"_id":');
      hostile.hold(response);
    });
    hostile.publish(['a', HOSTILE, 'b']);
    await hostile.settle(() => hostile.world.balance.changes === 3);
    expect(hostile.world.clock.elapsedMs).toBeLessThan(15_000);
    expect(hostile.parked).toEqual([{ key: HOSTILE, reason: 'timeout' }]);
    hostile.answers.clear();
    await hostile.settle(() => hostile.parked.length === 0);
    await hostile.expectGoesOn({ rows: 3 });
  });

  it('malformed JSON for ever delays no other change, and is superseded by the next change of its name', async () => {
    const hostile = await HostileWorld.start();
    hostile.answers.set(HOSTILE, answerWith('{'));
    hostile.publish(['a', HOSTILE]);
    await hostile.followed();
    await hostile.pass(3_600_000);
    expect(hostile.parked).toEqual([{ key: HOSTILE, reason: 'malformed-json' }]);
    // The waits grow, so there are about eight attempts in the first hour.
    expect(hostile.requestTimes.get(HOSTILE)!.length).toBeGreaterThan(5);
    expect(hostile.requestTimes.get(HOSTILE)!.length).toBeLessThan(12);
    hostile.answers.clear();
    hostile.publish(HOSTILE);
    await hostile.expectGoesOn({ rows: 2, superseded: 1 });
  });
});

describe('a revision that is too high', () => {
  it.each([
    ['in the document', false],
    ['in the feed too', true],
  ])('%s does not keep the raw document from following the rows after it', async (_, inFeed) => {
    const hostile = await HostileWorld.start();
    const rev = (count: number) => `${count}-abc`;
    const documentAt = (count: number, version: string) =>
      documentOf(HOSTILE, { _rev: rev(count), versions: { [version]: { version } }, 'dist-tags': { latest: version } });
    const highest = Number.MAX_SAFE_INTEGER;
    hostile.publish(HOSTILE, { rev: rev(inFeed ? highest : 2), document: documentAt(highest, '2.0.0') });
    await hostile.followed();
    hostile.publish(HOSTILE, { rev: rev(3), document: documentAt(3, '3.0.0') });
    await hostile.expectGoesOn({ rows: 2 });
    const newestRow = (await hostile.rows()).filter(({ name }) => name === HOSTILE).at(-1);
    expect(newestRow).toMatchObject({ version: '3.0.0' });
    const raw = hostile.bucket.objects.get(`npm/raw/${HOSTILE}/latest.json`)!;
    expect(JSON.parse(Buffer.from(raw.bytes).toString())).toMatchObject({ _rev: rev(3) });
  });
});

describe('a document nested 120,000 deep', () => {
  const deep = `${'['.repeat(120_000)}${']'.repeat(120_000)}`;
  const reason = JSON.stringify({ reason: 'nested over 100 deep' });

  it.each([
    ['the document', `"extra":${deep}`, { dependencies: null }],
    ['its dependencies', `"versions":{"1.0.0":{"dependencies":{"x":${deep}}}}`, { dependencies: null }],
    ['a text of a column', `"description":${JSON.stringify(deep)}`, { description: reason }],
  ])('in %s has a row, and no column of it is deeper than 100', async (_, field, expected) => {
    const hostile = await HostileWorld.start();
    const head = `{"_id":"${HOSTILE}","name":"${HOSTILE}","dist-tags":{"latest":"1.0.0"}`;
    hostile.answers.set(HOSTILE, answerWith(`${head},${field}}`));
    hostile.publish(['a', HOSTILE]);
    await hostile.expectGoesOn({ rows: 2 });
    const row = (await hostile.rows()).find(({ name }) => name === HOSTILE)!;
    expect(row).toMatchObject(expected);
    for (const value of Object.values(row)) expect(isNestedTooDeep(String(value))).toBe(false);
  });

  it('of 101 levels has a note in their place, and of 100 has them', async () => {
    const hostile = await HostileWorld.start();
    const nested = (levels: number) => JSON.parse(`${'{"x":'.repeat(levels)}0${'}'.repeat(levels)}`) as unknown;
    for (const levels of [100, 101]) {
      const name = `deep-${levels}`;
      const versions = { '1.0.0': { name, version: '1.0.0', dependencies: nested(levels) } };
      hostile.publish(name, { document: documentOf(name, { versions }) });
    }
    await hostile.expectGoesOn({ rows: 2 });
    const columns = Object.fromEntries((await hostile.rows()).map(({ name, dependencies }) => [name, dependencies]));
    expect(columns['deep-100']).toBe(JSON.stringify(nested(100)));
    expect(columns['deep-101']).toBe(reason);
  });
});

describe('a row of 3 MB', () => {
  const MB = 1_000_000;

  it('loses its largest optional columns, which `data` names', async () => {
    const hostile = await HostileWorld.start();
    const fields = {
      description: 'd'.repeat(1.6 * MB),
      keywords: 'k'.repeat(1.2 * MB),
      homepage: 'h'.repeat(0.2 * MB),
    };
    hostile.publish('large-row', { document: documentOf('large-row', fields) });
    await hostile.expectGoesOn({ rows: 1 });
    const [row] = (await hostile.rows()).filter(({ name }) => name === 'large-row');
    expect(row).toMatchObject({ description: null, keywords: null, homepage: fields.homepage, version: '1.0.0' });
    expect(JSON.parse(String(row!.data))).toEqual({
      omitted: ['description', 'keywords'],
      reason: `the row was over ${LIMITS.rowBytesMax} bytes`,
    });
    // The document in the lake is whole.
    const raw = hostile.bucket.objects.get('npm/raw/large-row/latest.json')!;
    expect(JSON.parse(Buffer.from(raw.bytes).toString()).description).toHaveLength(1.6 * MB);
  });

  it('may be one of many, and a slice of them stays within its limit', async () => {
    const hostile = await HostileWorld.start();
    const names = Array.from({ length: 12 }, (_, index) => `large-${index}`);
    for (const name of names)
      hostile.publish(name, { document: documentOf(name, { description: name.repeat(90_000) }) });
    await hostile.expectGoesOn({ rows: 12 });
    expect(new Set((await hostile.rows()).map(({ name }) => name)).size).toBe(13);
  });
});

describe('a name', () => {
  it.each([
    ['of 2,000 bytes', 'x'.repeat(2_000)],
    ['of 700 characters in 2,100 bytes', '漢'.repeat(700)],
  ])('%s is at once a dead letter for key-too-long, and has no document in the lake', async (_, name) => {
    const hostile = await HostileWorld.start();
    hostile.publish(['a', name, 'b']);
    await hostile.followed();
    await hostile.pass(600_000);
    expect(hostile.world.engine.journal.parked.letters.find(2)).toMatchObject({ key: name, reason: 'key-too-long' });
    expect(hostile.bucket.keys('npm/raw/')).toHaveLength(2);
    await hostile.expectGoesOn({ rows: 2, dead: 1 });
  });

  it('that is hostile never mixes with another', async () => {
    const names = [
      '__proto__',
      'constructor',
      'a/b',
      '@a/b',
      'a%2Fb',
      'A',
      'a',
      ' ',
      '\u0000',
      '😀',
      'e\u0301',
      'é',
      "'",
    ];
    const hostile = await HostileWorld.start();
    hostile.publish(names);
    await hostile.expectGoesOn({ rows: names.length });
    expect((await hostile.rows()).map(({ name }) => name).sort()).toEqual([...names, 'comes-after'].sort());
    expect(new Set(hostile.bucket.keys('npm/raw/')).size).toBe(names.length + 1);
  });
});
