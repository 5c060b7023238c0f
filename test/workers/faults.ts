import { env } from 'cloudflare:workers';

/** Replaces one call of a binding; `call` makes the real one. */
export type Fault<T = unknown> = (call: () => Promise<T>) => Promise<T>;

const faults: { put: Fault | null; batch: Fault | null } = { put: null, batch: null };

/** Wraps the bindings, so that `fault` can replace puts of data files and writes to the operational database. */
export function installFaults(): void {
  const through = (name: keyof typeof faults, isMeant: (first: unknown) => boolean, target: object) =>
    new Proxy(target, {
      get: (_, key) => {
        const value = Reflect.get(target, key) as unknown;
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          const call = () => Reflect.apply(value, target, args) as Promise<unknown>;
          const fault = key === name && isMeant(args[0]) ? faults[name] : null;
          return fault ? fault(call) : call();
        };
      },
    });
  const isDataFile = (key: unknown) => String(key).endsWith('.parquet');
  Object.assign(env, {
    LAKE: through('put', isDataFile, env.LAKE),
    DB: through('batch', () => true, env.DB),
  });
}

/** Sets the fault of all calls from now on; null removes it. Gives a counter that rises when it happens. */
export function fault(name: keyof typeof faults, happens: Fault | null): { count: number } {
  const seen = { count: 0 };
  faults[name] = happens
    ? async call => {
        // Count when the real call has ended or the fault throws, since an unanswered call never ends.
        try {
          return await happens(async () => {
            const result = await call();
            seen.count += 1;
            return result;
          });
        } catch (error) {
          seen.count += 1;
          throw error;
        }
      }
    : null;
  return seen;
}

/** The call succeeds, and its answer never arrives. */
export const unanswered: Fault = async call => {
  await call();
  return new Promise(() => {});
};

/** The call is not made. */
export const refused: Fault = async () => {
  throw new Error('put: Internal error. (10001)');
};

/** The call succeeds, and its answer is an error. */
export const doneAndRefused: Fault = async call => {
  await call();
  return refused(call);
};
