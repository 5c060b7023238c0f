import { expect, it } from 'vitest';
import { ChangeError } from '../../../src/errors.ts';
import { createPermits, ProbeLimit, REQUESTS_MAX } from '../../../src/local/probe/permits.ts';

const signal = new AbortController().signal;

it('permits to a host come at its pace, the first one of a host without a history', async () => {
  const hosts = { 'a.example': { requestsPerSecond: 50, burst: 10 } };
  const others = { requestsPerSecond: 1000, startRequestsPerSecond: 100, burst: 1 };
  const { permit } = createPermits({ pace: { hosts, others }, limits: { signal }, requests: {} });
  const startsOf = async (host: string) => [(await permit(host)).startAtMs, (await permit(host)).startAtMs];
  for (const [host, ms] of [
    ['a.example', 20],
    ['b.example', 10],
  ] as const) {
    const [first, second] = await startsOf(host);
    expect(second! - first!).toBe(ms);
    expect(Date.now()).toBeGreaterThanOrEqual(second! - 1);
  }
});

it('a host without a pace gets no permit', async () => {
  const { permit } = createPermits({ pace: { hosts: {} }, limits: { signal }, requests: {} });
  await expect(permit('a.example')).rejects.toThrow('a.example: expected a pace of the source for this host, got none');
});

it('the last permit leaves room for its repeated requests', async () => {
  const requests: Record<string, number> = {};
  const others = { requestsPerSecond: 1000, burst: 1 };
  const { permit, counted } = createPermits({ pace: { hosts: {}, others }, limits: { signal }, requests });
  const send = counted(
    (host: string) => host,
    host => host,
  );
  const repeat = async () => {
    for (let sent = 0; ; sent += 3) {
      await permit('a.example');
      for (let n = 0; n < 3; n++) send('a.example');
      expect(requests['a.example']).toBe(sent + 3);
    }
  };
  await expect(repeat()).rejects.toThrow(ProbeLimit);
  expect(requests['a.example']).toBeGreaterThan(REQUESTS_MAX - 3);
  expect(requests['a.example']).toBeLessThanOrEqual(REQUESTS_MAX);
});

it.each([
  ['does not answer', new ChangeError('unreachable', 'none')],
  ['is late', new ChangeError('timeout', 'late')],
  ['asks for fewer requests', new ChangeError('http-429', 'many', { status: 429 })],
  ['asks to wait', new ChangeError('http-503', 'wait', { status: 503, retryAfterMs: 1000 })],
])('a host that %s gets no further permit, and another host does', async (_, error) => {
  const others = { requestsPerSecond: 1000, burst: 1 };
  const { permit, failed } = createPermits({ pace: { hosts: {}, others }, limits: { signal }, requests: {} });
  await permit('a.example');
  failed(error);
  await expect(permit('a.example')).rejects.toBe(error);
  expect((await permit('b.example')).count).toBe(1);
});

it('a status that is about one key leaves its host open', async () => {
  const others = { requestsPerSecond: 1000, burst: 1 };
  const { permit, failed } = createPermits({ pace: { hosts: {}, others }, limits: { signal }, requests: {} });
  await permit('a.example');
  failed(new ChangeError('http-404', 'none', { status: 404 }));
  expect((await permit('a.example')).count).toBe(1);
});

it('a signal ends the waiting', async () => {
  const controller = new AbortController();
  const others = { requestsPerSecond: 0.01, burst: 1 };
  const { permit } = createPermits({
    pace: { hosts: {}, others },
    limits: { signal: controller.signal },
    requests: {},
  });
  await permit('a.example');
  const waiting = permit('a.example');
  controller.abort();
  await expect(waiting).rejects.toThrow(/abort/i);
  await expect(permit('b.example')).rejects.toThrow(/abort/i);
});
