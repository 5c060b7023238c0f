import { describe, expect, it } from 'vitest';
import { TABLES } from '../../schemas/index.ts';
import { readSettings } from '../../src/config.ts';
import { streamPort } from '../../src/worker/streams.ts';

const record = { name: 'a', _lsn: 1, _op: 'upsert' };

function portOf(setting: string, env: Record<string, unknown> = {}) {
  const { streams } = readSettings({ STREAMS: setting });
  return streamPort({ streams, tables: TABLES, env });
}

/** The error of a send when the binding throws this. */
async function failure(thrown: unknown) {
  const send = () => Promise.reject(thrown);
  return portOf('npm_package=S', { S: { send } })
    .send('S', [record])
    .catch(error => error);
}

describe('the setting STREAMS', () => {
  it('is none by default', () => {
    expect(readSettings({}).streams).toEqual({});
  });

  it('names a binding for each table', () => {
    const { streams } = readSettings({ STREAMS: 'npm_package=NPM_STREAM,domain=DOMAINS' });
    expect(streams).toEqual({ npm_package: 'NPM_STREAM', domain: 'DOMAINS' });
  });

  it.each(['npm_package', 'npm_package=', '=S', 'npm_package>S', 'npm_package=S;domain=T', 'npm_package=1'])(
    'is not %j',
    setting => {
      expect(() => portOf(setting)).toThrow(/^STREAMS: expected <table>=<binding/);
    },
  );

  it.each([
    ['npm_package=S,npm_package=T', 'each table once, got npm_package twice'],
    // A stream has one schema, and two tables have two.
    ['npm_package=S,domain=S', 'each binding once, got S twice'],
    ['nothing=S', /tables out of npm_package,.*, got nothing$/],
    ['npm_package=S', 'got S, which is none'],
    ['npm_package=TEXT', 'got TEXT, which is string'],
    ['npm_package=BUCKET', 'got BUCKET, which is object'],
    ['npm_package=toString', 'got toString, which is none'],
  ])('%s is refused when the object is created, with the reason %s', (setting, expected) => {
    expect(() => portOf(setting, { TEXT: 'x', BUCKET: { put: () => undefined } })).toThrow(expected);
  });
});

describe('a stream’s binding', () => {
  it('gets the records', async () => {
    const sent: unknown[] = [];
    const binding = {
      async send(records: unknown[]) {
        expect(this).toBe(binding);
        sent.push(...records);
      },
    };
    await portOf('npm_package=S', { S: binding }).send('S', [record]);
    expect(sent).toEqual([record]);
  });

  it.each([400, 413, 415, 422])('refuses records with status %i', async status => {
    expect(await failure(Object.assign(new Error('no'), { status }))).toMatchObject({ kind: 'stream-refused' });
  });

  it('refuses records that cannot be cloned', async () => {
    expect(await failure(new DOMException('a value', 'DataCloneError'))).toMatchObject({ kind: 'stream-refused' });
  });

  it.each([401, 404, 429, 500, 503, undefined, '400 or so'])('fails with status %s', async status => {
    const error = await failure(Object.assign(new Error('no'), { status }));
    expect(error).toMatchObject({ kind: 'stream-failed', retryAfterMs: null });
  });

  it.each([
    [7, 7_000],
    ['7', 7_000],
    [0, null],
    [-1, null],
    ['soon', null],
  ])('with retryAfter %s asks to wait %s ms', async (retryAfter, retryAfterMs) => {
    expect(await failure(Object.assign(new Error('no'), { status: 429, retryAfter }))).toMatchObject({ retryAfterMs });
  });

  it.each([null, undefined, 'text', 7])('may throw %j', async thrown => {
    expect(await failure(thrown)).toMatchObject({ kind: 'stream-failed' });
  });

  it('shows no value of a row in its error', async () => {
    const error = await failure(Object.assign(new Error('field name: got "left-pad"'), { status: 400 }));
    expect(error.message).toBe('S: expected the records to be taken, got Error with status 400');
  });
});
