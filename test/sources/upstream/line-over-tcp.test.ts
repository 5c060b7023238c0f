import type { Socket as NodeSocket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ChangeError } from '../../../src/errors.ts';
import { connect } from '../../../src/local/probe/connect.ts';
import type { FetcherOptions } from '../../../src/sources/upstream/fetcher.ts';
import type { Connect } from '../../../src/sources/upstream/line-over-tcp.ts';
import { startTextServer, type TextServer } from '../whois/text/text-server.ts';
import { failureOf, fetcherFor, manualTimer, NOW } from './fetcher.ts';

const ANSWER_BYTES_MAX = 256 * 1024;
const HOST = 'whois.example';

const open: TextServer[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function serve(answer: (socket: NodeSocket, question: string) => void): Promise<TextServer> {
  const server = await startTextServer(answer);
  open.push(server);
  return server;
}

function clientFor(server: { address: string }, options: Partial<FetcherOptions> = {}) {
  const fetcher = fetcherFor({ host: HOST }, { connect, ...options });
  const ask = (check?: (bytes: Uint8Array) => void) => {
    const checked = check ? { check } : {};
    return fetcher.askText(server.address, 'example.test', { subject: 'whois', permitHost: HOST, ...checked });
  };
  return { ask, tallies: () => fetcher.tallies() };
}

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe('a server of text', () => {
  it('gets one line, and its whole answer is returned', async () => {
    const server = await serve(socket => socket.end('Domain Name: EXAMPLE.TEST\r\n'));
    const { ask, tallies } = clientFor(server);
    expect(textOf(await ask())).toBe('Domain Name: EXAMPLE.TEST\r\n');
    expect(server.queries).toEqual(['example.test\r\n']);
    expect(tallies()).toEqual([
      {
        host: HOST,
        requests: 1,
        notModified: 0,
        throttled: 0,
        errors: 0,
        refused: 0,
        retryAfterMs: null,
        statuses: { '2xx': 1, '3xx': 0, '4xx': 0, '5xx': 0, none: 0 },
      },
    ]);
  });

  it('is counted by what the source makes of its answers, and by what it refuses', async () => {
    const answers = ['good', 'better', 'refused', 'strange'];
    const server = await serve(socket => socket.end(answers.shift()!));
    const fetcher = fetcherFor({ host: HOST }, { connect });
    const ask = () =>
      fetcher.askText(server.address, 'example.test', {
        subject: 'whois',
        permitHost: HOST,
        check: bytes => {
          if (textOf(bytes) === 'refused') throw new ChangeError('http-429', 'refused', { status: 429 });
          if (textOf(bytes) === 'strange') throw new ChangeError('wrong-shape', 'strange');
        },
        readingOf: bytes => (textOf(bytes) === 'good' ? 'whole' : 'part'),
      });
    await ask();
    await ask();
    await expect(ask()).rejects.toThrow('refused');
    await expect(ask()).rejects.toThrow('strange');
    expect(fetcher.tallies()[0]).toMatchObject({
      throttled: 1,
      readings: { [server.address]: { whole: 1, part: 1, refused: 1, unknown: 1 } },
    });
  });

  it('may answer in many small parts that split letters', async () => {
    const whole = Buffer.from('Domain Name: EXAMPLE.TEST\r\nRegistrant: Käthe Größe\r\n'.repeat(20));
    const server = await serve(async socket => {
      socket.setNoDelay(true);
      for (let at = 0; at < whole.length; at += 7) {
        await new Promise<unknown>(resolve => socket.write(whole.subarray(at, at + 7), resolve));
        await new Promise(resolve => setImmediate(resolve));
      }
      socket.end();
    });
    expect(Buffer.from(await clientFor(server).ask()).equals(whole)).toBe(true);
  });

  it('does not see our end closed before its answer', async () => {
    let ended = false;
    const server = await serve(async socket => {
      socket.on('end', () => {
        ended = true;
      });
      for (let turn = 0; turn < 100; turn++) await new Promise(resolve => setImmediate(resolve));
      socket.end(`ended: ${ended}`);
    });
    expect(textOf(await clientFor(server).ask())).toBe('ended: false');
  });

  it('may answer with 256 KiB, and not a byte more', async () => {
    const whole = await serve(socket => socket.end(Buffer.alloc(ANSWER_BYTES_MAX, 'a')));
    expect(await clientFor(whole).ask()).toHaveLength(ANSWER_BYTES_MAX);
    const longer = await serve(socket => socket.end(Buffer.alloc(ANSWER_BYTES_MAX + 1, 'a')));
    const { ask, tallies } = clientFor(longer);
    expect(await failureOf(ask())).toMatchObject({ reason: 'too-large', status: null });
    expect(longer.queries).toHaveLength(1);
    expect(tallies()).toMatchObject([{ requests: 1, errors: 0, statuses: { '2xx': 1, none: 0 } }]);
  });

  it('that never ends is left once it sent too much', async () => {
    const closed = Promise.withResolvers<void>();
    const server = await serve(socket => {
      socket.on('close', () => closed.resolve());
      const more = () => socket.write(Buffer.alloc(64 * 1024, 'a'), error => (error ? undefined : more()));
      more();
    });
    expect(await failureOf(clientFor(server).ask())).toMatchObject({ reason: 'too-large' });
    await closed.promise;
  });

  it('that ends the connection without an answer is truncated, after two more tries', async () => {
    const server = await serve(socket => socket.end());
    const { ask, tallies } = clientFor(server);
    const error = await failureOf(ask());
    expect(error).toMatchObject({ reason: 'truncated' });
    expect(error.message).toMatch(/^whois: expected a whole body, .*without an answer$/);
    expect(tallies()).toMatchObject([{ requests: 3, errors: 3, statuses: { '2xx': 0, none: 3 } }]);
  });

  it('whose connection is cut is truncated, and tried again', async () => {
    let before = 0;
    const server = await serve(socket => {
      before += 1;
      if (before === 1) socket.write('Domain Na', () => socket.resetAndDestroy());
      else socket.end('Domain Name: EXAMPLE.TEST');
    });
    const { ask, tallies } = clientFor(server);
    expect(textOf(await ask())).toBe('Domain Name: EXAMPLE.TEST');
    expect(tallies()).toMatchObject([{ requests: 2, errors: 1, statuses: { '2xx': 1, none: 1 } }]);
  });

  it('that does not listen is unreachable', async () => {
    const server = await startTextServer(() => {});
    await server.close();
    const { ask, tallies } = clientFor(server);
    const error = await failureOf(ask());
    expect(error).toMatchObject({ reason: 'unreachable' });
    expect(error.message).toMatch(/^whois: expected an answer, got no connection: .*ECONNREFUSED/);
    expect(tallies()).toMatchObject([{ requests: 3, errors: 3 }]);
  });

  it('whose address the runtime refuses is unreachable', async () => {
    const refuse: Connect = () => {
      throw new TypeError('Specified address is empty string, contains unsupported characters or is too long.');
    };
    const { ask } = clientFor({ address: HOST }, { connect: refuse });
    expect(await failureOf(ask())).toMatchObject({ reason: 'unreachable' });
  });

  it('is connected to at port 43 where it names no other', async () => {
    const addresses: unknown[] = [];
    const refuse: Connect = address => {
      addresses.push(address);
      throw new Error('not today');
    };
    await failureOf(clientFor({ address: HOST }, { connect: refuse }).ask());
    expect(addresses[0]).toEqual({ hostname: HOST, port: 43 });
  });
});

describe('an answer that only refuses the caller', () => {
  it('counts as throttled, with its time to wait, and the request is not repeated', async () => {
    const server = await serve(socket => socket.end('limit exceeded'));
    const { ask, tallies } = clientFor(server);
    const refused = new ChangeError('http-429', 'whois: expected an answer', { status: 429, retryAfterMs: 60_000 });
    const error = await failureOf(
      ask(bytes => {
        expect(textOf(bytes)).toBe('limit exceeded');
        throw refused;
      }),
    );
    expect(error).toBe(refused);
    expect(tallies()).toMatchObject([
      { requests: 1, throttled: 1, errors: 0, retryAfterMs: 60_000, statuses: { '2xx': 0, '4xx': 1 } },
    ]);
  });
});

describe('time', () => {
  it('up for an answer is a timeout, after two more tries, and leaves no connection', async () => {
    const clock = manualTimer();
    let ended = 0;
    const all = Promise.withResolvers<void>();
    const server = await serve(socket => {
      socket.on('end', () => {
        ended += 1;
        if (ended === 3) all.resolve();
      });
      clock.expire();
    });
    const { ask, tallies } = clientFor(server, { timer: clock.timer });
    expect(await failureOf(ask())).toMatchObject({ reason: 'timeout' });
    expect(clock.timesMs).toEqual([20_000, 20_000, 20_000]);
    expect(tallies()).toMatchObject([{ requests: 3, errors: 3, statuses: { none: 3 } }]);
    await all.promise;
  });

  it('up in the middle of an answer is a timeout too', async () => {
    const clock = manualTimer();
    const server = await serve(socket => socket.write('Domain Na', () => clock.expire()));
    expect(await failureOf(clientFor(server, { timer: clock.timer }).ask())).toMatchObject({ reason: 'timeout' });
  });

  it('up before the connection is open is a timeout too', async () => {
    const clock = manualTimer();
    const hang: Connect = address => {
      clock.expire();
      return { ...connect(address), opened: new Promise(() => {}) };
    };
    const server = await serve(socket => socket.end('never read'));
    const { ask } = clientFor(server, { timer: clock.timer, connect: hang });
    expect(await failureOf(ask())).toMatchObject({ reason: 'timeout' });
  });

  it('up for the call is our own deadline', async () => {
    const clock = manualTimer();
    const server = await serve(() => clock.expire());
    const times = { timer: clock.timer, now: () => NOW, deadlineAtMs: NOW + 5_000 };
    const { ask, tallies } = clientFor(server, times);
    await expect(ask()).rejects.toMatchObject({ name: 'StepError', kind: 'deadline' });
    expect(clock.timesMs).toEqual([5_000]);
    expect(tallies()).toMatchObject([{ requests: 1, errors: 0 }]);
  });
});

describe('a fault of our own', () => {
  it('is a query of two lines, no permit, or no function that connects', async () => {
    const server = await serve(socket => socket.end('never asked'));
    const ask = (query: string, options: Partial<FetcherOptions>, permitHost = HOST) =>
      fetcherFor({ host: HOST }, options).askText(server.address, query, { subject: 'whois', permitHost });
    for (const request of [ask('a\r\nb', { connect }), ask('a', { connect }, 'other.example'), ask('a', {})])
      await expect(request).rejects.toMatchObject({
        name: 'Error',
        message: expect.stringMatching(/^whois: expected/),
      });
    expect(server.queries).toEqual([]);
  });
});
