import type { Servers } from '../../ports/change.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** Where keys are served, as the upstream has last told it. */
export class JournalServers {
  readonly #sql: SqlPort;
  #told: Servers | null = null;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  /** Null when it never was. */
  told(): Servers | null {
    if (this.#told) return this.#told;
    const [kept] = this.#sql.exec<{ servers: string; etag: string | null; fresh_until_ms: number }>(
      'SELECT servers, etag, fresh_until_ms FROM agenda_servers',
    );
    if (!kept) return null;
    const servers = JSON.parse(kept.servers) as Servers['servers'];
    this.#told = { servers, etag: kept.etag, freshUntilMs: kept.fresh_until_ms };
    return this.#told;
  }

  save(told: Servers): void {
    this.#sql.exec(
      `INSERT INTO agenda_servers (id, servers, etag, fresh_until_ms) VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
         servers = excluded.servers, etag = excluded.etag, fresh_until_ms = excluded.fresh_until_ms`,
      JSON.stringify(told.servers),
      told.etag,
      told.freshUntilMs,
    );
    this.#told = told;
  }
}
