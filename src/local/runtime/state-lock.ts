import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isFree } from './port.ts';
import { findProcess, groupOf, killRuntimeGroup } from './processes.ts';
import type { S3Keys } from './s3-keys.ts';

/** The program that runs on a state folder, and of its runtime the port, the process group and the keys of its buckets. */
export interface Holder {
  pid: number;
  started: string;
  port: number;
  group: number | null;
  s3Keys: S3Keys | null;
}

/** A state folder held by this process. */
export interface StateLock {
  /** Records facts of the runtime, so that other programs find it, and a later start if this process is killed. */
  record(facts: Partial<Pick<Holder, 'port' | 'group' | 's3Keys'>>): void;
  release(): void;
}

/** The lock file, in the state folder. Its mode keeps the keys to its owner. */
const FILE = 'runtime.json';
const MODE = 0o600;
/** How long killed processes may take to end. */
const END_MS_MAX = 5_000;
const POLL_MS = 20;

/** The program that runs on a state folder now; null when none does, also where an ended one left its lock file. */
export function holderOf(stateDir: string): Holder | null {
  const holder = readHolder(path.join(stateDir, FILE));
  return holder !== null && isRunning(holder) ? holder : null;
}

/**
 * Locks a state folder for this process; the folder must exist. The lock file of a process that has ended is replaced,
 * and what it left of its runtime is killed and has ended afterwards, so that its port is free. Throws when a running
 * process holds the folder.
 */
export async function lockState(stateDir: string, port: number): Promise<StateLock> {
  const file = path.join(stateDir, FILE);
  const started = findProcess(process.pid)?.started ?? '';
  let mine: Holder = { pid: process.pid, started, port, group: null, s3Keys: null };
  const draft = `${file}.${process.pid}`;
  const left: Left[] = [];
  writeFileSync(draft, JSON.stringify(mine), { mode: MODE });
  try {
    while (!linkIfAbsent(draft, file)) left.push(...removeStale(file, stateDir));
  } finally {
    rmSync(draft, { force: true });
  }
  await untilEnded(left);
  return {
    record(facts) {
      mine = { ...mine, ...facts };
      writeFileSync(draft, JSON.stringify(mine), { mode: MODE });
      renameSync(draft, file);
    },
    release() {
      if (readHolder(file)?.pid === process.pid) rmSync(file, { force: true });
    },
  };
}

/** Creates the lock file whole, and only where there is none. False where there is one. */
function linkIfAbsent(draft: string, file: string): boolean {
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** The group of a runtime that was killed, and its port. */
interface Left {
  group: number;
  port: number;
}

/** Waits until these have ended, and their ports are free: the last thread of a killed process outlives its entry. */
async function untilEnded(left: Left[]): Promise<void> {
  const deadline = Date.now() + END_MS_MAX;
  for (const { group, port } of left)
    while (Date.now() < deadline && (groupOf(group).length > 0 || !(await isFree(port)))) await sleep(POLL_MS);
}

/** Removes the lock file of a process that has ended, and kills its runtime. Gives what was killed. */
function removeStale(file: string, stateDir: string): Left[] {
  const holder = readHolder(file);
  if (holder !== null && isRunning(holder)) {
    throw new Error(
      `state folder ${stateDir}: expected to be free, got process ${holder.pid} running on it (port ${holder.port})`,
    );
  }
  // Move the file aside first: of two processes that find it stale only one moves it, and one that moved a new lock
  // file by mistake puts it back.
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const moved = readHolder(aside);
  const isNew = moved !== null && isRunning(moved);
  if (isNew) linkIfAbsent(aside, file);
  rmSync(aside, { force: true });
  if (isNew || !moved?.group) return [];
  const { group, port } = moved;
  return killRuntimeGroup(group) ? [{ group, port }] : [];
}

function isRunning(holder: Holder): boolean {
  return findProcess(holder.pid)?.started === holder.started;
}

function readHolder(file: string): Holder | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder;
  } catch {
    return null;
  }
}
