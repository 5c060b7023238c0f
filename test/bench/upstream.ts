import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { replaySettings } from '../../src/local/demo.ts';
import type { NpmStandIn } from '../../src/sources/npm/stand-in/stand-in.ts';

const REPLAY = path.resolve(import.meta.dirname, '../../src/sources/npm/stand-in/stand-in.ts');

/** A replay in a process of its own: what it takes is not taken from the bench's. */
export interface Upstream {
  /** The worker's settings that make it follow as fast as it can. */
  settings: Record<string, string>;
  feedLast: string;
  stop(): void;
}

/** Starts a replay whose feed has so many made-up changes and no recorded ones' faults. */
export async function startUpstream(changes: number): Promise<Upstream> {
  const child = spawn(process.execPath, [REPLAY, '--changes', String(changes), '--no-hand-made'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.once('exit', () => child.kill('SIGTERM'));
  const urls = await readAddresses(child);
  const [feedUrl, registryUrl, downloadsUrl] = ['FEED', 'REGISTRY', 'DOWNLOADS'].map(name => urls[`NPM_${name}_URL`]!);
  const settings = replaySettings({ feedUrl, registryUrl, downloadsUrl } as NpmStandIn);
  const root = (await (await fetch(new URL('/', feedUrl!))).json()) as { update_seq: number };
  return { settings, feedLast: String(root.update_seq), stop: () => void child.kill('SIGTERM') };
}

async function readAddresses(child: ChildProcess): Promise<Record<string, string>> {
  const urls: Record<string, string> = {};
  const lines = createInterface({ input: child.stdout! });
  lines.on('line', line => {
    const [name = '', value = ''] = line.split('=');
    urls[name] = value;
    if (name === 'NPM_START') lines.close();
  });
  await once(lines, 'close');
  return urls;
}
