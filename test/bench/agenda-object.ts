import { DurableObject } from 'cloudflare:workers';
import { pickVisits } from '../../src/engine/follow/visits.ts';
import { agendaOf } from '../../src/engine/journal/agenda.ts';
import { Journal } from '../../src/engine/journal/journal.ts';
import { Admission } from '../../src/engine/load/admission.ts';
import type { EncodePort } from '../../src/ports/data-file.ts';
import { engineSourceOf } from '../../src/sources/engine-source.ts';
import { whois } from '../../src/sources/whois/whois.ts';
import { objectSql } from '../../src/worker/bindings.ts';

/** One kind of work, and how often it is done in one request: within it no clock of the runtime moves. */
export interface Work {
  kind: 'nothing' | 'servers' | 'pick' | 'reschedule' | 'count';
  times: number;
  spaces: string[];
}

const source = engineSourceOf(whois, whois.settings({}));
const pace = { waitMs: 10_000, attemptsMax: 20, leaseMs: 300_000 };

/**
 * The agenda of a real object's SQLite, asked for one kind of work at a time. Its name is that of the class of the real
 * object, so that the runtime gives it that object's SQLite.
 */
export class SourceObject extends DurableObject {
  /** The real object may have set an alarm; here it does nothing. */
  override alarm(): void {}

  override async fetch(request: Request): Promise<Response> {
    const { kind, times, spaces } = (await request.json()) as Work;
    const sql = objectSql(this.ctx.storage);
    // No row is packed here: what is rescheduled is as it was.
    const journal = new Journal(sql, {} as EncodePort, { pace, agenda: source.agenda });
    const agenda = agendaOf(journal);
    const admission = new Admission(journal.state, source);
    const nowMs = Date.now();
    let done = 0;
    for (let round = 0; round < times; round++) {
      if (kind === 'servers') {
        const servers = Object.fromEntries(spaces.map(space => [space, `https://rdap.${space}/`]));
        agenda.servers.save({ servers, etag: null, freshUntilMs: nowMs });
      }
      if (kind === 'pick') done += pickVisits({ agenda, admission, source }, { nowMs, first: round }).load.length;
      if (kind === 'count') done += agenda.count({ nowMs, overdueMs: nowMs }).due;
      if (kind === 'reschedule') {
        const [space] = agenda.due([1 + (round % spaces.length)], { kind: 'first', nowMs, each: 1 });
        const visit = space?.visits[0];
        if (!visit) throw new Error(`agenda: expected a first visit in each space, got none in round ${round}`);
        const change = { key: visit.key, cursor: '1', deleted: false, revision: null, skip: null };
        const seen = {
          found: true,
          always: false,
          partial: false,
          digests: { whois_record: 'x'.repeat(22) },
          mainDigest: 'x'.repeat(22),
          moreHosts: ['rdap.registrar.example'],
          facts: { expiry: '2027-01-01T00:00:00Z', statuses: ['active'] },
        };
        const outcome = { kind: 'rows', rows: [], revision: null, documentBytes: 0, seen } as const;
        sql.transaction(() =>
          journal.visits!.accept({ change, outcome: { ...outcome, rows: [] } }, { nowMs, rowState: 'missing' }),
        );
        done += 1;
      }
    }
    return Response.json({ done });
  }
}

export default {
  fetch: (request: Request, env: { SOURCES_NS: DurableObjectNamespace }) =>
    request.method === 'POST' ? env.SOURCES_NS.getByName('whois').fetch(request) : Response.json({}),
};
