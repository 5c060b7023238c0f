import path from 'node:path';
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4MiniflareOptions } from 'miniflare';

/** The binding of the operational database in `wrangler.jsonc`. */
const DATABASE = 'DB';

/**
 * The rows that the worker's operational database gives for one statement. Miniflare opens the database alone, which
 * takes a fraction of the time that a command of wrangler takes.
 */
export async function queryDatabase<R>(stateDir: string, statement: string): Promise<R[]> {
  const options = {
    modules: true,
    script: 'export default {}',
    d1Databases: { [DATABASE]: DATABASE },
    // Where wrangler keeps what a worker of this machine stores.
    resourcePersistencePath: path.join(path.resolve(stateDir), 'v3'),
    host: '127.0.0.1',
    port: 0,
    // Without these Miniflare would ask hosts of the network.
    cf: false,
    telemetry: { enabled: false },
    log: new Log(LogLevel.ERROR),
  };
  const miniflare = new Miniflare(convertV4MiniflareOptions(options as V4MiniflareOptions));
  try {
    const database = await miniflare.getD1Database(DATABASE);
    return (await database.prepare(statement).all<R>()).results;
  } finally {
    await miniflare.dispose();
  }
}
