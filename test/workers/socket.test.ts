import { connect } from 'cloudflare:sockets';
import { describe, expect, inject, it } from 'vitest';
import { createFetcher } from '../../src/sources/upstream/fetcher.ts';

const server = inject('textServer');

/** Sends a query as a Loader does, over the runtime's own connections. */
async function ask(query: string, { address = server, ms = 10_000 }: { address?: string; ms?: number } = {}) {
  const fetcher = createFetcher({
    contact: 'tests',
    connect,
    retryMsMin: 1,
    deadlineAtMs: Date.now() + ms,
    permits: [{ host: 'whois.example', count: 1, startAtMs: 0, intervalMs: 0 }],
  });
  const answer = await fetcher.askText(address, query, { subject: 'whois', permitHost: 'whois.example' }).then(
    bytes => new TextDecoder().decode(bytes),
    (error: unknown) => error,
  );
  return { answer, tallies: fetcher.tallies() };
}

describe('a connection of the worker’s runtime', () => {
  it('carries a query and its whole answer', async () => {
    const { answer, tallies } = await ask('example.test');
    expect(answer).toBe('question: example.test\r\n');
    expect(tallies).toMatchObject([{ requests: 1, errors: 0, statuses: { '2xx': 1 } }]);
    expect((await ask('parts')).answer).toBe('Domain Name: EXAMPLE.TEST\r\n');
  });

  it('that ends without an answer, or is reset, is truncated', async () => {
    for (const query of ['end', 'cut']) {
      const { answer, tallies } = await ask(query);
      expect(answer, query).toMatchObject({ name: 'ChangeError', reason: 'truncated' });
      expect(tallies, query).toMatchObject([{ requests: 3, errors: 3 }]);
    }
  });

  it('with too long an answer is too large', async () => {
    expect((await ask('flood')).answer).toMatchObject({ name: 'ChangeError', reason: 'too-large' });
  });

  it('to a closed port, or to a wrong address, is unreachable', async () => {
    for (const address of ['127.0.0.1:9', 'two words'])
      expect((await ask('example.test', { address })).answer).toMatchObject({ reason: 'unreachable' });
  });

  it('without an answer ends at the deadline', async () => {
    const { answer, tallies } = await ask('silence', { ms: 200 });
    expect(answer).toMatchObject({ name: 'StepError', kind: 'deadline' });
    expect(tallies).toMatchObject([{ requests: 1, errors: 0 }]);
  });
});
