import { DurableObject } from 'cloudflare:workers';
import { objectSql } from '../../src/worker/bindings.ts';
import { type DigestWork, workOnDigests } from './digest-work.ts';

/** The packed keys of an immutable table in a real object's SQLite, asked for one kind of work at a time. */
export class Bench extends DurableObject {
  override async fetch(request: Request): Promise<Response> {
    const sql = objectSql(this.ctx.storage);
    const added = workOnDigests(sql, (await request.json()) as DigestWork);
    return Response.json({ added, bytes: sql.bytes() });
  }
}

export default {
  fetch: (request: Request, env: { BENCH: DurableObjectNamespace }) =>
    request.method === 'POST' ? env.BENCH.getByName('github').fetch(request) : Response.json({}),
};
