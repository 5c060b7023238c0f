import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { demoSettings } from '../../src/local/demo.ts';

const STAND_IN = path.resolve(import.meta.dirname, '../../src/sources/npm/stand-in/stand-in.ts');

/** A stand-in in a process of its own, so that its CPU time is not part of the bench's. */
export interface Upstream {
  /** The worker's settings that make it follow as fast as it can. */
  settings: Record<string, string>;
  feedLast: string;
  stop(): void;
}

/** Starts a stand-in whose feed has so many made-up changes, and no hand-made faults. */
export async function startUpstream(changes: number): Promise<Upstream> {
  const flags = ['--changes', String(changes), '--no-hand-made', '--fast'];
  const child = spawn(process.execPath, [STAND_IN, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.once('exit', () => child.kill('SIGTERM'));
  const settings = await readSettings(child);
  const root = (await (await fetch(new URL('/', settings.NPM_FEED_URL))).json()) as { update_seq: number };
  return {
    settings: demoSettings({ settings }),
    feedLast: String(root.update_seq),
    stop: () => void child.kill('SIGTERM'),
  };
}

/** The settings that a stand-in prints: `NAME=value` lines up to an empty one. */
async function readSettings(child: ChildProcess): Promise<Record<string, string>> {
  const settings: Record<string, string> = {};
  const lines = createInterface({ input: child.stdout! });
  lines.on('line', line => {
    if (line === '') return lines.close();
    const [name = '', ...value] = line.split('=');
    settings[name] = value.join('=');
  });
  await once(lines, 'close');
  return settings;
}
