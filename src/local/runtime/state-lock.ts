import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { findProcess, killRuntimeGroup } from './processes.ts';

/** The program that runs on a state folder, its port, and the process group of its runtime. */
export interface Holder {
  pid: number;
  started: string;
  port: number;
  group: number | null;
}

/** A state folder held by this process. */
export interface StateLock {
  /** Records the runtime's process group, so that a later start finds it if this process is killed. */
  setGroup(group: number): void;
  release(): void;
}

/** The lock file, in the state folder. */
const FILE = 'runtime.json';

/** The program that runs on a state folder now; null when none does, also where an ended one left its lock file. */
export function holderOf(stateDir: string): Holder | null {
  const holder = readHolder(path.join(stateDir, FILE));
  return holder !== null && isRunning(holder) ? holder : null;
}

/**
 * Locks a state folder for this process; the folder must exist. The lock file of a process that has ended is replaced,
 * and its runtime is killed. Throws when a running process holds the folder.
 */
export function lockState(stateDir: string, port: number): StateLock {
  const file = path.join(stateDir, FILE);
  const mine: Holder = { pid: process.pid, started: findProcess(process.pid)?.started ?? '', port, group: null };
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(mine));
  try {
    while (!linkIfAbsent(draft, file)) removeStale(file, stateDir);
  } finally {
    rmSync(draft, { force: true });
  }
  return {
    setGroup(group) {
      writeFileSync(draft, JSON.stringify({ ...mine, group }));
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

function removeStale(file: string, stateDir: string): void {
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
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const moved = readHolder(aside);
  if (moved !== null && isRunning(moved)) linkIfAbsent(aside, file);
  else if (moved?.group) killRuntimeGroup(moved.group);
  rmSync(aside, { force: true });
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
