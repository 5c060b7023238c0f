/** The platform's limit on open connections of one call. The time of a request that waits there would run out. */
const CONNECTIONS_MAX = 6;

/** Runs requests, so many at once; further ones wait for one to end, in the order in which they came. */
export function createConnections(): <T>(request: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = CONNECTIONS_MAX;
  return async request => {
    if (free > 0) free -= 1;
    else await new Promise<void>(resolve => waiting.push(resolve));
    try {
      return await request();
    } finally {
      // Hand the connection to the request that has waited longest.
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}
