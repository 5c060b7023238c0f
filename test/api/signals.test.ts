import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { ApiEnv } from '../../src/api/env.ts';
import { createApi } from '../../src/api/router.ts';
import { LIMITS } from '../../src/config.ts';
import type { SourceStub } from '../../src/contract/objects.ts';
import type { Signal } from '../../src/contract/signals.ts';
import { isSigned } from '../../src/digest.ts';
import { npm } from '../../src/sources/npm/npm.ts';
import type { SignalReading, Signals } from '../../src/sources/source.ts';
import { whois } from '../../src/sources/whois/whois.ts';

const SECRET = 'a secret of the toy';
const PATH = '/v1/sources/whois/signals';

/** Signals as those of a webhook: a JSON list of keys, signed as a whole. */
const toySignals: Signals<{ secret: string }> = {
  verify({ headers, body }, { secret }) {
    if (!isSigned(body, { secret, signature: headers.get('x-signature') ?? '' }))
      return { refused: 'unsigned', message: 'expected a signature in x-signature, got none that fits' };
    const id = headers.get('x-delivery');
    if (!id) return { refused: 'unreadable', message: 'expected an id in x-delivery, got none' };
    return { id, keys: keysIn(body) } as SignalReading;
  },
};

function keysIn(body: Uint8Array): string[] {
  try {
    const list: unknown = JSON.parse(Buffer.from(body).toString());
    return Array.isArray(list) ? list.filter(one => typeof one === 'string') : [];
  } catch {
    return [];
  }
}

/** The API over whois with signals, whose object takes the signals `taken`. */
function signalled({ verify = toySignals.verify }: { verify?: Signals<{ secret: string }>['verify'] } = {}) {
  const taken: Signal[] = [];
  const stub = {
    async signal(signal: Signal) {
      taken.push(signal);
      return { due: signal.keys.length, ignored: signal.unread, repeated: false };
    },
  };
  const env = {
    SOURCES_NS: { getByName: () => stub as unknown as SourceStub },
    CATALOG_NS: { getByName: () => expect.fail('expected no call of the catalog object') },
    ADMIN_TOKEN: 'token-of-the-worker-tests',
    READ_TOKEN: 'another-token-of-the-tests',
    TOY_SECRET: SECRET,
  } as ApiEnv;
  const settings = (given: Record<string, unknown>) => ({ secret: String(given.TOY_SECRET) });
  const source = { ...whois, settings, agenda: { ...whois.agenda, signals: { verify } } };
  const api = createApi({ sources: [npm, source] as never, tables: [], log: () => undefined });
  async function ask(body: BodyInit | null, { path = PATH, headers = {}, method = 'POST' }: Asked = {}) {
    const init = { method, headers, ...(body !== null && { body, duplex: 'half' }) } as RequestInit;
    const response = await api.fetch(new Request(`http://lake.test${path}`, init), env);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }
  const send = (body: Uint8Array | string, { id = 'delivery' } = {}) =>
    ask(body, { headers: { 'x-signature': signatureOf(body), 'x-delivery': id } });
  return { ask, send, taken };
}

interface Asked {
  path?: string;
  method?: string;
  headers?: Record<string, string>;
}

const signatureOf = (body: Uint8Array | string) => createHmac('sha256', SECRET).update(body).digest('hex');

describe('a signal', () => {
  it('needs no token, and gives its keys to the object in canonical form, each once', async () => {
    const { send, taken } = signalled();
    const { status, body } = await send('["Example.COM", "www.example.com", "b.example.org", "co.uk", ""]');
    expect(status).toBe(200);
    expect(body).toEqual({ source: 'whois', due: 2, ignored: 2, repeated: false });
    expect(taken).toEqual([{ id: expect.stringMatching(/^\S{22}$/), keys: ['example.com', 'example.org'], unread: 2 }]);
  });

  it('has one id for one delivery, of a size that no sender decides', async () => {
    const { send, taken } = signalled();
    for (const id of ['a', 'b', 'a', 'x'.repeat(7_000)]) await send('[]', { id });
    const ids = taken.map(({ id }) => id);
    expect(ids[2]).toBe(ids[0]);
    expect(new Set(ids).size).toBe(3);
    expect(ids.every(({ length }) => length === 22)).toBe(true);
  });

  it('with too many keys, or too long ones, gives as many as one transaction takes', async () => {
    const { send, taken } = signalled();
    const many = Array.from({ length: LIMITS.signalKeysMax + 7 }, (_, index) => `d${index}.example.com`);
    many[0] = 'x'.repeat(100_000);
    const { body } = await send(JSON.stringify(many.map(name => name.replace('.example', '-example'))));
    expect(body).toMatchObject({ due: LIMITS.signalKeysMax - 1, ignored: 8 });
    expect(taken[0]!.keys).toHaveLength(LIMITS.signalKeysMax - 1);
  });
});

