/** How a stand-in starts. A source may add options of its own. */
export interface StandInOptions {
  /** A folder of recordings; the source's test fixtures if not given. */
  folder?: string;
  /** The port of its first server; each further server takes the next one. 0, or none, takes free ports. */
  port?: number;
  /** Whether `settings` make the source ask without pauses, because no upstream of others is asked. */
  fast?: boolean;
}

/** A local server that plays an upstream from recordings. It runs under Node only. */
export interface StandIn {
  /** The source's settings, by name, with which it asks this server for everything. */
  settings: Record<string, string>;
  /** The newest cursor of its feed; absent where the source has no feed. */
  head?(): string;
  stop(): Promise<void>;
}

/** The exports of `src/sources/<id>/stand-in/stand-in.ts`. Run as a program, it prints its settings. */
export interface StandInModule {
  startStandIn(options?: StandInOptions): Promise<StandIn>;
}

/** Prints the settings of a stand-in, one `NAME=value` a line and an empty line last, and stops it on a signal. */
export function runStandIn({ settings, stop }: StandIn): void {
  // Before the settings are printed, because whoever reads them may send the signal at once.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop());
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  process.stdout.write(`${lines.join('')}\n`);
}
