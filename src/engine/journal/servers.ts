import type { Servers } from '../../ports/change.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** The directory of servers that the upstream last gave, in the object's SQLite. */
export class JournalServers {
  readonly #sql: SqlPort;
  #current: Servers | null = null;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  /** Null before the first one. */
  current(): Servers | null {
    if (this.#current) return this.#current;
    const [row] = this.#sql.exec<{ servers: string; etag: string | null; fresh_until_ms: number }>(
      'SELECT servers, etag, fresh_until_ms FROM agenda_servers',
    );
    if (!row) return null;
    const servers = JSON.parse(row.servers) as Servers['servers'];
    this.#current = { servers, etag: row.etag, freshUntilMs: row.fresh_until_ms };
    return this.#current;
  }

  save(directory: Servers): void {
    this.#sql.exec(
      `INSERT INTO agenda_servers (id, servers, etag, fresh_until_ms) VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
         servers = excluded.servers, etag = excluded.etag, fresh_until_ms = excluded.fresh_until_ms`,
      JSON.stringify(directory.servers),
      directory.etag,
      directory.freshUntilMs,
    );
    this.#current = directory;
  }
}