describe('a request that is no signal', () => {
  it('of a source without signals, or of none, is refused', async () => {
    const { ask } = signalled();
    expect(await ask('[]', { path: '/v1/sources/npm/signals' })).toMatchObject({
      status: 404,
      body: { error: { code: 'not_found', message: 'npm takes no signals.', hint: 'Signals are taken by: whois.' } },
    });
    expect(await ask('[]', { path: '/v1/sources/nothing/signals' })).toMatchObject({ status: 404 });
    expect(await ask(null, { method: 'GET' })).toMatchObject({
      status: 405,
      body: { error: { code: 'method_not_allowed', hint: 'Use POST.' } },
    });
  });

  it('with another signature, or none, is refused and reaches no object', async () => {
    const { ask, taken } = signalled();
    const wrong = [{}, { 'x-signature': signatureOf('[ ]') }, { 'x-signature': 'x' }, { authorization: 'Bearer x' }];
    for (const headers of wrong as Record<string, string>[]) {
      const { status, body } = await ask('[]', { headers: { 'x-delivery': 'a', ...headers } });
      expect(status).toBe(401);
      expect(body.error).toMatchObject({
        code: 'unauthorized',
        message: 'signal: expected a signature in x-signature, got none that fits',
        hint: expect.stringContaining('secret'),
      });
      expect(JSON.stringify(body)).not.toContain(SECRET);
    }
    expect(taken).toEqual([]);
  });

  it('that is signed and cannot be read is refused with what was expected', async () => {
    const { ask } = signalled();
    const { status, body } = await ask('[]', { headers: { 'x-signature': signatureOf('[]') } });
    expect(status).toBe(400);
    expect(body.error).toMatchObject({
      code: 'invalid_body',
      message: 'signal: expected an id in x-delivery, got none',
    });
  });

  it('without a body, or with bytes that are no text, is answered', async () => {
    const { ask, send } = signalled();
    expect((await ask(null)).status).toBe(401);
    for (const body of [new Uint8Array([0xff, 0xfe, 0]), randomBytes(10_000), 'null', '{"a":', '[[[]]]', '\0'])
      expect((await send(body)).status).toBe(200);
  });
});

describe('the body of a signal', () => {
  it('is read up to its limit and no further', async () => {
    const { ask, taken } = signalled({ verify: () => expect.fail('expected the request to be refused before') });
    let sent = 0;
    let isCancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 100_000;
        controller.enqueue(new Uint8Array(100_000));
      },
      cancel() {
        isCancelled = true;
      },
    });
    const { status, body: answered } = await ask(body);
    expect(status).toBe(413);
    expect(answered.error).toMatchObject({
      code: 'too_large',
      message: `body: expected at most ${LIMITS.signalBytesMax} bytes, got more`,
    });
    expect(sent).toBeLessThan(LIMITS.signalBytesMax + 500_000);
    expect(isCancelled).toBe(true);
    expect(taken).toEqual([]);
  });

  it('of just its limit is taken, byte by byte as it came', async () => {
    const bytes = randomBytes(LIMITS.signalBytesMax);
    let read: Uint8Array | undefined;
    const { ask } = signalled({
      verify({ body }) {
        read = body;
        return { id: 'a', keys: [] };
      },
    });
    expect((await ask(bytes)).status).toBe(200);
    expect(Buffer.compare(read!, bytes)).toBe(0);
  });

  it('that breaks off is refused', async () => {
    const { ask } = signalled();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new Uint8Array(10));
        controller.error(new Error('gone'));
      },
    });
    expect(await ask(body)).toMatchObject({ status: 400, body: { error: { code: 'invalid_body' } } });
  });
});
