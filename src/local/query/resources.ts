import { totalmem } from 'node:os';

// What queries may take of this machine.

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;

/** What one query may take. */
export interface QueryResources {
  /** What DuckDB's operators hold; it does not count the texts that a function makes. */
  memoryBytes: number;
  threads: number;
  /** What a query writes to its temporary folder when its memory is full. */
  tempBytesMax: number;
}

export const QUERY_RESOURCES: QueryResources = {
  // An eighth, because two queries run at a time and the worker needs memory too.
  memoryBytes: Math.min(GiB, Math.floor(totalmem() / 8)),
  // The worker and a second query need the other cores.
  threads: 2,
  tempBytesMax: 8 * GiB,
};

/** Queries of the service that run at a time; the others wait for their turn. */
export const QUERIES_AT_ONCE = 2;
/** Queries that wait for their turn; the next one is refused. */
export const QUERIES_WAITING_MAX = 32;

/** A query that does not end this long after it was ended early cannot be interrupted, and would keep its place. */
export const STUCK_MS = 10_000;

/** The rows of an answer of the service: R2 SQL has the same limit. */
export const SERVICE_ROWS_MAX = 10_000;
/** The bytes of an answer of the service: twice what the worker takes at most, because the worker names its own limit. */
export const SERVICE_BYTES_MAX = 32 * MiB;
/** The bytes of an answer that a program prints: as JSON it must stay below the longest text of the runtime, 512 MiB. */
export const PROGRAM_BYTES_MAX = 80 * MiB;

/** The memory of a process that answers queries, over which it ends its queries, and then itself. */
export const PROCESS_BYTES_MAX = Math.min(4 * GiB, Math.floor(totalmem() / 2));
/** How often a process reads its memory use; a query can take 500 MB in a second. */
const MEMORY_POLL_MS = 50;

/**
 * Calls `onHigh` when this process has half of `bytesMax`, and `onFull` when it has all of it. DuckDB limits
 * what its operators hold, not the texts that functions make, and it cannot be interrupted within one. The result ends
 * the watch.
 */
export function watchMemory(options: { bytesMax: number; onHigh(): void; onFull(): void }): () => void {
  const { bytesMax, onHigh, onFull } = options;
  const timer = setInterval(() => {
    const bytes = process.memoryUsage.rss();
    if (bytes > bytesMax) onFull();
    else if (bytes > bytesMax / 2) onHigh();
  }, MEMORY_POLL_MS);
  timer.unref();
  return () => clearInterval(timer);
}
