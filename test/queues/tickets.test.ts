import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/config.ts';
import { StepError } from '../../src/errors.ts';
import type { LoadPort } from '../../src/ports/loader.ts';
import type { ClockPort } from '../../src/ports/platform.ts';
import type { Admitted, AdmittedCall, HandedBack } from '../../src/ports/queues.ts';
import { consumeTickets, type TicketObject } from '../../src/queues/tickets.ts';

const NEVER = new Promise<never>(() => undefined);

/** A clock whose deadlines pass at once for a call that never ends; notes how long each call was allowed. */
function impatientClock(allowed: number[]): Pick<ClockPort, 'now' | 'within'> {
  return {
    now: () => 0,
    within(work, ms, subject) {
      allowed.push(ms);
      const late = new Promise<never>((_, reject) => {
        setImmediate(() => setImmediate(() => reject(new StepError('deadline', `${subject}: late`))));
      });
      return Promise.race([work, late]);
    },
  };
}

function admittedCall(alone: boolean, numbers: number[]): AdmittedCall {
  const grants = numbers.map(changeNumber => ({
    ticket: { changeNumber, attempt: 0 },
    change: { key: `key-${changeNumber}`, cursor: String(changeNumber), deleted: false, revision: null, skip: null },
    lastLsn: 0,
    documentBytes: null,
  }));
  return { alone, grants, permits: [] };
}

/** Consumes one ticket of a source whose parts hang where the options say so. */
async function consume({
  admitted,
  hangs,
}: {
  admitted: Admitted;
  hangs: ('admit' | 'prepare' | 'load' | 'ping' | 'takeBack')[];
}) {
  const handedBack: HandedBack[] = [];
  const allowed: number[] = [];
  const counts = { acked: 0, retried: 0 };
  const object: TicketObject & { expireTickets(): Promise<void> } = {
    admitTickets: () => (hangs.includes('admit') ? NEVER : Promise.resolve(admitted)),
    takeBack: async result => {
      if (hangs.includes('takeBack')) return NEVER;
      handedBack.push(result);
    },
    expireTickets: async () => undefined,
  };
  const load = {
    run: async (step: 'prepare' | 'load') =>
      hangs.includes(step) ? NEVER : { ok: true, value: step === 'load' ? [] : null, hosts: [] },
    ping: () => (hangs.includes('ping') ? NEVER : Promise.resolve()),
  } as unknown as LoadPort;
  const log: string[] = [];
  const message = {
    body: { source: 'npm', changeNumber: 1, attempt: 0 },
    ack() {
      counts.acked += 1;
    },
    retry() {
      counts.retried += 1;
    },
  };
  await consumeTickets(
    { queue: 'tributary-retry', messages: [message] },
    { objectOf: () => object, loadOf: () => load, clock: impatientClock(allowed), log: event => void log.push(event) },
  );
  return { handedBack, allowed, log, ...counts };
}

describe('the consumer of tickets', () => {
  it('hands changes back when their Loader hangs, to be loaded alone the next time', async () => {
    const { handedBack, acked, allowed } = await consume({
      admitted: { calls: [admittedCall(false, [1, 2])], prepare: [] },
      hangs: ['load'],
    });
    expect(handedBack[0]?.results.map(({ outcome }) => outcome)).toEqual([
      { kind: 'deferred', reason: 'died' },
      { kind: 'deferred', reason: 'died' },
    ]);
    expect(handedBack[0]?.loadMs).toBeNull();
    expect(acked).toBe(1);
    expect(allowed).toContain(LIMITS.sliceLoadMsMax + LIMITS.recoveryMs);
  });

  it('parks the document of a call alone that hangs while other Loaders answer', async () => {
    const { handedBack } = await consume({
      admitted: { calls: [admittedCall(true, [1])], prepare: [] },
      hangs: ['load'],
    });
    expect(handedBack[0]?.results[0]?.outcome).toMatchObject({ kind: 'park', reason: 'document-kills-loader' });
  });

  it('blames no document while no Loader answers', async () => {
    const admitted = { calls: [admittedCall(true, [1])], prepare: [] };
    const { handedBack, allowed } = await consume({ admitted, hangs: ['load', 'ping'] });
    expect(handedBack[0]?.results[0]?.outcome).toEqual({ kind: 'deferred', reason: 'died' });
    expect(allowed).toContain(LIMITS.pullMsMax);
  });

  it('loads without what is shared when fetching that hangs', async () => {
    const permit = { host: 'one.test', count: 1, startAtMs: 0, intervalMs: 0 };
    const { handedBack } = await consume({
      admitted: { calls: [admittedCall(false, [1])], prepare: [permit] },
      hangs: ['prepare'],
    });
    expect(handedBack).toHaveLength(1);
    expect(handedBack[0]?.loadMs).toBe(0);
  });

  it.each(['admit', 'takeBack'] as const)(
    'gives the ticket back to the queue when the object hangs in %s',
    async step => {
      const { acked, retried, log } = await consume({
        admitted: { calls: [admittedCall(false, [1])], prepare: [] },
        hangs: [step],
      });
      expect([acked, retried, log]).toEqual([0, 1, ['tickets_failed']]);
    },
  );
});
